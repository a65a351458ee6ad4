"""A camera for Chromium that films a synthetic face with a known pulse.

Chromium plays a film late when the machine is busy, and then a pulse of 72 bpm is one of 70. So
each picture carries its number in black and white, and a page can say how fast the film went.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np

from kdphys.crop import FaceBox, crop_face
from kdphys.view import View
from tests._films import Picture, easy_config, record

SIDE, FPS = 240, 30.0
BITS, BLOCK = 12, 8  # of the number in a picture, and pixels of each
PIECE_S = 3.0  # over which a film may go slower than it was meant, on a busy machine

# A script that has the page note when which picture came: [seconds, number] in `kdphysFilm`.
NOTE_NUMBERS = f"""() => {{
  const strip = document.createElement("canvas");
  [strip.width, strip.height] = [{BITS * BLOCK}, {BLOCK}];
  const pen = strip.getContext("2d", {{ willReadFrequently: true }});
  const see = kdphysLive.see.bind(kdphysLive);
  window.kdphysFilm = [];
  kdphysLive.see = (picture, timeS, isExact) => {{
    const area = [0, 0, strip.width, strip.height];
    pen.drawImage(picture, ...area, ...area);
    const {{ data }} = pen.getImageData(0, {BLOCK // 2}, strip.width, 1);
    let number = 0;
    for (let bit = 0; bit < {BITS}; bit++)
      number |= (data[4 * ({BLOCK} * bit + {BLOCK // 2}) + 1] > 127) << bit;
    if (kdphysLive.firstS === null) kdphysFilm.length = 0; // another session, the film anew
    kdphysFilm.push([timeS, number]);
    see(picture, timeS, isExact);
  }};
}}"""


def write_y4m(path: Path, pictures: Iterable[Picture], fps: float) -> Path:
    """Write what Chromium plays as its camera: raw YCbCr 4:2:0 of full range, each numbered."""
    with path.open("wb") as file:
        for index, picture in enumerate(pictures):
            high, wide = picture.shape[:2]
            if index == 0:
                head = f"YUV4MPEG2 W{wide} H{high} F{round(fps)}:1 Ip A1:1 C420jpeg\n"
                file.write(head.encode())
            shot = picture.copy()
            for bit in range(BITS):
                shot[:BLOCK, BLOCK * bit : BLOCK * (bit + 1)] = 255 * (index >> bit & 1)
            file.write(b"FRAME\n" + cv2.cvtColor(shot, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


def film_speeds(noted: Sequence[tuple[float, float]], pictures: int) -> tuple[float, float]:
    """Slowest and fastest that a film of so many pictures went, 1 as it was meant.

    It is looked at over `PIECE_S`, in what the page noted.
    """
    times, numbers = np.array(noted).T
    starts = np.linspace(times[0], max(times[0], times[-1] - PIECE_S), 20)
    ends = np.minimum(starts + PIECE_S, times[-1])
    shown = np.unwrap(numbers, period=pictures)
    speeds = (
        (np.interp(ends, times, shown) - np.interp(starts, times, shown)) / (ends - starts) / FPS
    )
    return float(speeds.min()), float(speeds.max())


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
