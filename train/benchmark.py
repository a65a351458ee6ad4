"""Heart rates against a contact sensor: `python train/evaluate.py --dataset ubfc --root DIR`.

A recording is measured by the same path as any video; its truth is the rate that the contact wave
shows over the same seconds, read by the same estimator, if that wave as a whole shows a steady
pulse. Errors count whatever the confidence, as in the literature, of the recordings in which a face
was seen long enough for a rate; "within 3" counts the others too, as missed, and beside them stands
the share for which a reading would have been shown. People, not recordings, are drawn for the
intervals: recordings of one person are not independent.

The column "MAE, toolbox protocol" reads both waves as the public toolbox does (Liu et al. 2023,
arXiv 2210.00716): detrended, 0.75 to 2.5 Hz, and the highest bin of an FFT of the next power of
two, not interpolated. Its bins are 3.5 bpm wide at 10 s and 0.9 bpm at 60 s, so it calls small
errors none. Pictures are after Bland & Altman (1986, doi 10.1016/S0140-6736(86)90837-8).
"""

import json
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from scipy import linalg, signal

from kdphys.errors import KDPhysError
from kdphys.hub import load_named
from kdphys.metrics import (
    confidence_interval,
    mae,
    mape,
    pearson,
    rmse,
    wave_snr_db,
    within,
)
from kdphys.pipeline import Measurement, compare
from kdphys.pulse import runs
from kdphys.runtime import CLASSICAL, FPS
from kdphys.vitals import LEAST_QUALITY, LEAST_SECONDS
from train.card import all_recipes
from train.datasets import MANIFEST, read_store
from train.labels import Array, label_on_grid, rate_of
from train.origin import Origin, origin
from train.recordings import Dataset, Recording, check_split, people_of, read_recordings
from train.script import JobError

logger = logging.getLogger(__name__)

TOOLBOX_BAND_HZ = (0.75, 2.5)
TOOLBOX_SMOOTHNESS = 100.0
LONGEST_S = 4 * 3600.0  # of a recording; a later stamp is a fault of the sensor's clock

Measure = Callable[[Array, Array], float]


@dataclass(frozen=True)
class BenchmarkJob:
    """Test models on a real data set."""

    dataset: Dataset
    """Which set."""
    root: Path | None
    """Where it lies."""
    out: Path
    """Folder for the tables and pictures."""
    models: tuple[str, ...]
    """Which models."""
    people: Path | None = None
    """Folder of clips whose people are tested; all otherwise."""
    trained_on: tuple[Path, ...] = ()
    """Folders of clips whose people must not be tested."""
    most: int | None = None
    """Measure no more than this many recordings."""
    command: str = ""
    """The command line that asked for it, for the page."""


@dataclass(frozen=True)
class Outcome:
    """What one model said about one recording; NaN where it said nothing."""

    recording: Recording
    model: str
    true_bpm: float
    """What the contact sensor says over the same seconds, or as a whole where nothing was read;
    NaN where it shows no steady pulse."""
    bpm: float = math.nan
    """Rate whatever its confidence."""
    given_bpm: float = math.nan
    """Rate that is shown."""
    quality: float = 0.0
    """Confidence in [0, 1]."""
    snr_db: float = math.nan
    """Power of the wave at the true rate and its harmonics over the rest."""
    toolbox_bpm: float = math.nan
    """Rate by the toolbox protocol."""
    toolbox_true_bpm: float = math.nan
    """Rate of the contact wave by the toolbox protocol."""
    refused: str | None = None
    """Why the recording can't be measured."""


