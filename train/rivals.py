"""Beside other packages that read a pulse: `make rivals`.

The PyPI package open-rppg carries public architectures with weights that learned from real faces.
Their terms are not clear, so they are compared with and nothing else. The package vitallens carries
classical methods with a face detector and a signal stage of its own. They need other versions of
what KDPhys needs, and live in an environment of their own, which make sets up from the dependency
group of the same name. All get the very same pictures, find the face by themselves, and say a rate.
"""

import json
import logging
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from kdphys.pipeline import measure
from kdphys.runtime import FPS
from train.benchmark import markdown_table
from train.evaluate import SPEEDS, check_real
from train.origin import Origin, origin
from train.scores import raw_bpm
from train.script import run_script
from train.synthetic import SyntheticConfig, make_film

logger = logging.getLogger(__name__)

SEED = 5_000_000  # of no other clips
SIDE = 256  # of the pictures, in pixels
VIEW = 2.2  # half their width in face units
SURE = 0.5  # quality of a signal above which the rivals work out variability
PACED = 4  # clips that the student reads anew after each of the others, to time it beside them
CLASSICAL = "vitallens "  # how the names of its methods begin here
OURS = ("student", "teacher")
PICTURES = """
import json, logging, os, sys, time
os.environ.setdefault("KERAS_BACKEND", "jax")
logging.disable(logging.WARNING)
import av, numpy as np

asked = json.loads(sys.argv[1])

def frames(path):
    if path.endswith(".npz"):
        with np.load(path) as film:
            yield from zip(film["frames"], film["time_s"])
        return
    with av.open(path) as source:
        for frame in source.decode(video=0):
            yield frame.to_ndarray(format="rgb24"), frame.time

def say(bpm, quality, began, count):
    ms = 1000 * (time.perf_counter() - began) / count
    row = {"bpm": bpm, "quality": quality, "ms": ms}
    row = {name: None if value is None else float(value) for name, value in row.items()}
    print("ROW", json.dumps(row), flush=True)
"""
NETWORKS = """
from rppg import Model

model = Model(asked["model"])
for clip in asked["clips"]:
    count, began = 0, time.perf_counter()
    with model:
        for picture, time_s in frames(clip["path"]):
            model.update_frame(picture, float(time_s) / clip["speed"])
            count += 1
    found = model.hr(return_hrv=False) or {}
    say(found.get("hr"), found.get("SQI"), began, count)
"""
METHODS = """
from vitallens import VitalLens

method = VitalLens(method=asked["model"], export_to_json=False)
for clip in asked["clips"]:
    began = time.perf_counter()
    pictures, times = zip(*frames(clip["path"]))
    fps = clip["speed"] * (len(times) - 1) / float(times[-1] - times[0])
    faces = method(np.stack(pictures), fps=fps)
    found = faces[0]["vitals"].get("heart_rate", {}) if faces else {}
    say(found.get("value"), found.get("confidence"), began, len(times))
"""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RivalsJob:
    """Compare with open-rppg and vitallens."""

    python: Path = Path(".venv/rivals/bin/python")
    """Interpreter of an environment in which both are installed."""
    models: tuple[str, ...] = (
        "FacePhys.rlap", "ME-flow.rlap", "PhysNet.rlap", "PhysFormer.rlap", "EfficientPhys.rlap",
        "vitallens POS", "vitallens CHROM", "vitallens G",
    )  # fmt: skip
    """Which of open-rppg's models, by its names for them, and which of vitallens' methods."""
    clips: int = 16
    """Synthetic clips of 20 s at difficulty 1."""
    seconds: float = 20.0
    """Their length."""
    faces: Path | None = None
    """Folder of portraits, as for train/evaluate.py."""
    pulses: Path | None = None
    """Folder of pulse recordings, as for train/evaluate.py."""
    real: Path | None = None
    """Real clip to read at several speeds; left out unless given."""
    real_bpm: float | None = None
    """Its heart rate at its own speed."""
    out: Path = Path("docs/results")
    """Folder for rivals.json and rivals.md."""

    def __post_init__(self) -> None:
        """Check that a real clip comes with its rate, and that the others' Python is there."""
        check_real(self.real, self.real_bpm)
        if not self.python.exists():
            raise ValueError(f"python={self.python} is not there: `make rivals` sets it up")


