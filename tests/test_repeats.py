"""Loops are told from living faces, also from such as rock."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from kdphys.crop import FaceBox
from kdphys.pipeline import measure
from kdphys.repeats import Repeats
from kdphys.view import View
from tests._films import Recording, write_npz, write_video

FPS = 25.0
FACE = FaceBox(44, 44, 116, 116, 0.9)  # of 160 pixels


def turn_of(pictures: list[np.ndarray], fps: float = FPS) -> float | None:
    repeats = Repeats()
    for index, picture in enumerate(pictures):
        repeats.push(picture, index / fps, FACE)
    return repeats.turn_s


def noisy(pictures: list[np.ndarray], level: float = 3.0) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        np.clip(picture + rng.normal(0, level, picture.shape), 0, 255).astype(np.uint8)
        for picture in pictures
    ]


def rocking(picture: np.ndarray, turns_a_second: float, seconds: float = 12.0) -> list[np.ndarray]:
    """Pictures of a head that rocks as evenly as people do it, each with noise of its own."""
    rng = np.random.default_rng(0)
    turns = np.arange(2 + int(1.5 * seconds * turns_a_second))
    steps_s = (1 + 0.02 * rng.standard_normal(len(turns))) / turns_a_second
    times_s = np.arange(seconds * FPS) / FPS
    at = np.interp(times_s, np.cumsum(steps_s), turns)
    widths = np.interp(at, turns, 4 * (1 + 0.1 * rng.standard_normal(len(turns))))
    moves = [
        np.array([[1, 0, way], [0, 1, 0]], np.float32) for way in widths * np.sin(2 * np.pi * at)
    ]
    size = picture.shape[1::-1]
    return noisy([cv2.warpAffine(picture, move, size, borderMode=1) for move in moves])


@pytest.mark.parametrize("length", [12, 20, 31, 48])
@pytest.mark.parametrize("is_boomerang", [False, True])
def test_a_loop_is_told_with_its_turn(recording: Recording, length, is_boomerang):
    some = recording.pictures[:length]
    if is_boomerang:
        some = some[: length // 2 + 1] + some[1 : (length + 1) // 2][::-1]
    again = noisy(some * (300 // len(some)), 0.2)  # another encoding
    assert turn_of(again) == pytest.approx(len(some) / FPS, rel=0.01)


def test_a_living_face_does_not_repeat(recording: Recording):
    assert turn_of(recording.pictures) is None


@pytest.mark.parametrize("turns_a_second", [0.8, 1.25, 2.0])
def test_a_head_that_rocks_is_no_loop(recording: Recording, tmp_path: Path, turns_a_second):
    pictures = rocking(recording.pictures[0], turns_a_second)
    path = write_npz(tmp_path / "rocks.npz", pictures, np.arange(len(pictures)) / FPS)
    assert "come again" not in (measure(path, "green").vitals.heart_rate.reason or "")


def test_a_still_has_no_turn_and_few_pictures_tell_nothing(recording: Recording):
    assert turn_of(noisy([recording.pictures[0]] * 300)) is None
    assert turn_of([recording.pictures[0]] * 300) is None
    assert turn_of(recording.pictures[:20]) is None
    assert turn_of([]) is None


@pytest.mark.parametrize("fps", [12.0, 60.0, 120.0, 240.0])
def test_a_loop_is_told_at_any_frame_rate(recording: Recording, fps):
    slow = recording.pictures[:38]  # 1.5 s
    times = np.arange(round(1.5 * fps)) / fps
    some = [slow[round(time * FPS)] for time in times]
    assert turn_of(some * 12, fps) == pytest.approx(len(some) / fps, rel=0.01)


def test_a_loop_is_told_while_the_part_that_is_shown_moves(recording: Recording):
    repeats = Repeats()
    for index, picture in enumerate(recording.pictures[:25] * 12):
        x = 10 + index // 40  # whole pixels of the camera
        view = View(x, 12, 130, 130)
        repeats.push(picture[12:142, x : x + 130], index / FPS, FACE, view)
    assert repeats.turn_s == pytest.approx(1.0, rel=0.01)


def test_a_slow_loop_and_slow_pictures_are_left_alone(recording: Recording):
    assert turn_of(recording.pictures[:75] * 4) is None  # 3 s
    assert turn_of(recording.pictures[:8] * 20, fps=3.0) is None


@pytest.mark.parametrize("kind", ["npz", "mp4"])
@pytest.mark.parametrize("length", [20, 33, 50])
def test_a_loop_gives_no_reading_and_says_why(recording: Recording, tmp_path: Path, kind, length):
    pictures = recording.pictures[40 : 40 + length] * (300 // length)
    times = np.arange(len(pictures)) / FPS
    path = tmp_path / f"loop.{kind}"
    write_npz(path, pictures, times) if kind == "npz" else write_video(path, pictures, times)
    found = measure(path).vitals.heart_rate
    assert found.value is None
    assert f"come again every {length / FPS:.1f} s" in (found.reason or "")
