"""Known pulses planted in real films: `python train/planted.py --real DIR`.

What no drawn film can promise: movement, light, camera and codec of a real face, and yet a heart
rate that is known, for it was put there. Skin darkens with the planted blood as `train/optics.py`
has it, in a pattern of its own that stays on the face; the picture is rounded to 8 bits with a
dither. The films must show no pulse of their own, or there are two; as they are, they are read too.
One thing is easier than in a recording: the codec came before the pulse and can't blur it.

Films are played at several speeds before the pulse is planted, so that movement differs.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kdphys.crop import FaceBox
from kdphys.face import FaceFinder, FaceTracker
from kdphys.pipeline import Measurement, compare
from kdphys.video import Frame, find_videos, read_frames
from train.aside import aside
from train.benchmark import markdown_table
from train.evaluate import SPEEDS
from train.optics import draw_tone
from train.origin import Origin, origin
from train.pulses import Pulse, draw_pulse
from train.scores import raw_bpm
from train.script import JobError, in_processes, run_script

logger = logging.getLogger(__name__)

SEED = 13_000_000  # of no other pulses
RATES_BPM = (45.0, 150.0)
VARIABILITY = 0.5  # as for `train.pulses.draw_pulse`
NEAR_BPM = 3.0
LEAD_S = 1.0  # of the pulse, before the film begins
MAP_PX = 64  # side of the pattern of the pulse on the face
CELLS = 4  # along it, whose strength is drawn
FACE = (0.62, 0.85)  # half axes of the ellipse of skin, in half boxes
EDGE = 1.6  # how steeply it ends

Map = NDArray[np.float32]


@dataclass(frozen=True)
class PlantedJob:
    """Plant known pulses in real films, and read them."""

    real: tuple[Path, ...]
    """Films of faces without a pulse that can be read, or folders of them."""
    out: Path = Path("docs/results")
    """Folder for planted.json and planted.md."""
    models: tuple[str, ...] = ("student", "teacher", "pos", "chrom")
    """Networks and methods."""
    depths: tuple[float, ...] = (0.0005, 0.001, 0.002, 0.004)
    """Standard deviation of green's relative change by the pulse, as the picture's values have it
    (in the light it is about twice that)."""
    pulses: int = 20
    """Of each depth in each film, at rates spread evenly."""
    workers: int = 2
    """Processes that read."""
    smoke: bool = False
    """One pulse, to see that it runs to its end."""

    def __post_init__(self) -> None:
        if self.pulses < 1 or self.workers < 1:
            raise ValueError(f"pulses={self.pulses} and workers={self.workers} must be 1 or more")
        if not all(0 < depth < 0.1 for depth in self.depths):
            raise ValueError(f"depths={self.depths} must be in (0, 0.1)")


@dataclass(frozen=True)
class Case:
    """One film with one pulse."""

    film: Path
    speed: float
    """How much faster it is played."""
    depth: float
    """As for `PlantedJob.depths`; 0 for the film as it is."""
    bpm: float
    """About the rate of the pulse."""
    seed: int
    models: tuple[str, ...]


@dataclass(frozen=True)
class Read:
    """What one model read of one film."""

    model: str
    film: str
    speed: float
    depth: float
    true_bpm: float | None
    """Rate of the pulse that was planted; None for none."""
    bpm: float | None
    """The reading; None where none was given."""
    quality: float
    """Its confidence."""
    raw_bpm: float | None
    """The rate whatever its confidence."""


def main(job: PlantedJob) -> None:
    """Plant, read and report."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if job.smoke:
        job = replace(aside(job, "out"), pulses=1, depths=job.depths[-1:], workers=1)
    films = [film for path in job.real for film in find_videos(path)]
    if not films:
        raise JobError("No film was named: give --real FILE or FOLDER, of faces without a pulse.")
    made, rows = origin(), []
    for found in in_processes(read, cases(job, films), job.workers, "read a film"):
        rows += found
        logger.info("%s", " ".join(map(_told, found)))
    report = {"origin": asdict(made), "pulses": job.pulses, "rows": [asdict(row) for row in rows]}
    job.out.mkdir(parents=True, exist_ok=True)
    (job.out / "planted.json").write_text(json.dumps(report, indent=1) + "\n")
    (job.out / "planted.md").write_text(page(rows, job, made))


