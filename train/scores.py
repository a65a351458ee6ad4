"""Scoring: what a model says about clips whose truth is known, as the measuring path says it."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdphys.classical import skin_mean
from kdphys.metrics import pearson
from kdphys.runtime import FPS, Model, open_model
from kdphys.vitals import measure_vitals
from train.benchmark import toolbox_bpm
from train.datasets import ClipStore
from train.labels import rate_of
from train.script import in_processes

RULES = 4  # of a score, raised with each change by which the same weights score otherwise
Array = NDArray[np.float64]
SLACK_S = 0.25
MANY = 50  # clips, from which on more processes are worth their start


@dataclass(frozen=True)
class Scores:
    """What one model said about many clips."""

    bpm: Array
    """Rate whatever its confidence; NaN where no face is found. Shape (N,)."""
    peak: Array
    """Rate by the highest peak of the spectrum, as the public toolbox reads it. Shape (N,)."""
    given: Array
    """Rate where it was given, else NaN. Shape (N,)."""
    quality: Array
    """Confidence. Shape (N,)."""
    likeness: Array
    """Correlation of the wave with the label; NaN where there is no pulse. Shape (N,)."""
    shape: Array
    """The same at the best shift up to `SLACK_S`. Shape (N,)."""


@dataclass(frozen=True)
class _Clip:
    """What the program sees of one clip, and its truth."""

    pixels: NDArray[np.uint8]
    label: Array
    key_times_s: Array | None
    places: Array | None
    is_found: bool


def score(model: Model, store: ClipStore, seconds: float | None = None) -> Scores:
    """Run a model over clips, as the measuring path does.

    Args:
        model: From `kdphys.runtime.open_model`.
        store: Clips with their truth.
        seconds: How much of each, from its beginning; all unless given.

    Returns:
        Its readings.
    """
    return _together([_scored(model, clip) for clip in _clips(store, seconds)])


def score_shared(name: str, store: ClipStore, workers: int) -> Scores:
    """As `score`, in several processes where there is much to do.

    Args:
        name: As `kdphys.runtime.open_model` takes it.
        store: Clips with their truth.
        workers: Processes.

    Raises:
        JobError: A process was killed.
    """
    if min(workers, len(store) // MANY) <= 1:
        return score(open_model(name), store)
    clips = _clips(store, None)
    return _together(list(in_processes(partial(_scored_by, name), clips, workers, "read clips")))


def _clips(store: ClipStore, seconds: float | None) -> Iterator[_Clip]:
    frames = None if seconds is None else round(seconds * FPS)
    for index in range(len(store)):
        pixels = store.clip(index)[:frames]
        label = store.waves[index][: len(pixels)].astype(np.float64)
        places, is_found = places_in(store, index, len(pixels)), has_face(store, index)
        yield _Clip(pixels, label, key_times(store, index), places, is_found)


def _scored_by(name: str, clip: _Clip) -> tuple[float, ...]:
    return _scored(open_model(name), clip)  # opened once in each process


def _scored(model: Model, clip: _Clip) -> tuple[float, ...]:
    """What is said of one clip, in the order of `Scores`: of one without a face, nothing."""
    if not clip.is_found:
        return np.nan, np.nan, np.nan, 0.0, np.nan, np.nan
    wave = wave_of(model, clip.pixels)
    heart = measure_vitals(
        wave,
        FPS,
        calibration=model.calibration,
        key_times_s=clip.key_times_s,
        colours=skin_mean(clip.pixels),
        places=clip.places,
    ).heart_rate
    given = np.nan if heart.value is None else heart.value
    label = clip.label[: len(wave)]
    alike = pearson(wave, label), shifted_pearson(wave, label, round(SLACK_S * FPS))
    return raw_bpm(wave), toolbox_bpm(wave, FPS), given, heart.quality, *alike


def _together(rows: Sequence[tuple[float, ...]]) -> Scores:
    return Scores(*np.array(rows).T)


def write_rows(
    path: Path, read: Sequence[tuple[ClipStore, Sequence[str | None], Mapping[str, Scores]]]
) -> None:
    """Write a table (CSV) of what was read of each clip, for other statistics than ours.

    Args:
        path: Of the table. A clip without a pulse has no true rate, one without a reading no rate,
            and one whose head is drawn no portrait; portraits have numbers.
        read: Clips, whose portrait lent each its looks, if any, and of each model its readings.
    """
    portraits = sorted({lender for _, lenders, _ in read for lender in lenders if lender})
    number: dict[str | None, object] = {None: ""}
    number |= {name: place for place, name in enumerate(portraits, 1)}
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        models = list(read[0][2])
        kinds = ("whatever_bpm", "given_bpm", "confidence", "correlation")
        columns = [f"{model}_{kind}" for model in models for kind in kinds]
        table.writerow(["seed", "true_bpm", "melanin", "portrait", *columns])
        for store, lenders, scores in read:
            for at, (truth, lender) in enumerate(zip(store.truths, lenders, strict=True)):
                row: list[object] = [truth["seed"], _figure(float(store.bpm[at]) or np.nan, 2)]
                row += [_figure(float(str(truth["melanin"])), 3), number[lender]]
                for found in (scores[model] for model in models):
                    row += [_figure(rate[at], 2) for rate in (found.bpm, found.given)]
                    row += [_figure(share[at], 3) for share in (found.quality, found.likeness)]
                table.writerow(row)


def _figure(value: float, places: int) -> str:
    """A figure for a table; nothing where there is none."""
    return f"{value:.{places}f}" if np.isfinite(value) else ""


def shifted_pearson(wave: Array, label: Array, slack: int) -> float:
    """Correlation of two waves at the best shift of up to `slack` samples; NaN where one is flat.

    Args:
        wave: Shape (T,).
        label: Shape (T,).
        slack: In samples.
    """
    inside, frames = wave[slack : len(wave) - slack], len(wave) - 2 * slack
    return max(pearson(inside, label[at : at + frames]) for at in range(2 * slack + 1))


def wave_of(model: Model, pixels: NDArray[np.uint8]) -> Array:
    """Wave of one whole clip. Shape (T,)."""
    session = model.start()
    return np.concatenate([session.push(pixels), session.finish()]).astype(np.float64)


def places_in(store: ClipStore, index: int, frames: int) -> Array | None:
    """Where the face was in the first frames of a clip; None where that was not kept."""
    return store.seen[index].places[:frames].astype(np.float64) if store.seen else None


def has_face(store: ClipStore, index: int) -> bool:
    """Whether the measuring path finds a face in a clip that it was asked to cut out."""
    return store.truths[index].get("found", 1.0) != 0


def key_times(store: ClipStore, index: int) -> Array | None:
    """When the key frames of a synthetic clip were; None without a codec."""
    truth = store.truths[index]
    every = truth["key_every"]
    if not isinstance(every, int):
        return None
    if store.seen:
        return store.seen[index].key_times_s
    seconds = store.waves.shape[1] / FPS
    return np.arange(0, seconds, every / float(str(truth["fps"])))


def raw_bpm(wave: Array) -> float:
    """Rate of a wave whatever its confidence; NaN where there is none."""
    rate = rate_of(wave, FPS)
    return np.nan if rate is None else rate.bpm
