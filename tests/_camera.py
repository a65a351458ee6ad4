"""A camera for Chromium that films a synthetic face with a known pulse."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from kdphys.crop import FaceBox, crop_face
from kdphys.view import View
from tests._films import Picture, easy_config, record

SIDE, FPS = 240, 30.0


def write_y4m(path: Path, pictures: Iterable[Picture], fps: float) -> Path:
    """Write what Chromium plays as its camera: raw YCbCr 4:2:0 of full range."""
    with path.open("wb") as file:
        for index, picture in enumerate(pictures):
            high, wide = picture.shape[:2]
            if index == 0:
                head = f"YUV4MPEG2 W{wide} H{high} F{round(fps)}:1 Ip A1:1 C420jpeg\n"
                file.write(head.encode())
            file.write(b"FRAME\n" + cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


def film_rates(rates: Iterable[float], seconds: float, seed: int = 10) -> list[Picture]:
    """One still, well-lit face whose rate steps: `seconds` of each rate, 30 pictures a second.

    The random numbers of a film are the same for each rate, so that only the pulse changes.
    """
    pictures: list[Picture] = []
    for bpm in rates:
        config = easy_config(
            seconds=seconds,
            bpm=bpm,
            fps=FPS,
            side=SIDE,
            off=("codec", "timing", "rhythm", "talk", "motion", "blink"),
        )
        pictures += record(seed, config).pictures[: round(seconds * FPS)]
    return [wide(picture) for picture in pictures]


def wide(picture: Picture) -> Picture:
    """A square picture in the middle of one of 4 : 3, as cameras give it."""
    border = SIDE * 4 // 3 - SIDE
    left = border // 2
    sides = ((0, 0), (left, border - left), (0, 0))
    return np.pad(picture, sides, mode="edge")


def shown(rgb: Picture, view: View) -> Picture:
    """What a browser sends: the part averaged down, the picture's edge going on beyond it."""
    part = FaceBox(view.x, view.y, view.x + view.side, view.y + view.side, 1.0)
    return crop_face(rgb, part, view.pixels)
