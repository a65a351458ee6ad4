"""How far estimates are from the truth, with how sure that is.

Errors take only pairs in which both are finite, and `within` counts a missing reading as one that
was not met. No pair gives NaN.
"""

from collections.abc import Callable, Iterator, Sequence

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
    whose: NDArray[np.int64] | None = None,
    draws: int = 2000,
) -> tuple[float, float]:
    """Bootstrap interval of a measure over recordings (Efron 1979, doi 10.1214/aos/1176344552).

    Args:
        measure: One of the functions above; it is given readings that are missing, too.
        estimate: What was read; one value for each recording, NaN without a reading. Shape (N,).
        truth: What was true. Shape (N,).
        rng: Source of randomness.
        whose: Who each recording is of: those of one person are not independent, and are drawn
            together. Each is of another person unless given. Shape (N,).
        draws: How often people are drawn anew, with replacement.

    Returns:
        Lower and upper end, with `LEVEL` of the draws between; NaN below two people, or without a
        finite pair.
    """
    found, true = _alike(estimate, truth)
    whose = np.arange(len(found)) if whose is None else whose
    if len(np.unique(whose)) < 2:
        return float("nan"), float("nan")
    return interval_of([measure(found[pick], true[pick]) for pick in drawn_anew(whose, rng, draws)])


def drawn_anew(
    whose: NDArray[np.int64], rng: np.random.Generator, draws: int = 2000
) -> Iterator[NDArray[np.int64]]:
    """Draw people with replacement, each with all that is theirs.

    After Field & Welsh (2007), doi 10.1111/j.1467-9868.2007.00593.x.

    Args:
        whose: Who each recording is of. Shape (N,).
        rng: Source of randomness.
        draws: How often as many people as there are are drawn.

    Yields:
        Of each draw, the places of its recordings.
    """
    _, person, sizes = np.unique(whose, return_inverse=True, return_counts=True)
    by_person, first = np.argsort(person, kind="stable"), np.cumsum(sizes) - sizes
    for _ in range(draws if len(sizes) else 0):
        picked = rng.integers(0, len(sizes), len(sizes))
        count = sizes[picked]
        shift = first[picked] - (np.cumsum(count) - count)
        yield by_person[np.arange(count.sum()) + np.repeat(shift, count)]


def interval_of(values: Sequence[float]) -> tuple[float, float]:
    """Ends between which `LEVEL` of the finite values lie; NaN where there is none."""
    kept = np.array(values, np.float64)
    kept = kept[np.isfinite(kept)]  # a draw of one recording has no correlation
    if not len(kept):
        return float("nan"), float("nan")
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def worst_over_best(errors: Array, group: NDArray[np.int64]) -> float:
    """How unlike groups are: the largest mean error of a group over the smallest, at least 1.

    Args:
        errors: Absolute errors, all finite. Shape (N,).
        group: Which group each belongs to. Shape (N,).

    Returns:
        The ratio; NaN for fewer than two groups, or where the errors of one are all 0.
    """
    means = [errors[group == each].mean() for each in np.unique(group)]
    return float(max(means) / min(means)) if len(means) > 1 and min(means) > 0 else float("nan")


def mean_ratio(errors: Array, group: NDArray[np.int64], pair: tuple[int, int]) -> float:
    """One group's mean error over another's; NaN without an error of the one, or of the other.

    Args:
        errors: Absolute errors, all finite. Shape (N,).
        group: Which group each belongs to. Shape (N,).
        pair: The group above and the one below.
    """
    above, below = (errors[group == each] for each in pair)
    return float(above.mean() / below.mean()) if len(above) and below.any() else float("nan")


def interval_of_ratio(
    errors: Array,
    group: NDArray[np.int64],
    pair: tuple[int, int],
    whose: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    draws: int = 2000,
) -> tuple[float, float]:
    """Bootstrap interval of what `mean_ratio` gives, people drawn anew with all their errors.

    The pair is named before anyone looks: which group is worst changes from draw to draw, so that
    the ratio of the worst to the best is above 1 in each, however alike they are.

    Args:
        errors: Absolute errors, all finite. Shape (N,).
        group: Which group each belongs to; one person's may lie in several. Shape (N,).
        pair: The group above and the one below.
        whose: Who each is of. Shape (N,).
        rng: Source of randomness.
        draws: How often people are drawn.

    Returns:
        Lower and upper end, with `LEVEL` of the draws in which both groups are; NaN without any.
    """
    picks = drawn_anew(whose, rng, draws)
    return interval_of([mean_ratio(errors[pick], group[pick], pair) for pick in picks])


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
