"""How the cost of the whole path grows: longer videos, larger pictures, more videos at once.

Each video is measured in a process of its own, as by a program that uses KDPhys; many of them go
through `python -m kdphys batch`, whose time includes its start.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from kdphys.runtime import FPS
from train.costs import alone
from train.synthetic import Film, SyntheticConfig, make_film, write_video

SIZES = {
    "640x480": (640, 480),
    "1280x720": (1280, 720),
    "1920x1080": (1920, 1080),
    "3840x2160": (3840, 2160),
}
SCENE_BYTES = 2e9  # of large pictures as much of a scene as takes this much memory
ONCE = 1e9  # pixels of a video from which on it is measured once

Figures = dict[str, float]


def measured(size: tuple[int, int], seconds: float, rounds: int, scene_s: float) -> Figures:
    """Figures of a video of a size and a length: those of the round with the median total.

    Args:
        size: Width and height in pixels.
        seconds: Its length.
        rounds: How often it is measured; a very large one is measured once.
        scene_s: Seconds of it that are drawn, and shown to and fro.
    """
    width, height = size
    if width * height * seconds * FPS > ONCE:
        rounds = 1
    with TemporaryDirectory() as folder:
        video = Path(folder) / "face.mp4"
        write_face(video, size, seconds, scene_s)
        found = [alone("video", path=str(video)) for _ in range(rounds)]
    middle = sorted(found, key=lambda one: one["total_s"])[len(found) // 2]
    ratios = {
        "times decoding": middle["total_s"] / middle["decode_alone_s"],
        "times real time": seconds / middle["total_s"],
    }
    return {name: round(value, 3) for name, value in (middle | ratios).items()}


def batched(
    videos: Sequence[int], processes: Sequence[int], seconds: float, scene_s: float
) -> dict[str, Figures]:
    """Seconds that many videos of 640x480 take, by how many they are, then by processes.

    Args:
        videos: Numbers of videos.
        processes: Numbers of processes.
        seconds: Length of each video.
        scene_s: Seconds of it that are drawn, and shown to and fro.
    """
    found: dict[str, Figures] = {}
    with TemporaryDirectory() as place:
        face = Path(place) / "face.mp4"
        write_face(face, SIZES["640x480"], seconds, scene_s)
        for count in videos:
            folder = Path(place) / str(count)
            folder.mkdir()
            for number in range(count):
                shutil.copy(face, folder / f"{number}.mp4")
            found[str(count)] = {f"{jobs}": _batch_s(folder, jobs) for jobs in processes}
    return found


def _batch_s(folder: Path, jobs: int) -> float:
    """Seconds from the command to the table."""
    out = folder.parent / f"{folder.name}-{jobs}.csv"
    command = [sys.executable, "-m", "kdphys", "batch", str(folder), "--out", str(out)]
    began = time.perf_counter()
    subprocess.run([*command, "--jobs", str(jobs)], capture_output=True, check=True)
    return round(time.perf_counter() - began, 2)


def write_face(path: Path, size: tuple[int, int], seconds: float, scene_s: float) -> None:
    """Write a synthetic face in a picture of some width and height as H.264.

    `scene_s` of it are drawn once and shown to and fro, so that the motion has no break.
    """
    width, height = size
    film = _kept_scene(1, min(scene_s, seconds), side=480)
    kept = film.pictures[: max(2, int(SCENE_BYTES / (3 * width * height)))]
    wide = [_framed(picture, height, (width - height) // 2) for picture in kept]
    there_and_back = wide + wide[-2:0:-1]
    frames = round(seconds * FPS)
    pictures = [there_and_back[index % len(there_and_back)] for index in range(frames)]
    longer = Film(
        pictures, np.arange(frames) / FPS, [], np.zeros(frames, bool), film.pulse, film.truth
    )
    write_video(path, longer, quality=20)


def scene(seed: int, seconds: float, side: int, bpm: float | None = None) -> Film:
    """Draw a calm synthetic face at 30 frames a second.

    Args:
        seed: Of everything in it.
        seconds: Its length.
        side: Of its pictures in pixels.
        bpm: Its heart rate; drawn too unless given.
    """
    config = SyntheticConfig(
        seconds=seconds,
        difficulty=0.15,
        side=side,
        view=2.2,
        fps=FPS,
        bpm=bpm,
        negatives=0.0,
        off=("codec", "timing"),
    )
    return make_film(seed, config)


_kept_scene = cache(scene)  # for many videos that show the same


def _framed(picture: NDArray[np.uint8], side: int, across: int) -> NDArray[np.uint8]:
    """A square picture at a side, its edges repeated to the left and right."""
    large = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
    framed = cv2.copyMakeBorder(large, 0, 0, across, across, cv2.BORDER_REPLICATE)
    return np.asarray(framed, np.uint8)


def batch_rows(found: Mapping[str, Figures], seconds: float) -> list[list[str]]:
    """Rows of a table: videos, then for each number of processes seconds and videos a minute."""
    return [
        [f"{count} of {seconds:g} s"]
        + [f"{spent:.1f} ({60 * int(count) / spent:.0f} a minute)" for spent in by_jobs.values()]
        for count, by_jobs in found.items()
    ]
