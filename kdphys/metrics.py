"""How far estimates are from the truth, with how sure that is.

Errors take only pairs in which both are finite, and `within` counts a missing reading as one that
was not met. No pair gives NaN.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kdphys.pulse import WAVE_BAND_HZ, bandpass, snr_db, window_spectra

LEVEL = 0.95  # share of the draws that lie in an interval

Array = NDArray[np.float64]


def mae(estimate: Array, truth: Array) -> float:
    """Mean absolute error of finite pairs, in their unit; NaN without a pair. Shapes (N,)."""
    found, true = _pairs(estimate, truth)
    return float(np.abs(found - true).mean()) if len(true) else float("nan")


def rmse(estimate: Array, truth: Array) -> float:
    """Root mean square error of finite pairs, in their unit; NaN without a pair. Shapes (N,)."""
    found, true = _pairs(estimate, truth)
    return float(np.sqrt(((found - true) ** 2).mean())) if len(true) else float("nan")


def mape(estimate: Array, truth: Array) -> float:
    """Mean absolute error in percent of the truth, of finite pairs. Shapes (N,).

    Raises:
        ValueError: A true value is 0.
    """
    found, true = _pairs(estimate, truth)
    if np.any(true == 0):
        raise ValueError("truth holds a 0, and nothing is a percentage of it")
    return float(100 * np.abs((found - true) / true).mean()) if len(true) else float("nan")


def pearson(estimate: Array, truth: Array) -> float:
    """Correlation of finite pairs; NaN below two pairs or for a constant. Shapes (N,)."""
    found, true = _pairs(estimate, truth)
    if len(true) < 2 or np.ptp(found) == 0 or np.ptp(true) == 0:  # a deviation may round to 1e-14
        return float("nan")
    return float(np.corrcoef(found, true)[0, 1])


def within(estimate: Array, truth: Array, tolerance: float) -> float:
    """Share of all true values that were met to `tolerance`; a missing one was not. Shapes (N,)."""
    found, true = _alike(estimate, truth)
    known = np.isfinite(true)
    close = np.abs(found - true) <= tolerance  # NaN compares false
    return float(close[known].mean()) if known.any() else float("nan")


def confidence_interval(
    measure: Callable[[Array, Array], float],
    estimate: Array,
    truth: Array,
    rng: np.random.Generator,
    *,
    draws: int = 2000,
) -> tuple[float, float]:
    """Bootstrap interval of a measure over recordings (Efron 1979, doi 10.1214/aos/1176344552).

    Args:
        measure: One of the functions above.
        estimate: What was read; one value for each independent recording. Shape (N,).
        truth: What was true. Shape (N,).
        rng: Source of randomness.
        draws: How often recordings are drawn anew, with replacement.

    Returns:
        Lower and upper end, with `LEVEL` of the draws between; NaN without a finite pair.
    """
    found, true = _pairs(estimate, truth)
    if not len(true):
        return float("nan"), float("nan")
    picks = rng.integers(0, len(true), (draws, len(true)))
    values = np.array([measure(found[pick], true[pick]) for pick in picks])
    values = values[np.isfinite(values)]  # a draw of one recording alone has no correlation
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def worst_over_best(
    errors: Array, group: NDArray[np.int64], rng: np.random.Generator, *, draws: int = 2000
) -> tuple[float, float]:
    """How unlike groups are: the largest mean error of a group over the smallest.

    Where a few large errors decide, groups differ by chance; so the same is worked out with errors
    dealt out to the groups anew (a permutation test, Fisher 1935, The Design of Experiments).

    Args:
        errors: Absolute errors, all finite. Shape (N,).
        group: Which group each belongs to. Shape (N,).
        rng: Source of randomness.
        draws: How often errors are dealt out.

    Returns:
        The ratio, at least 1, and the share of draws in which it is at least as large; NaN for
        fewer than two groups, or where the errors of one are all 0.
    """
    errors = np.asarray(errors, np.float64)
    _, group, sizes = np.unique(group, return_inverse=True, return_counts=True)

    def ratio(dealt: NDArray[np.int64]) -> float:
        means = np.bincount(dealt, errors) / sizes
        return float(means.max() / means.min()) if means.min() > 0 else float("inf")

    found = ratio(group) if len(sizes) > 1 else float("nan")
    if not np.isfinite(found):
        return float("nan"), float("nan")
    dealt = [ratio(rng.permutation(group)) for _ in range(draws)]
    least = found * (1 - 1e-12)  # sums in another order differ in their last bits
    return found, float(np.mean(np.array(dealt) >= least))


def wave_snr_db(wave: Array, fps: float, bpm: float) -> float:
    """Power at a known rate and its harmonics over the rest, in dB, mean over 10 s windows.

    After de Haan & Jeanne (2013), doi 10.1109/TBME.2013.2266196, with the third harmonic.

    Args:
        wave: Pulse wave without gaps. Shape (T,).
        fps: Sampling rate in Hz.
        bpm: True heart rate, alike over the recording.
    """
    spectra = window_spectra(bandpass(np.asarray(wave, np.float64), fps, WAVE_BAND_HZ), fps)
    return float(snr_db(spectra, np.full(len(spectra.time_s), bpm)).mean())


def _pairs(estimate: Array, truth: Array) -> tuple[Array, Array]:
    """Pairs in which both are finite. Shapes (N,) to (M,)."""
    found, true = _alike(estimate, truth)
    both = np.isfinite(found) & np.isfinite(true)
    return found[both], true[both]


def _alike(estimate: Array, truth: Array) -> tuple[Array, Array]:
    """Both as arrays of one shape (N,), or a ValueError."""
    found, true = np.asarray(estimate, np.float64), np.asarray(truth, np.float64)
    if found.shape != true.shape or found.ndim != 1:
        raise ValueError(f"estimate {found.shape} and truth {true.shape} must be alike and (N,)")
    return found, true
