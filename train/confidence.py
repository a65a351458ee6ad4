"""Fit a network's own confidence: `python train/confidence.py --models student`.

A network's wave is smoother than noise even where it sees no pulse, so the confidence fitted on
simulated waves does not hold for it. This runs the exported network over synthetic clips with and
without a pulse, each as it is and in light that wanders, fits `kdphys.vitals.Calibration` on what
comes out, and writes it into the manifest beside the weights, with how far one that is fitted on
half of the clips can be believed on the other half. The people of these clips are training's.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kdphys.hub import load_weights
from kdphys.pulse import WAVE_BAND_HZ, bandpass_runs
from kdphys.runtime import FPS, Model, StudentModel, TeacherModel
from kdphys.vitals import FLAT, LEAST_QUALITY, LEAST_SECONDS, QualityFeatures, read_rate
from train.aside import aside
from train.calibrate import fit, reliability
from train.datasets import ClipStore, wandering
from train.evaluate import drawn_clips
from train.noted import note
from train.scores import wave_of
from train.script import run_script
from train.synthetic import Boxes, SyntheticConfig

logger = logging.getLogger(__name__)

SEED, LONG_SEED = 950_000, 960_000  # training takes seeds from 0, validation from 900,000
FIRST_S = (LEAST_SECONDS, 1.5 * LEAST_SECONDS)  # first seconds of each wave that are judged too
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)  # of silent waves among all, as the fit weighs them
REFUSED = 0.97  # of silent waves must get no reading: 95 %, and 2 for the luck of 200 clips
FOLDS = 5


@dataclass(frozen=True)
class ConfidenceJob:
    """Fit the confidence of exported networks."""

    models: tuple[str, ...] = ("student", "teacher")
    """Which of them."""
    weights: Path = Path("weights")
    """Folder with a folder for each model."""
    data: Path = Path("data/calibrate")
    """Where the clips are kept; drawn if they are not there."""
    clips: int = 400
    """Clips of 20 s; two in five hold no pulse."""
    long_clips: int = 100
    """Clips of 60 s; every second one holds no pulse."""
    faces: Path | None = None
    """Folder of portraits that lend their looks to a part of the heads, as in training."""
    pulses: Path | None = None
    """Folder of pulse recordings that lend their waves to a part of the clips, as in training."""
    boxes: Boxes = "found"
    """Where faces are cut out: where the program finds them, or where they were drawn."""
    smoke: bool = False
    """A few clips, to see that it runs to its end; nothing is written beside the weights."""


def main(job: ConfidenceJob) -> None:
    """Fit as asked."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if job.smoke:
        job = replace(aside(job, "data"), clips=8, long_clips=2)
    opened = {name: load_weights(job.weights / name) for name in job.models}  # before any work
    short = SyntheticConfig(
        seconds=20.0,
        negatives=0.4,
        rates="log",
        faces=job.faces,
        pulses=job.pulses,
        boxes=job.boxes,
    )
    long = replace(short, seconds=60.0, negatives=0.5)
    stores = [
        drawn_clips(job.data / "short", job.clips, SEED, short),
        drawn_clips(job.data / "long", job.long_clips, LONG_SEED, long),
    ]
    for name, weights in opened.items():
        folder = job.weights / name
        model = (StudentModel if name == "student" else TeacherModel)(weights)
        features, errors, clip = _observe(model, stores)
        kept_back = clip % 2 == 1
        seen = [feature for feature, back in zip(features, kept_back, strict=True) if not back]
        unseen = [feature for feature, back in zip(features, kept_back, strict=True) if back]
        share = choose_share(features, errors, clip)
        logger.info("%s: waves without a pulse count as %.0f %% of all", name, 100 * share)
        weights_of = _weights(errors, share)
        judged = fit(seen, errors[~kept_back], of_network=True, weights=weights_of[~kept_back])
        logger.info("%s: confidence, share right, waves (kept back)", name)
        table = reliability(judged, unseen, errors[kept_back], weights_of[kept_back])
        for confidence, right, count in table:
            logger.info("%10.2f %6.2f %6d", confidence, right, count)
        if job.smoke:
            logger.info("%s: fitted, and not written, as a smoke test", name)
            continue
        found = fit(features, errors, of_network=True, weights=weights_of)
        rounded = [[round(c, 3), round(r, 3), n] for c, r, n in table]
        note(folder, weights, {"calibration": asdict(found), "reliability": rounded})
        logger.info("wrote %s and README.md beside it", folder / "manifest.json")


def _observe(
    model: Model, stores: Sequence[ClipStore]
) -> tuple[list[QualityFeatures], NDArray[np.float64], NDArray[np.intp]]:
    """Features, errors and numbers of each clip and of its pieces.

    Errors are infinite where there is no pulse.
    """
    features: list[QualityFeatures] = []
    errors: list[float] = []
    clips: list[int] = []
    for store in stores:
        first = len(clips) and clips[-1] + 1
        for index in range(len(store)):
            for piece in _seen(model, store, index):
                broad = bandpass_runs(piece, FPS, WAVE_BAND_HZ, LEAST_SECONDS)
                if np.nanstd(broad) < FLAT:  # never read
                    continue
                rate = read_rate(broad, FPS)
                clips.append(first + index)
                features.append(rate.features)
                bpm = float(store.bpm[index])
                errors.append(rate.bpm - bpm if bpm else math.inf)
    return features, np.array(errors), np.array(clips)


def choose_share(
    features: Sequence[QualityFeatures], errors: NDArray[np.float64], clip: NDArray[np.intp]
) -> float:
    """How much waves without a pulse must count, so that few of them get a reading.

    The more they count, the fewer of the others get one.

    Args:
        features: Of each wave.
        errors: In bpm, infinite where there is no pulse. Shape (N,).
        clip: Number of the clip that each is of, none of which is in two folds. Shape (N,).

    Returns:
        The least of `SHARES` at which, by fits to the other folds, `REFUSED` of the waves without
        a pulse get none; the greatest, if it is at none.
    """
    silent = np.isinf(errors)
    for share in SHARES:
        weights = _weights(errors, share)
        quality = np.zeros(len(errors))
        for fold in range(FOLDS):
            out = clip % FOLDS == fold
            known = [feature for feature, back in zip(features, out, strict=True) if not back]
            found = fit(known, errors[~out], of_network=True, weights=weights[~out])
            quality[out] = [found.quality(features[at]) for at in np.flatnonzero(out)]
        if (quality[silent] < LEAST_QUALITY).mean() >= REFUSED:
            return share
    return SHARES[-1]


def _weights(errors: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Weights by which waves without a pulse make up a share of all. Shape (N,)."""
    silent = np.isinf(errors)
    weight = share / (1 - share) * (~silent).sum() / max(silent.sum(), 1)
    return np.where(silent, weight, 1.0)


def _seen(model: Model, store: ClipStore, index: int) -> list[NDArray[np.float64]]:
    """Pieces of a network's waves of a clip, as it is and in light that wanders."""
    light = wandering(store.pixels_of(index).float(), np.random.default_rng(index))
    wandered = light.round().clamp(0, 255).to(torch.uint8).numpy()
    waves = [wave_of(model, pixels) for pixels in (store.clip(index), wandered)]
    return [piece for wave in waves for piece in _pieces(wave)]


def _pieces(wave: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """A wave as a whole, its halves, and what a camera has shown after some seconds."""
    half = len(wave) // 2
    return [wave, wave[:half], wave[half:], *(wave[: round(s * FPS)] for s in FIRST_S)]


if __name__ == "__main__":
    run_script(main, ConfidenceJob)
