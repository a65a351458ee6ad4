"""A model is scored as the program reads it."""

import numpy as np
import pytest
import torch

from kdphys.runtime import open_model
from train.datasets import ClipStore
from train.scores import score

SKIN = np.array([150.0, 110.0, 90.0])
BLOOD = np.array([0.43, 1.0, 0.69])  # of R, G, B, relative to green


@pytest.mark.parametrize(
    ("colour", "given"), [(BLOOD, [72.0]), (np.ones(3), [np.nan])], ids=["blood", "light"]
)
def test_light_in_a_rhythm_is_given_no_rate(colour, given):
    wave = np.sin(2 * np.pi * 72 / 60 * np.arange(600) / 30)
    rng = np.random.default_rng(0)
    mean = SKIN * (1 + 0.02 * wave[:, None] * colour)
    pixels = mean[:, None, None] + rng.normal(0, 2, (600, 36, 36, 3))
    clip = torch.from_numpy(pixels.round().astype(np.uint8))[None]
    bpm = np.array([72], np.float32)
    store = ClipStore((clip,), -wave[None].astype(np.float32), bpm, ({"key_every": None},), "0")
    found = score(open_model("green"), store)
    assert found.bpm == pytest.approx([72], abs=0.5)
    np.testing.assert_allclose(found.given, given, atol=0.5)