@dataclass(frozen=True)
class Trial:
    """A recording whose rate is known."""

    path: Path
    bpm: float
    speed: float = 1.0
    real: bool = False


@dataclass(frozen=True)
class Said:
    """What one model said of all trials, and what it took."""

    bpm: Array
    """Whatever its confidence; NaN where there was nothing to say. Shape (N,)."""
    quality: Array
    """By its own measure, 0 to 1. Shape (N,)."""
    ms: Array
    """Milliseconds a frame, from the file to the rate. Shape (N,)."""


def main(job: RivalsJob) -> None:
    """Compare, and write the table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with TemporaryDirectory() as folder:
        trials = [*_drawn(job, Path(folder)), *_replayed(job)]
        readers: dict[str, Callable[[], Said]] = {
            **{f"KDPhys {name}": partial(_ours, name, trials) for name in OURS},
            **{model: partial(_rival, job.python, model, trials) for model in job.models},
        }
        said, paces = {}, [_pace(trials)]
        for name, read in readers.items():
            said[name] = read()
            paces.append(_pace(trials))
            logger.info("%s is done", name)
    true = np.array([trial.bpm for trial in trials])
    real = np.array([trial.real for trial in trials])
    table = {
        name: _line(found, true, real, pace_ms=(before + after) / 2)
        for (name, found), (before, after) in zip(said.items(), pairwise(paces), strict=True)
    }
    made = origin()
    report = {
        "origin": asdict(made),
        "truth": [{"bpm": trial.bpm, "speed": trial.speed, "real": trial.real} for trial in trials],
        "models": table,
        "said": {
            name: {"bpm": _plain(found.bpm), "quality": _plain(found.quality)}
            for name, found in said.items()
        },
    }
    job.out.mkdir(parents=True, exist_ok=True)
    (job.out / "rivals.json").write_text(json.dumps(report, indent=1) + "\n")
    page = _page(table, job, made)
    (job.out / "rivals.md").write_text(page)
    logger.info("%s", page)


def _drawn(job: RivalsJob, folder: Path) -> Iterator[Trial]:
    """Synthetic clips, as pictures at even times."""
    config = SyntheticConfig(
        seconds=job.seconds,
        difficulty=1.0,
        negatives=0.0,
        side=SIDE,
        view=VIEW,
        fps=FPS,
        faces=job.faces,
        pulses=job.pulses,
        people="test",
        off=("timing",),
    )
    for seed in range(SEED, SEED + job.clips):
        film = make_film(seed, config)
        path = folder / f"{seed}.npz"
        np.savez(path, frames=np.stack(film.pictures), time_s=film.time_s - film.time_s[0])
        yield Trial(path, float(film.truth.bpm or 0.0))


def _replayed(job: RivalsJob) -> Iterator[Trial]:
    if job.real is not None and job.real_bpm is not None:
        for speed in SPEEDS:
            yield Trial(job.real.resolve(), speed * job.real_bpm, speed, real=True)


def _pace(trials: list[Trial]) -> float:
    """Milliseconds a frame of the student on the first clips, as fast as the machine is now."""
    return float(np.median(_ours("student", trials[:PACED]).ms))


def _ours(model: str, trials: list[Trial]) -> Said:
    """Measure every trial as the command line does."""
    rows = []
    for trial in trials:
        began = time.perf_counter()
        found = measure(trial.path, model, speed=trial.speed)
        spent_ms = 1000 * (time.perf_counter() - began)
        heart = found.vitals.heart_rate
        frames = max(1.0, found.duration_s * found.fps)
        rows.append((raw_bpm(found.wave.astype(np.float64)), heart.quality, spent_ms / frames))
    return Said(*np.array(rows, np.float64).T)


def _rival(python: Path, model: str, trials: list[Trial]) -> Said:
    """Let another package's model read every trial, in one process of its own.

    Raises:
        RuntimeError: It failed; what it said is in the message.
    """
    clips = [{"path": str(trial.path), "speed": trial.speed} for trial in trials]
    name = model.removeprefix(CLASSICAL)
    asked = json.dumps({"model": name if name == model else name.lower(), "clips": clips})
    program = PICTURES + (NETWORKS if name == model else METHODS)
    done = subprocess.run(
        [str(python), "-c", program, asked], capture_output=True, text=True, check=False
    )
    rows = [json.loads(line[4:]) for line in done.stdout.splitlines() if line.startswith("ROW ")]
    if done.returncode or len(rows) != len(trials):
        raise RuntimeError(f"{python} could not run {model}: {done.stderr[-800:]}")
    columns = ([row[name] for row in rows] for name in ("bpm", "quality", "ms"))
    return Said(*(np.array(column, np.float64) for column in columns))


def _line(
    said: Said, true: Array, real: NDArray[np.bool_], pace_ms: float
) -> dict[str, float | None]:
    """Figures of one model: synthetic clips, those it is sure of, and the real clip.

    `pace_ms` is what a frame took the student meanwhile.
    """
    errors = np.abs(said.bpm - true)
    sure = said.quality >= SURE
    drawn = ~real

    def mean(values: Array) -> float | None:
        values = values[np.isfinite(values)]  # no answer is no error, but a miss
        return round(float(values.mean()), 3) if len(values) else None

    near = (errors <= 3).astype(np.float64)
    return {
        "MAE": mean(errors[drawn]),
        "within 3": mean(near[drawn]),
        "sure": mean(sure[drawn].astype(np.float64)),
        "MAE where sure": mean(errors[drawn & sure]),
        "real within 3": mean(near[real]),
        "ms a frame": round(float(np.median(said.ms[drawn])), 2),
        "times the student": round(float(np.median(said.ms[drawn])) / pace_ms, 2),
    }


def _plain(values: Array) -> list[float | None]:
    return [round(float(value), 2) if np.isfinite(value) else None for value in values]


def _page(table: Mapping[str, Mapping[str, float | None]], job: RivalsJob, made: Origin) -> str:
    lines = [
        "# Beside other packages",
        "",
        f"Made by `make rivals` on {made}.",
        "",
        f"{job.clips} synthetic clips of {job.seconds:g} s at difficulty 1, {SIDE} pixels wide: of",
        "the world that KDPhys learned from, other people and seeds, so they favour it; the others",
        "are networks of open-rppg with its weights, which learned from real faces, and classical",
        "methods of vitallens.",
        "Errors in bpm of those that gave a number, whatever the confidence; where there is none,",
        f"it is not within 3. Sure is a quality of at least {SURE:g} by each one's own measure.",
        "Milliseconds a frame from the file to the rate, the face's detection included, with all",
        "cores, and that over what they took the student right before and after; vitallens gets",
        "all pictures at once and looks for the face once a second.",
        "",
    ]
    if job.real_bpm is not None:
        lines[-1:] = [
            f"Real: a clip of {job.real_bpm:g} bpm, whole, at speeds {SPEEDS}.",
            "",
        ]
    columns = list(next(iter(table.values())))
    cells = [
        [name, *("" if row[key] is None else f"{row[key]:g}" for key in columns)]
        for name, row in table.items()
    ]
    return "\n".join([*lines, *markdown_table(["model", *columns], cells)]) + "\n"


if __name__ == "__main__":
    run_script(main, RivalsJob)
