"""A photo that only its encoder redraws is told from a living face."""

import numpy as np
import pytest

from kdphys.cadence import STILL, Stillness, find_cadence
from kdphys.vitals import measure_vitals
from tests._waves import pulse_wave

FPS = 30


def watched(light: np.ndarray, key_every: int = 15) -> Stillness:
    """A face whose crops have these mean levels. Shape (T,)."""
    stillness = Stillness()
    for index, level in enumerate(light):
        crop = np.full((36, 36, 3), int(level), np.uint8)
        part = round((level - int(level)) * 36 * 36)  # the mean is exact to a thousandth
        crop[..., 1].reshape(-1)[:part] += 1
        stillness.push(crop, key_frame=index % key_every == 0, opens=index == 0)
    return stillness


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_picture_that_changes_at_key_frames_only_is_still(rng):
    steps = np.repeat(rng.normal(0, 0.1, 30), 15)
    assert watched(120 + steps + 0.002 * rng.standard_normal(450)).is_still


def test_a_picture_that_never_changes_is_still():
    assert watched(np.full(450, 120.0)).is_still


def test_a_face_that_pulses_and_is_redrawn_at_key_frames_is_not_still(rng):
    beat = 0.3 * np.sin(2 * np.pi * 1.2 * np.arange(450) / FPS)
    steps = np.repeat(rng.normal(0, 0.1, 30), 15)
    assert not watched(120 + beat + steps + 0.02 * rng.standard_normal(450)).is_still


def test_nothing_is_said_of_intra_only_video_or_of_the_first_seconds():
    light = np.full(450, 120.0)
    assert not watched(light, key_every=1).is_still
    assert not watched(light[:45]).is_still


def test_no_reading_comes_from_a_still_and_the_reason_says_so():
    wave, _ = pulse_wave(72, 30.0, 20.0)
    assert measure_vitals(wave, 30.0).heart_rate.value is not None
    found = measure_vitals(wave, 30.0, distrust=STILL)
    assert found.heart_rate.value is None
    assert found.heart_rate.quality < 0.5
    assert "key frames" in (found.heart_rate.reason or "")
    assert all(window.heart_rate_bpm is None for window in found.windows)


def test_key_frames_whose_gaps_are_all_unlike_have_a_cadence_nonetheless():
    found = find_cadence(np.array([0.0, 2.0, 3.2, 4.4, 5.8]), 6.8)  # of a damaged file
    assert found is not None
    assert found.period_s == pytest.approx(1.3)
    assert not found.steady