def cases(job: PlantedJob, films: Sequence[Path]) -> Iterator[Case]:
    """Give what is to be read: each film as it is, and with each pulse."""
    for film in films:
        speeds = SPEEDS[1:2] if job.smoke else SPEEDS
        yield from (Case(film, speed, 0.0, 0.0, 0, job.models) for speed in speeds)
        for depth in job.depths:
            for number, bpm in enumerate(np.linspace(*RATES_BPM, job.pulses)):
                speed = speeds[number % len(speeds)]
                yield Case(film, speed, depth, float(bpm), SEED + number, job.models)


def read(case: Case) -> list[Read]:
    """Read one film, with every model."""
    cv2.setNumThreads(1)
    frames, true_bpm = read_frames(case.film, case.speed), None
    if case.depth:
        boxes, length_s = follow(case.film)
        rng = np.random.default_rng(case.seed)
        pulse = draw_pulse(rng, length_s / case.speed + 2 * LEAD_S, VARIABILITY, case.bpm)
        frames, true_bpm = plant(frames, boxes, pulse, case.depth, rng), pulse.bpm
    found = compare(case.film, case.models, frames=frames)
    return [_row(case, true_bpm, one) for one in found.values()]


def plant(
    frames: Iterator[Frame],
    boxes: Sequence[FaceBox | None],
    pulse: Pulse,
    depth: float,
    rng: np.random.Generator,
) -> Iterator[Frame]:
    """Plant a pulse in the face of a film.

    Args:
        frames: The film.
        boxes: Where the face is in each frame; None where there is none.
        pulse: The pulse, from `LEAD_S` before the film to its end.
        depth: Standard deviation of green's relative change, the mean over the face.
        rng: For the skin's colour, the pattern on the face and the dither.

    Yields:
        The same frames, the face darker the more blood there is.
    """
    tone = draw_tone(rng)[0]
    colour = (depth * tone.pulse / tone.pulse[1]).astype(np.float32)
    pattern = draw_pattern(rng)
    for frame, box in zip(frames, boxes, strict=True):
        if box is None:
            yield frame
            continue
        blood = float(pulse.at(np.array([frame.time_s + LEAD_S]))[0])
        there = _on_face(pattern, box, frame.rgb)
        light = frame.rgb * (1 - np.float32(blood) * there * colour)
        light += rng.random(light.shape, np.float32)  # of it, rounding down leaves the mean
        yield replace(frame, rgb=np.clip(light, 0, 255).astype(np.uint8))


def draw_pattern(rng: np.random.Generator) -> Map:
    """Draw how strong the pulse is over a face's box, 1 in the mean of the face. Shape (M, M)."""
    down, across = np.mgrid[-1 : 1 : MAP_PX * 1j, -1 : 1 : MAP_PX * 1j]
    inside = np.clip(EDGE * (1 - (across / FACE[0]) ** 2 - (down / FACE[1]) ** 2), 0, 1)
    cells = rng.uniform(0.5, 1.5, (CELLS, CELLS)).astype(np.float32)
    pattern = inside * cv2.resize(cells, (MAP_PX, MAP_PX), interpolation=cv2.INTER_LINEAR)
    return (pattern / np.average(pattern, weights=inside)).astype(np.float32)


@cache
def follow(film: Path) -> tuple[tuple[FaceBox | None, ...], float]:
    """Follow the face through a film; gives a box for each frame, and the film's seconds."""
    tracker, boxes, time_s = FaceTracker(FaceFinder()), [], 0.0
    for frame in read_frames(film):
        time_s = frame.time_s
        boxes.append(tracker.update(frame.rgb, time_s))
    return tuple(boxes), time_s


