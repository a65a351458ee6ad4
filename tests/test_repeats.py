"""Loops are told from living faces, also from such as rock."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from kdphys.pipeline import measure
from kdphys.repeats import Repeats
from tests._films import Recording, write_npz, write_video

FPS = 25.0


def turn_of(pictures: list[np.ndarray], fps: float = FPS) -> float | None:
    repeats = Repeats()
    for index, picture in enumerate(pictures):
        crop = cv2.resize(picture, (36, 36), interpolation=cv2.INTER_AREA)
        repeats.push(np.asarray(crop, np.uint8), index / fps)
    return repeats.turn_s


def noisy(pictures: list[np.ndarray], level: float = 3.0) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        np.clip(picture + rng.normal(0, level, picture.shape), 0, 255).astype(np.uint8)
        for picture in pictures
    ]


def rocking(picture: np.ndarray, turns_a_second: float, seconds: float = 12.0) -> list[np.ndarray]:
    """Pictures of a head that rocks evenly before a still wall, each with noise of its own."""
    ways = 4 * np.sin(2 * np.pi * turns_a_second * np.arange(seconds * FPS) / FPS)
    moves = [np.array([[1, 0, way], [0, 1, 0]], np.float32) for way in ways]
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


def test_a_slow_loop_and_slow_pictures_are_left_alone(recording: Recording):
    assert turn_of(recording.pictures[:75] * 4) is None  # 3 s
    assert turn_of(recording.pictures[:8] * 20, fps=3.0) is None


@pytest.mark.parametrize("kind", ["npz", "mp4"])
def test_a_loop_gives_no_reading_and_says_why(recording: Recording, tmp_path: Path, kind):
    pictures = recording.pictures[:20] * 15
    times = np.arange(len(pictures)) / FPS
    path = tmp_path / f"loop.{kind}"
    write_npz(path, pictures, times) if kind == "npz" else write_video(path, pictures, times)
    found = measure(path).vitals.heart_rate
    assert found.value is None
    assert "come again every 0.8 s" in (found.reason or "")
