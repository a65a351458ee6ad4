"""Pulses that train/planted.py puts into films are there, and nothing else is changed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kdphys.crop import FaceBox
from kdphys.video import Frame
from train.origin import origin
from train.planted import (
    LEAD_S,
    MAP_PX,
    PlantedJob,
    Read,
    cases,
    draw_pattern,
    page,
    plant,
)
from train.pulses import draw_pulse

BOX = FaceBox(40.0, 20.0, 140.0, 120.0, 1.0)
PHOTO = Path(__file__).parent.parent / "docs" / "examples" / "synthetic_photo_nopulse.mp4"


def film(box: FaceBox | None, depth: float, seconds: float = 8.0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of even grey with a pulse in them, and its blood volume."""
    grey = np.full((150, 180, 3), 120, np.uint8)
    frames = [Frame(grey, number / 30, None) for number in range(round(30 * seconds))]
    pulse = draw_pulse(np.random.default_rng(1), seconds + 2 * LEAD_S, 0.5, 70.0)
    planted = plant(iter(frames), [box] * len(frames), pulse, depth, np.random.default_rng(2))
    blood = pulse.at(np.array([frame.time_s + LEAD_S for frame in frames]))
    return np.stack([frame.rgb for frame in planted]), blood


def test_a_planted_pulse_has_its_depth_in_green_over_the_face_and_the_colour_of_blood():
    pictures, blood = film(BOX, 0.004)
    light = pictures.astype(np.float64) / 120 - 1
    swing = np.tensordot(blood - blood.mean(), light, 1) / ((blood - blood.mean()) ** 2).sum()
    face = swing[20:120, 40:140]
    off_centre = np.mgrid[-1:1:100j, -1:1:100j] ** 2 / [[[0.85**2]], [[0.62**2]]]
    inside = np.clip(1.6 * (1 - off_centre.sum(0)), 0, 1)
    depths = -np.average(face.reshape(-1, 3), axis=0, weights=inside.ravel())
    # 8 bits of 120 with a dither: 240 pictures and 3,700 pixels leave some 1e-5.
    assert depths[1] == pytest.approx(0.004, abs=1e-4)
    assert depths[1] > depths[2] > depths[0] > 0  # green, blue, red, as blood absorbs
    assert abs(swing[:20]).max() < 0.002
    assert abs(swing[:20].mean((0, 1))).max() < 5e-5  # the dither's luck
    assert light.mean() == pytest.approx(0, abs=1e-3)


def test_where_there_is_no_face_nothing_is_changed():
    pictures, _ = film(None, 0.1)
    assert (pictures == 120).all()


def test_the_pattern_is_one_in_the_mean_of_a_face_and_nothing_outside():
    pattern = draw_pattern(np.random.default_rng(0))
    assert pattern.shape == (MAP_PX, MAP_PX)
    assert (pattern[[0, -1]] == 0).all()
    assert (pattern[:, [0, -1]] == 0).all()
    assert pattern[MAP_PX // 2, MAP_PX // 2] > 0.4


def test_each_film_is_read_as_it_is_and_with_the_same_pulses_at_each_depth():
    job = PlantedJob(real=(PHOTO,), depths=(0.001, 0.002), pulses=3, models=("pos",))
    asked = list(cases(job, [PHOTO, PHOTO]))
    assert len(asked) == 2 * (5 + 2 * 3)
    once = asked[: len(asked) // 2]
    assert [case.depth for case in once] == [0] * 5 + [0.001] * 3 + [0.002] * 3
    assert [replace(case, depth=0.002) for case in once[5:8]] == once[8:]


def test_a_page_tells_what_was_given_what_was_right_and_what_was_wrong():
    job = PlantedJob(real=(PHOTO,), models=("pos",))
    row = Read("pos", "a.mp4", 1.0, 0.001, 70.0, 71.0, 0.8, 71.0)
    rows = [
        row,
        replace(row, bpm=None, quality=0.2),
        replace(row, bpm=80.0, raw_bpm=80.0),
        replace(row, depth=0.0, true_bpm=None),
    ]
    said = page(rows, job, origin())
    assert "| a.mp4 | pos | 1 of 1 | 2 of 3, 1, 2 |" in said
    assert said.endswith("* [pos a.mp4 x1: 70.0 at 0.1 %, 80.0 (0.80)]\n")


@pytest.mark.parametrize("wrong", [{"pulses": 0}, {"workers": 0}, {"depths": (0.0,)}])
def test_what_can_t_be_planted_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PlantedJob(real=(PHOTO,), **wrong)
