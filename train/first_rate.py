"""After how much video a right rate is shown, and stays.

Synthetic faces of known rates, calm and well lit, go through what people use: the student live, as
for a camera, and both networks on the clip so far, as for a file that is that long. Networks with
random weights read nothing; of them it is only known how many frames they take in before they say
anything.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from kdphys.noticed import LEAST_SECONDS
from kdphys.runtime import FPS
from kdphys.stream import FaceStream, LiveMeter, compare_crops
from train.benchmark import markdown_table
from train.costs import LIVE, STUDENT, TEACHER, Cost
from train.growth import scene
from train.synthetic import Film

SEED = 9_000_000  # of clips that neither training nor tests take
RATES_BPM = (72.0, 55.0, 85.0, 105.0, 140.0)  # of the clips
SECONDS = 20.0
EVERY_S = 0.5  # between two readings
NEAR_BPM = 3.0


@dataclass(frozen=True)
class Reading:
    """What stood there at a time."""

    time_s: float
    """Of the video so far."""
    bpm: float | None
    compute_s: float
    """That the reading took, once its last picture was there."""


@dataclass(frozen=True)
class Wait:
    """How long one waits for a right rate."""

    name: str
    video_s: tuple[float | None, ...]
    """Video until it, of each clip; None where none came and stayed."""
    compute_s: float
    """Median time to work it out then; 0 where none came."""
    is_measured: bool = True
    """Otherwise it is the least that is possible, the length of the input."""

    def __str__(self) -> str:
        """As a table has it."""
        known = [seconds for seconds in self.video_s if seconds is not None]
        if not known:
            return "never"
        total = median(known) + self.compute_s
        return f"{total:.1f} s" if self.is_measured else f"at least {total:.1f} s"


def waits(clips: int = len(RATES_BPM), seconds: float = SECONDS) -> list[Wait]:
    """Measure ours.

    Args:
        clips: How many faces, at most as many as there are rates.
        seconds: Length of the films.
    """
    ways = {
        LIVE: _live,
        STUDENT: lambda film: _clip_so_far(film, "student"),
        TEACHER: lambda film: _clip_so_far(film, "teacher"),
    }
    films = [
        (rate, scene(SEED + at, seconds, side=240, bpm=rate))
        for at, rate in enumerate(RATES_BPM[:clips])
    ]
    return [_wait(name, films, read) for name, read in ways.items()]


def by_construction(cost: Cost) -> Wait:
    """The least that a network makes one wait: its input has to be there, and be worked through."""
    return Wait(cost.name, (round(cost.frames / FPS, 2),), cost.call_s, is_measured=False)


def table(found: Sequence[Wait]) -> list[str]:
    """Lines of a Markdown table."""
    rows = []
    for wait in found:
        known = [seconds for seconds in wait.video_s if seconds is not None]
        video = f"at least {wait.video_s[0]:g}"
        if wait.is_measured:
            spread = f"{median(known):g} ({min(known):g} to {max(known):g})" if known else ""
            video = f"{spread}, {len(known)} of {len(wait.video_s)} clips"
        rows.append([wait.name, video, f"{1000 * wait.compute_s:.1f}"])
    return markdown_table(["", "s of video", "then ms of computing"], rows)


def settled(readings: Sequence[Reading], true_bpm: float) -> Reading | None:
    """The first right reading after which all are right; None where the last one is not."""
    first = None
    for reading in readings:
        is_right = reading.bpm is not None and abs(reading.bpm - true_bpm) <= NEAR_BPM
        first = (first or reading) if is_right else None
    return first


def _wait(
    name: str, films: Sequence[tuple[float, Film]], read: Callable[[Film], Iterator[Reading]]
) -> Wait:
    found = [settled(list(read(film)), film.truth.bpm or rate) for rate, film in films]
    compute_s = [reading.compute_s for reading in found if reading]
    return Wait(
        name,
        tuple(None if reading is None else round(reading.time_s, 2) for reading in found),
        round(median(compute_s), 4) if compute_s else 0.0,
    )


def _live(film: Film) -> Iterator[Reading]:
    """Push pictures one by one."""
    meter = LiveMeter(every_s=EVERY_S)
    for picture, time_s in zip(film.pictures, film.time_s - film.time_s[0], strict=True):
        began = time.perf_counter()
        vitals = meter.push(picture, float(time_s))
        if vitals:
            spent_s = time.perf_counter() - began
            yield Reading(float(time_s), vitals.heart_rate.value, spent_s)


def _clip_so_far(film: Film, model: str) -> Iterator[Reading]:
    """Show a network all crops so far, again and again."""
    crops = _crops(film)
    step = round(EVERY_S * FPS)
    for frames in range(round(LEAST_SECONDS * FPS), len(crops) + 1, step):
        began = time.perf_counter()
        found = compare_crops(crops[:frames], [model])[model]
        yield Reading(frames / FPS, found.heart_rate.value, time.perf_counter() - began)


def _crops(film: Film) -> NDArray[np.uint8]:
    """The face at 30 Hz. Shape (T, S, S, 3)."""
    faces = FaceStream()
    seen = [
        crops.pixels
        for picture, time_s in zip(film.pictures, film.time_s, strict=True)
        if (crops := faces.push(picture, float(time_s)))
    ]
    return np.concatenate(seen)
