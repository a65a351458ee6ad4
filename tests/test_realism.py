"""What train/realism.py measures of crops is what was put into them."""

import numpy as np
import pytest

from kdphys.runtime import FPS, SIZE
from train.realism import BANDS_HZ, followed, liveliness

SECONDS = 10.0


def crops(hz: float, depth_rgb: tuple[float, float, float]) -> np.ndarray:
    """Even grey crops whose channels swing by a part of themselves. Shape (T, S, S, 3), uint8."""
    rng = np.random.default_rng(0)
    swing = np.sin(2 * np.pi * hz * np.arange(round(SECONDS * FPS)) / FPS)
    level = 120 * (1 + swing[:, None, None, None] * np.array(depth_rgb))
    return np.floor(level + rng.uniform(0, 1, (len(swing), SIZE, SIZE, 3))).astype(np.uint8)


@pytest.mark.parametrize(("band", "hz"), [(0, 0.4), (1, 1.2)])
def test_red_and_blue_are_found_to_follow_green_as_they_do(band, hz):
    slopes = followed(crops(hz, (0.02, 0.04, 0.05)))
    assert [slopes[band], slopes[2 + band]] == pytest.approx([0.5, 1.25], abs=0.02)


def test_a_swing_is_found_in_its_band_alone():
    green, red = 0.04, 0.02
    found = liveliness(crops(1.2, (red, green, green)))
    rms = 100 / np.sqrt(2)  # of a sine, in percent
    assert found[1] == pytest.approx(rms * green, rel=0.02)
    assert found[len(BANDS_HZ) + 1] == pytest.approx(rms * (green - red), rel=0.02)
    for other in (0, 2, 3):
        assert found[other] < 0.1


def test_what_is_behind_a_face_is_looked_at_apart():
    swinging, still = crops(1.2, (0.02, 0.04, 0.05)), crops(1.2, (0, 0, 0))
    swinging[:, 6:-6], swinging[:, :, 6:-6] = still[:, 6:-6], still[:, :, 6:-6]
    assert liveliness(swinging)[1] < 0.1
    assert liveliness(swinging, behind=True)[1] == pytest.approx(100 / np.sqrt(2) * 0.04, rel=0.05)
