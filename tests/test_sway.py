"""A head that moves in the rhythm that is read may be what is read."""

import cv2
import numpy as np
import pytest

from kdphys.pipeline import measure
from kdphys.stream import LiveMeter, compare_crops
from kdphys.sway import sway_of, sways
from kdphys.vitals import measure_vitals
from tests._films import Recording, write_npz
from tests._waves import pulse_wave

FPS = 30.0
WIDTH = 120.0  # of the face in pixels


def way(bpm: float, sway: float, seconds: float = 20.0, *, noise: float = 2e-4) -> np.ndarray:
    """Where a face is that moves up and down, by so much of its width. Shape (T, 3)."""
    rng = np.random.default_rng(0)
    time_s = np.arange(int(seconds * FPS)) / FPS
    places = noise * rng.standard_normal((len(time_s), 3))
    places[:, 1] += sway * np.sin(2 * np.pi * bpm / 60 * time_s)
    return WIDTH * (np.array([3.0, 2.0, 1.0]) + places)


def test_a_head_that_moves_in_a_rhythm_is_told():
    assert sways(way(110, 0.02), FPS, 110)
    assert sways(way(110, 0.02, 6.0), FPS, 110)
    assert not sways(way(110, 0.02), FPS, 72)


@pytest.mark.parametrize("axis", range(3))
def test_it_may_move_across_or_to_and_fro_too(axis):
    still, moving = way(90, 0.0), way(90, 0.02)
    still[:, axis] += moving[:, 1] - moving[:, 1].mean()
    assert sways(still, FPS, 90)


def test_what_the_heart_moves_of_a_head_is_not_taken_for_steps():
    assert not sways(way(72, 0.002, noise=1e-5), FPS, 72)


def test_a_head_that_moves_anyhow_has_no_rhythm():
    rng = np.random.default_rng(1)
    places = way(72, 0.0) + np.cumsum(WIDTH * 0.01 * rng.standard_normal((600, 3)), axis=0)
    assert not any(sways(places, FPS, bpm) for bpm in range(45, 180, 5))


def test_gaps_are_left_out_and_nothing_is_said_of_nothing():
    places = way(110, 0.02)
    places[200:260] = np.nan
    assert sways(places, FPS, 110)
    assert not sways(places[150:250], FPS, 110)
    assert not sways(places[:0], FPS, 110)


def test_a_rate_at_which_the_head_moves_is_not_shown():
    wave, _ = pulse_wave(110, FPS, 20)
    assert measure_vitals(wave, FPS, places=way(85, 0.02)).heart_rate.value is not None
    vitals = measure_vitals(wave, FPS, places=way(110, 0.02))
    assert vitals.heart_rate.value is None
    assert vitals.heart_rate.quality < 0.5
    assert "the head moves 110 times a minute" in str(vitals.heart_rate.reason)
    assert vitals.context is None


def test_light_goes_over_a_face_twice_a_swing():
    assert sway_of(way(75, 0.02), FPS, 150) == 75
    assert sway_of(way(75, 0.02), FPS, 75) == 75
    assert sway_of(way(75, 0.02), FPS, 110) is None
    assert sway_of(way(30, 0.02), FPS, 60) is None  # a breath, or a body that sways


def stepping(recording: Recording, per_min: float) -> list[np.ndarray]:
    """The film of someone who goes up and down by 3 pixels, and slowly across."""
    time_s = recording.time_s
    heights = 3 * np.sin(2 * np.pi * per_min / 60 * time_s + 0.4 * np.sin(time_s))
    ways = 5 * np.sin(0.7 * time_s)
    moves = (np.array([[1.0, 0.0, x], [0.0, 1.0, y]]) for x, y in zip(ways, heights, strict=True))
    return [
        cv2.warpAffine(picture, move, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
        for picture, move in zip(recording.pictures, moves, strict=True)
    ]


@pytest.mark.parametrize(("per_min", "is_read"), [(72.0, False), (115.0, True)])
class TestFilms:
    def test_files(self, recording, tmp_path, per_min, is_read):
        pictures = stepping(recording, per_min)
        found = measure(write_npz(tmp_path / "f.npz", pictures, recording.time_s))
        if is_read:
            assert found.vitals.heart_rate.value == pytest.approx(recording.bpm, abs=3)
        else:
            assert "the head moves" in str(found.vitals.heart_rate.reason)

    def test_cameras(self, recording, per_min, is_read):
        meter, rates = LiveMeter(), []
        pictures = stepping(recording, per_min)
        for picture, time_s in zip(pictures, recording.time_s, strict=True):
            if vitals := meter.push(picture, time_s):
                rates.append(vitals.heart_rate)
        shown = compare_crops(meter.recent_crops(), ("student",), places=meter.recent_places())[
            "student"
        ]
        for rate in (rates[-1], shown.heart_rate):
            if is_read:
                assert rate.value == pytest.approx(recording.bpm, abs=3)
            else:
                assert "the head moves" in str(rate.reason)
