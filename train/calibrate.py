"""Fit the confidence in a heart rate: `python -m train.calibrate` refits the default one.

The confidence is the probability that a rate is within 3 bpm, a logistic function of a few features
of the wave. It is fitted on waves with and without a pulse whose truth is known. Run as a script,
this draws such waves and prints the calibration and how far its confidence can be believed; for the
waves of a network, call `fit` with the features and errors of its own.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, signal

from kdphys.pulse import WAVE_BAND_HZ, bandpass
from kdphys.vitals import Calibration, QualityFeatures, read_rate
from train.pulses import draw_pulse
from train.script import run_script

TOLERANCE_BPM = 3.0
OF_NETWORKS = ("log_amplitude", "log_standing")  # features that mean something to these only
SHRINK = 1e-3  # of standardised coefficients, so that features that say the same share the weight

FREE, RISING, FALLING = (None, None), (0, None), (None, 0)
# Of the fields of Calibration, in their order.
BOUNDS = (FREE, RISING, RISING, RISING, FALLING, RISING, FREE, RISING, RISING)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CalibrateConfig:
    """Fit the default calibration on simulated waves."""

    waves: int = 6000
    """Waves to draw; half of them are kept back to be judged by."""
    out: Path | None = None
    """JSON file for the calibration; None only prints it."""
    seed: int = 0
    """Seed of the waves."""


def fit(
    features: Sequence[QualityFeatures],
    errors_bpm: Array,
    *,
    of_network: bool,
    weights: Array | None = None,
) -> Calibration:
    """Calibration by logistic regression.

    Args:
        features: Of each wave.
        errors_bpm: Error of each rate; infinite where there was no pulse. Shape (N,).
        of_network: Whether a network made the waves: its amplitude means something then, and its
            noise wanders; how long a line stays says nothing of simulated waves.
        weights: How much each wave counts; all alike unless given. Shape (N,).

    Returns:
        The calibration of the greatest likelihood, slightly shrunk; more signal or more amplitude
        never lowers the confidence, more wandering never raises it.
    """
    right = (np.abs(errors_bpm) <= TOLERANCE_BPM).astype(float)
    values = np.array([astuple(one) for one in features])
    if not of_network:
        names = [field.name for field in fields(QualityFeatures)]
        values[:, [names.index(name) for name in OF_NETWORKS]] = 0
    centre, spread = values.mean(0), np.maximum(values.std(0), 1e-9)
    scaled = np.column_stack([np.ones(len(values)), (values - centre) / spread])

    share = np.ones(len(right)) if weights is None else weights
    share = share / share.sum()

    def cost(line: Array) -> tuple[float, Array]:
        odds = scaled @ line
        shrunk = np.concatenate([[0.0], line[1:]])
        value = share @ (np.logaddexp(0, odds) - right * odds) + SHRINK * shrunk @ shrunk
        slope = scaled.T @ (share * (1 / (1 + np.exp(-odds)) - right)) + 2 * SHRINK * shrunk
        return float(value), slope

    line = optimize.minimize(
        cost, np.zeros(scaled.shape[1]), jac=True, method="L-BFGS-B", bounds=BOUNDS
    ).x
    slopes = line[1:] / spread
    intercept = line[0] - slopes @ centre
    return Calibration(*(round(float(value), 4) for value in (intercept, *slopes)))


def reliability(
    calibration: Calibration,
    features: Sequence[QualityFeatures],
    errors_bpm: Array,
    weights: Array | None = None,
) -> list[tuple[float, float, int]]:
    """Mean confidence, share that was right, and number of waves, in tenths of confidence."""
    count = np.ones(len(errors_bpm)) if weights is None else weights
    quality = np.array([calibration.quality(one) for one in features])
    right = np.abs(errors_bpm) <= TOLERANCE_BPM
    tenth = np.minimum((quality * 10).astype(int), 9)
    return [
        (
            float(np.average(quality[tenth == k], weights=count[tenth == k])),
            float(np.average(right[tenth == k], weights=count[tenth == k])),
            int(sum(tenth == k)),
        )
        for k in range(10)
        if np.any(tenth == k)
    ]


def draw_wave(rng: np.random.Generator, fps: float) -> tuple[Array, float | None]:
    """Wave of 6 to 90 s and its true rate; two in five hold no pulse. Shape (T,)."""
    seconds = math.exp(rng.uniform(math.log(6.0), math.log(90.0)))
    noise = draw_noise(rng, int(seconds * fps), fps)
    if rng.uniform() < 0.4:
        return noise, None
    pulse = draw_pulse(rng, seconds, rng.uniform())
    loudness = 10 ** (-rng.uniform(-14, 14) / 20)
    return pulse.at(np.arange(len(noise)) / fps) + loudness * noise, pulse.bpm


def draw_noise(rng: np.random.Generator, samples: int, fps: float) -> Array:
    """One of six kinds of what a face without a pulse gives, of unit spread. Shape (samples,)."""
    kind = rng.integers(6)
    white = rng.standard_normal(samples)
    if kind == 0:  # light: white, pink or a random walk
        wave = _tilted(white, rng.choice([0.0, 1.0, 2.0]))
    elif kind == 1:  # what a network makes of noise: all in the heart band
        wave = bandpass(white, fps, (rng.uniform(0.5, 0.8), rng.uniform(2.0, 4.0)))
    elif kind == 2:  # a narrow band, peaky by chance
        centre, width = rng.uniform(0.8, 2.5), rng.uniform(0.3, 0.6)
        wave = bandpass(white, fps, (centre - width, centre + width))
    elif kind == 3:  # rhythmic movement
        wave = _sway(rng, samples, fps)
    elif kind == 4:  # jolts
        jolts = np.where(rng.uniform(size=samples) < 0.2 / fps, 10 * white, 0.0)
        jolts = (
            np.cumsum(jolts) if rng.uniform() < 0.5 else np.convolve(jolts, np.hanning(15), "same")
        )
        wave = jolts + 0.1 * rng.standard_normal(samples)
    else:  # breathing with its overtones
        turns = np.cumsum(rng.uniform(0.15, 0.4) * (1 + 0.05 * _tilted(white, 2.0))) / fps
        wave = sum(0.3**k * np.cos(2 * np.pi * (k + 1) * turns + k) for k in range(3))
        wave = wave + 0.1 * rng.standard_normal(samples)
    return wave / max(float(np.std(wave)), 1e-9)


def _sway(rng: np.random.Generator, samples: int, fps: float) -> Array:
    """Movement at 0.5 to 2.5 Hz that wanders in rate and strength. Shape (samples,)."""
    slow, slower = (_first_order(rng, samples, fps * s) for s in (rng.uniform(1.5, 8), 4.0))
    rate = rng.uniform(0.5, 2.5) * np.clip(1 + rng.uniform(0.1, 0.3) * slow, 0.3, 3)
    turns = 2 * np.pi * np.cumsum(rate) / fps
    wave = np.cos(turns) + rng.uniform(0, 0.5) * np.cos(2 * turns + 1)
    return (1 + 0.5 * slower) * wave + rng.uniform(0, 1) * rng.standard_normal(samples)


def _first_order(rng: np.random.Generator, samples: int, memory: float) -> Array:
    """First-order low-pass noise of unit spread and `memory` samples. Shape (samples,)."""
    keep = math.exp(-1 / memory)
    kicks = rng.standard_normal(samples) * math.sqrt(1 - keep**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -keep], kicks))


def _tilted(white: Array, slope: float) -> Array:
    """Noise whose power falls with frequency to the power `slope`, of unit spread. Shape (N,)."""
    bins = np.fft.rfft(white)
    bins *= np.maximum(np.arange(len(bins)), 1.0) ** (-slope / 2)
    bins[0] = 0
    wave = np.fft.irfft(bins, len(white))
    return wave / max(float(wave.std()), 1e-9)


def main(config: CalibrateConfig) -> None:
    """Draw waves, fit on one half, judge on the other."""
    rng, fps = np.random.default_rng(config.seed), 30.0
    features: list[QualityFeatures] = []
    errors: list[float] = []
    for _ in range(config.waves):
        wave, bpm = draw_wave(rng, fps)
        rate = read_rate(bandpass(wave, fps, WAVE_BAND_HZ), fps)
        features.append(rate.features)
        errors.append(math.inf if bpm is None else rate.bpm - bpm)
    error_bpm = np.array(errors)
    calibration = fit(features[::2], error_bpm[::2], of_network=False)
    print(json.dumps(asdict(calibration)))
    print("confidence  right  waves (kept back)")
    for confidence, right, count in reliability(calibration, features[1::2], error_bpm[1::2]):
        print(f"{confidence:10.2f} {right:6.2f} {count:6d}")
    if config.out:
        config.out.write_text(json.dumps(asdict(calibration), indent=2) + "\n")


if __name__ == "__main__":
    run_script(main, CalibrateConfig)