class Estimate(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Give it as a table shows it."""
        if not math.isfinite(self.value):
            return ""
        if not math.isfinite(self.low):
            return f"{self.value:.2f}"
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Line:
    """One line of a table: a model on a group of recordings."""

    model: str
    group: str
    recordings: int
    people: int
    labelled: int
    """Recordings whose contact sensor shows a steady pulse."""
    read: int
    """Of those, the ones in which a face was seen long enough for a rate; errors are theirs."""
    readings: float
    """Share of the recordings for which a rate is shown."""
    figures: dict[str, Estimate]
    """By the name of the column."""


def run_benchmark(job: BenchmarkJob) -> list[Outcome]:
    """Measure a data set; print and write its tables and pictures.

    Args:
        job: What to do.

    Returns:
        Every single outcome.

    Raises:
        ValueError: Models were trained on people of this test, or nobody is left to test.
    """
    outcomes: list[Outcome] = []
    for recording in chosen_recordings(job):
        found = measure_recording(recording, job.models)
        outcomes += found
        words = ", ".join(f"{one.model} {one.bpm:.1f}" for one in found)
        logger.info("%s: true %.1f, %s", recording.name, found[0].true_bpm, words)
    job.out.mkdir(parents=True, exist_ok=True)
    tables = {
        kind: [line for model in job.models for line in summarise(outcomes, model, kind)]
        for kind in ("all", "activity", "skin tone", "light")
    }
    made = origin()
    page = _page(job, tables, outcomes, made)
    print(page)
    (job.out / f"{job.dataset}.md").write_text(page)
    (job.out / f"{job.dataset}.json").write_text(_as_json(job, tables, outcomes, made))
    for model in job.models:
        own = [one for one in outcomes if one.model == model]
        read, true = (np.array(x) for x in zip(*((o.bpm, o.true_bpm) for o in own), strict=True))
        picture = draw_bland_altman(read, true, f"{model} on {job.dataset}")
        (job.out / _picture_of(job, model)).write_text(picture)
    return outcomes


def _picture_of(job: BenchmarkJob, model: str) -> str:
    """Name of a model's picture; that of one on the Hub holds what no file's name may."""
    return f"{job.dataset}_{re.sub('[^0-9A-Za-z.-]', '_', model)}.svg"


def chosen_recordings(job: BenchmarkJob) -> list[Recording]:
    """Read the recordings to test on, none of people that training has seen.

    Raises:
        ValueError: Someone is on both sides, or nobody is left.
    """
    recordings = read_recordings(job.dataset, job.root)
    if job.people:
        wanted = people_of(job.people)
        recordings = [one for one in recordings if one.subject in wanted]
        if not recordings:
            raise JobError(
                f"{job.people} holds nobody of {job.root}; give the test folder that "
                f"train/recordings.py wrote for {job.dataset}"
            )
    trained_on = job.trained_on
    if job.dataset == "folder" and not trained_on:
        trained_on = _other_side(job)
    seen = {person for folder in trained_on for person in people_of(folder)}
    seen |= {person for model in job.models for person in _taught_by(model)}
    check_split(seen, {one.subject for one in recordings})
    return recordings[: job.most]


def _manifest(model: str) -> Mapping[str, object]:
    """What stands beside a network's weights; nothing for a classical method."""
    if model in CLASSICAL:
        return {}
    return load_named(model).manifest


def recipes_behind(model: str) -> list[dict[str, dict[str, object]]]:
    """Recipes of all clips from which a network, or a teacher of it, learned."""
    return all_recipes(cast(dict[str, object], _manifest(model).get("run", {})))


def _taught_by(model: str) -> set[str]:
    """The people from whom a network learned, as far as its manifest names them."""
    named = [cast(object, recipe.get("people")) for recipe in recipes_behind(model)]
    return {str(one) for people in named if isinstance(people, list) for one in people}


def _other_side(job: BenchmarkJob) -> tuple[Path, ...]:
    """Find the clips that networks learned from which name nobody: beside those of --people.

    Raises:
        JobError: A network learned from other clips than those, or there are none.
    """
    learned = {model: _digests_of_its_own(model) for model in job.models}
    unnamed = [model for model, digests in learned.items() if digests]
    if not unnamed:
        return ()
    train = job.people.parent / "train" if job.people else None
    if train and (train / MANIFEST).exists():
        there = read_store(train).sha256
        if all(known == there for model in unnamed for known in learned[model]):
            return (train,)
    raise JobError(
        f"{', '.join(unnamed)} learned from a folder of one's own, and whose faces it holds is "
        "not kept with the weights: name the clips with --trained-on, or who may be tested with "
        "--people, the test folder beside the training folder that it learned from"
    )


def _digests_of_its_own(model: str) -> list[object]:
    """What is known of the clips of each folder of someone's own that a network learned from."""
    return [
        recipe.get("sha256")  # none where it learned before that was kept
        for recipe in recipes_behind(model)
        if recipe.get("config", {}).get("dataset") == "folder"
    ]


def digests_of(models: Sequence[str]) -> dict[str, str]:
    """The sha256 of each network's trained numbers, so that it is known whose results these are."""
    manifests = {model: _manifest(model) for model in models if model not in CLASSICAL}
    return {
        model: cast(dict[str, str], manifest["sha256"])["model.safetensors"]
        for model, manifest in manifests.items()
    }


def measure_recording(recording: Recording, models: Sequence[str]) -> list[Outcome]:
    """Measure one recording with every model; a refusal is an outcome too.

    Args:
        recording: What to measure.
        models: Their names.

    Returns:
        One outcome a model.
    """
    try:
        found = compare(Path(recording.name), models, frames=recording.watch())
    except KDPhysError as error:
        truth = _whole_truth(recording)
        return [Outcome(recording, model, truth, refused=str(error)) for model in models]
    return [_compared(recording, model, measurement) for model, measurement in found.items()]


def _compared(recording: Recording, model: str, found: Measurement) -> Outcome:
    """Read a wave, and the contact wave over the same seconds."""
    wave = found.wave.astype(np.float64)
    truth, toolbox_truth = _sensor_bpm(recording, len(wave) / FPS), math.nan
    if recording.wave is not None:
        label = label_on_grid(recording.wave, len(wave), FPS)
        truth = _steady_bpm(label)
        label[~np.isfinite(wave)] = np.nan
        wave[~np.isfinite(label)] = np.nan
        there = rate_of(label, FPS)
        if there and math.isfinite(truth):
            truth, toolbox_truth = there.bpm, toolbox_bpm(label, FPS)
    rate = rate_of(wave, FPS)
    heart = found.vitals.heart_rate
    return Outcome(
        recording=recording,
        model=model,
        true_bpm=truth,
        bpm=math.nan if rate is None else rate.bpm,
        given_bpm=math.nan if heart.value is None else heart.value,
        quality=heart.quality,
        snr_db=_snr_db(wave, truth),
        toolbox_bpm=toolbox_bpm(wave, FPS),
        toolbox_true_bpm=toolbox_truth,
    )


def _whole_truth(recording: Recording) -> float:
    """Rate of the contact sensor from its beginning to its end; NaN without a steady pulse."""
    if recording.wave is None:
        return _sensor_bpm(recording, math.inf)
    ends_s = min(recording.wave.time_s.max(initial=0.0), LONGEST_S)
    steps = math.ceil(ends_s * FPS)
    return _steady_bpm(label_on_grid(recording.wave, steps, FPS))


def _steady_bpm(label: Array) -> float:
    """Rate of a contact wave; NaN where it shows no steady pulse, as of a finger that slipped."""
    rate = rate_of(label, FPS)
    return math.nan if rate is None or rate.quality < LEAST_QUALITY else rate.bpm


def _sensor_bpm(recording: Recording, seconds: float) -> float:
    """Mean rate of the first seconds as the set gives it; NaN where it gives none."""
    if recording.rate is None:
        return math.nan
    time_s = recording.rate.time_s
    rates = recording.rate.values[(time_s >= 0) & (time_s <= seconds)]
    rates = rates[rates > 0]  # an oximeter says 0 where it has no reading
    return float(rates.mean()) if len(rates) else math.nan


def toolbox_bpm(wave: Array, fps: float) -> float:
    """Heart rate by the toolbox protocol: the highest bin of a coarse FFT.

    Detrending is after Tarvainen et al. (2002, doi 10.1109/10.979357).

    Args:
        wave: Pulse wave, of which the longest stretch without a gap is read. Shape (T,).
        fps: Sampling rate in Hz.

    Returns:
        The rate; NaN below 6 s of wave.
    """
    heard = _longest(wave, fps)
    if heard is None:
        return math.nan
    sos = signal.butter(1, TOOLBOX_BAND_HZ, btype="bandpass", fs=fps, output="sos")
    kept = signal.sosfiltfilt(sos, heard - _trend(heard))
    points = 1 << (len(kept) - 1).bit_length()
    hz, power = np.fft.rfftfreq(points, 1 / fps), np.abs(np.fft.rfft(kept, points))
    inside = (hz >= TOOLBOX_BAND_HZ[0]) & (hz <= TOOLBOX_BAND_HZ[1])
    return float(60 * hz[inside][power[inside].argmax()])


def _trend(wave: Array) -> Array:
    """The smoothest curve through a wave: (1 + s^2 D'D)^-1, D the second differences."""
    bands = np.zeros((3, len(wave)))
    bands[0, 2:] = 1
    bands[1, 1:] = -4
    bands[1, [1, -1]] = -2
    bands[2] = 6
    bands[2, [1, -2]] = 5
    bands[2, [0, -1]] = 1
    bands *= TOOLBOX_SMOOTHNESS**2
    bands[2] += 1
    return np.asarray(linalg.solveh_banded(bands, wave), np.float64)


def _snr_db(wave: Array, bpm: float) -> float:
    heard = _longest(wave, FPS)
    if heard is None or not math.isfinite(bpm) or np.ptp(heard) == 0:
        return math.nan
    return wave_snr_db(heard, FPS, bpm)


def _longest(wave: Array, fps: float) -> Array | None:
    """The longest stretch of a wave without a gap, of at least `LEAST_SECONDS`."""
    found = runs(wave, fps, LEAST_SECONDS)
    return wave[max(found, key=lambda run: run.stop - run.start)] if found else None


# Tables -------------------------------------------------------------------------------------------


def summarise(outcomes: Sequence[Outcome], model: str, kind: str) -> list[Line]:
    """Sum up what a model said, for each group of recordings that has a label.

    Args:
        outcomes: Of all models.
        model: Whose.
        kind: "all", "activity", "skin tone" or "light".

    Returns:
        One line a group, sorted by name; none where nothing is labelled.
    """
    groups: dict[str, list[Outcome]] = {}
    for one in outcomes:
        label = {
            "all": "all",
            "activity": one.recording.activity,
            "skin tone": one.recording.skin_tone,
            "light": one.recording.light,
        }[kind]
        if one.model == model and label:
            groups.setdefault(label, []).append(one)
    return [_line(model, name, groups[name]) for name in sorted(groups)]


def _line(model: str, group: str, outcomes: Sequence[Outcome]) -> Line:
    people = [one.recording.subject for one in outcomes]
    true, bpm, given, snr, coarse, coarse_true = np.array(
        [
            (o.true_bpm, o.bpm, o.given_bpm, o.snr_db, o.toolbox_bpm, o.toolbox_true_bpm)
            for o in outcomes
        ]
    ).T
    columns: dict[str, tuple[Measure, Array, Array]] = {
        "MAE": (mae, bpm, true),
        "RMSE": (rmse, bpm, true),
        "MAPE %": (mape, bpm, true),
        "r": (pearson, bpm, true),
        "within 3 %": (_within_3, bpm, true),
        "SNR dB": (_mean, snr, true),
        "MAE of readings": (mae, given, true),
        "MAE, toolbox protocol": (mae, coarse, coarse_true),
    }
    return Line(
        model=model,
        group=group,
        recordings=len(outcomes),
        people=len(set(people)),
        labelled=int(np.isfinite(true).sum()),
        read=int((np.isfinite(true) & np.isfinite(bpm)).sum()),
        readings=float(np.isfinite(given).mean()),
        figures={name: _estimate(*column, people) for name, column in columns.items()},
    )


def _estimate(measure: Measure, found: Array, true: Array, people: Sequence[str]) -> Estimate:
    """A figure with its interval; the same people are drawn for every figure and model."""
    rng = np.random.default_rng(0)
    low, high = confidence_interval(measure, found, true, rng, whose=np.asarray(people))
    return Estimate(measure(found, true), low, high)


def _within_3(found: Array, true: Array) -> float:
    return 100 * within(found, true, 3.0)


def _mean(found: Array, _true: Array) -> float:
    known = found[np.isfinite(found)]
    return float(known.mean()) if len(known) else math.nan


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _page(
    job: BenchmarkJob, tables: dict[str, list[Line]], outcomes: Sequence[Outcome], made: Origin
) -> str:
    """The tables as Markdown."""
    refused = [one for one in outcomes if one.refused and one.model == job.models[0]]
    command = job.command or f"python train/evaluate.py --dataset {job.dataset} --root DIR"
    lines = [
        f"# {job.dataset}",
        "",
        f"Made by `{command}` on {made}.",
        "",
        "Errors in bpm whatever the confidence, with 95 % bootstrap intervals over people;",
        "readings are what is shown. The last column is the public toolbox's protocol (see",
        "train/benchmark.py): figures of other papers are made like it, and it can't see errors",
        "within a bin of its spectrum.",
        "Labelled are recordings whose contact sensor shows a steady pulse; errors are of those in",
        "which a face was seen long enough for a rate (read), and within 3 counts the rest of the",
        f"labelled as missed. {len(refused)} could not be measured at all.",
        "",
    ]
    for kind, table in tables.items():
        if not table:
            continue
        if kind != "all":
            lines += ["", f"## By {kind}", ""]
        lines += markdown_table(
            [
                *("model", kind, "recordings", "people", "labelled", "read", "readings"),
                *table[0].figures,
            ],
            [
                [
                    line.model,
                    line.group,
                    str(line.recordings),
                    str(line.people),
                    str(line.labelled),
                    str(line.read),
                    f"{100 * line.readings:.0f} %",
                    *map(str, line.figures.values()),
                ]
                for line in table
            ],
        )
    pictures = [f"![Bland-Altman, {m}]({_picture_of(job, m)})" for m in job.models]
    return "\n".join([*lines, "", *pictures]) + "\n"


def _as_json(
    job: BenchmarkJob, tables: dict[str, list[Line]], outcomes: Sequence[Outcome], made: Origin
) -> str:
    """The tables and every single outcome."""
    report = {
        "dataset": job.dataset,
        "command": job.command,
        "origin": asdict(made),
        "weights": digests_of(job.models),
        "tables": {
            kind: [
                {
                    "model": line.model,
                    kind: line.group,
                    "recordings": line.recordings,
                    "people": line.people,
                    "labelled": line.labelled,
                    "read": line.read,
                    "readings": _number(line.readings),
                    "figures": {
                        name: [_number(value) for value in figure]
                        for name, figure in line.figures.items()
                    },
                }
                for line in table
            ]
            for kind, table in tables.items()
        },
        "outcomes": [
            {
                "recording": one.recording.name,
                "subject": one.recording.subject,
                "model": one.model,
                "true_bpm": _number(one.true_bpm),
                "bpm": _number(one.bpm),
                "given_bpm": _number(one.given_bpm),
                "quality": _number(one.quality),
                "snr_db": _number(one.snr_db),
                "toolbox_bpm": _number(one.toolbox_bpm),
                "toolbox_true_bpm": _number(one.toolbox_true_bpm),
                "refused": one.refused,
            }
            for one in outcomes
        ],
    }
    return json.dumps(report, indent=1) + "\n"


def _number(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


# Picture ------------------------------------------------------------------------------------------

WIDTH, HEIGHT, EDGE = 640, 420, 60  # of the picture and its margins, in pixels
STEPS = (1, 2, 5, 10, 20, 50, 100)


def draw_bland_altman(found: Array, true: Array, title: str) -> str:
    """Draw differences over means, with the bias and the limits of agreement, as SVG.

    Args:
        found: Rates that were read. Shape (N,).
        true: True rates. Shape (N,).
        title: What stands above.

    Returns:
        The text of an SVG file; pairs without both rates are left out.
    """
    both = np.isfinite(found) & np.isfinite(true)
    mean, off = (found[both] + true[both]) / 2, found[both] - true[both]
    bias = float(off.mean()) if len(off) else 0.0
    spread = 1.96 * float(off.std(ddof=1)) if len(off) > 1 else 0.0
    reach = max(5.0, 1.1 * max(map(abs, (bias - spread, bias + spread, *off.tolist()))))
    x_axis = _Axis(
        *((mean.min() - 5, mean.max() + 5) if len(mean) else (40, 180)), EDGE, WIDTH - 20
    )
    y_axis = _Axis(-reach, reach, HEIGHT - EDGE, 40)
    marks = [_tick(x_axis.at(x), HEIGHT - EDGE + 18, x, "middle") for x in x_axis.ticks()]
    marks += [_tick(EDGE - 8, y_axis.at(y) + 4, y, "end") for y in y_axis.ticks()]
    lines = [
        _level(y_axis.at(bias), f"bias {bias:+.2f}", ""),
        _level(y_axis.at(bias + spread), f"+1.96 SD {bias + spread:+.2f}", "6 4"),
        _level(y_axis.at(bias - spread), f"-1.96 SD {bias - spread:+.2f}", "6 4"),
    ]
    dots = [
        f'<circle cx="{x_axis.at(x):.1f}" cy="{y_axis.at(y):.1f}" r="4" fill="#1f5f8b" '
        'fill-opacity="0.6"/>'
        for x, y in zip(mean.tolist(), off.tolist(), strict=True)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            f'<text x="{EDGE}" y="24" font-size="15">{escape(title)}, {len(off)} recordings</text>',
            f'<path d="M{EDGE} 40V{HEIGHT - EDGE}H{WIDTH - 20}" fill="none" stroke="black"/>',
            *marks,
            *lines,
            *dots,
            f'<text x="{WIDTH / 2}" y="{HEIGHT - 18}" text-anchor="middle">mean of video and '
            "sensor in bpm</text>",
            f'<text transform="translate(16 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">video '
            "minus sensor in bpm</text>",
            "</svg>\n",
        ]
    )


class _Axis(NamedTuple):
    """From numbers to pixels."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, value: float) -> float:
        """Place a number."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Round numbers on the axis, at most eight."""
        span = self.high - self.low
        step = next((step for step in STEPS if span / step <= 8), STEPS[-1])
        first = math.ceil(self.low / step)
        return [float(step * k) for k in range(first, math.floor(self.high / step) + 1)]


def _tick(x: float, y: float, value: float, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{value:g}</text>'


def _level(y: float, words: str, dashes: str) -> str:
    """A line across the picture with words on it."""
    return (
        f'<path d="M{EDGE} {y:.1f}H{WIDTH - 20}" stroke="#b03a2e" stroke-dasharray="{dashes}"/>'
        f'<text x="{WIDTH - 22}" y="{y - 4:.1f}" text-anchor="end" fill="#b03a2e">{words}</text>'
    )