def _on_face(pattern: Map, box: FaceBox, picture: NDArray[np.uint8]) -> Map:
    """Lay a pattern over the face in a picture. Shape (H, W, 1)."""
    across, down = box.width / MAP_PX, box.height / MAP_PX
    place = np.array([[across, 0, box.x0], [0, down, box.y0]], np.float32)
    wide = cv2.warpAffine(pattern, place, picture.shape[1::-1])
    return np.asarray(wide, np.float32)[..., None]


def _row(case: Case, true_bpm: float | None, one: Measurement) -> Read:
    heart, raw = one.vitals.heart_rate, raw_bpm(one.wave.astype(np.float64))
    return Read(
        model=one.model,
        film=case.film.name,
        speed=case.speed,
        depth=case.depth,
        true_bpm=true_bpm,
        bpm=heart.value,
        quality=round(heart.quality, 3),
        raw_bpm=None if np.isnan(raw) else raw,
    )


def _told(row: Read) -> str:
    true = "no pulse" if row.true_bpm is None else f"{row.true_bpm:.1f} at {100 * row.depth:g} %"
    found = "none" if row.bpm is None else f"{row.bpm:.1f}"
    return f"[{row.model} {row.film} x{row.speed:g}: {true}, {found} ({row.quality:.2f})]"


def page(rows: Sequence[Read], job: PlantedJob, made: Origin) -> str:
    """The tables as Markdown."""
    films = list(dict.fromkeys(row.film for row in rows))
    lines = [
        "# Known pulses planted in real films",
        "",
        f"Made by `python train/planted.py --pulses {job.pulses} --real {' '.join(films)}`",
        f"(there with their folder) on {made}.",
        "",
        f"Pulses of {RATES_BPM[0]:g} to {RATES_BPM[1]:g} bpm, drawn as for training, of seeds that",
        f"it never takes; films played at {', '.join(map(str, SPEEDS))} times their",
        "speed. The depth is the standard deviation of green's relative change in the picture. The",
        "pulse was planted after decoding: the codec can't have blurred it. Each cell: readings",
        "given, those within 3 bpm, and rates within 3 bpm whatever the confidence.",
        "",
    ]
    depths = [depth for depth in dict.fromkeys(row.depth for row in rows) if depth]
    head = ["film", "model", "as it is: given", *(f"{100 * depth:g} %" for depth in depths)]
    table = []
    for film in films:
        for model in dict.fromkeys(row.model for row in rows):
            own = [row for row in rows if (row.film, row.model) == (film, model)]
            bare = [row for row in own if not row.depth]
            cells = [_cell([row for row in own if row.depth == depth]) for depth in depths]
            given = sum(row.bpm is not None for row in bare)
            table.append([film, model, f"{given} of {len(bare)}", *cells])
    lines += markdown_table(head, table)
    lines += ["", "## Readings that are off by more than 3 bpm", ""]
    wrong = [_told(row) for row in rows if row.bpm is not None and not _near(row.bpm, row)]
    lines += [f"* {one}" for one in wrong if "no pulse" not in one] or ["none"]
    return "\n".join(lines) + "\n"


def _near(bpm: float | None, row: Read) -> bool:
    """Whether a rate is the one that was planted."""
    return bpm is not None and row.true_bpm is not None and abs(bpm - row.true_bpm) <= NEAR_BPM


def _cell(rows: Sequence[Read]) -> str:
    given = sum(row.bpm is not None for row in rows)
    right = sum(_near(row.bpm, row) for row in rows)
    return f"{given} of {len(rows)}, {right}, {sum(_near(row.raw_bpm, row) for row in rows)}"


if __name__ == "__main__":
    run_script(main, PlantedJob)
