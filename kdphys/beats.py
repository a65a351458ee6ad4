"""Single beats of a pulse wave, and what their timing tells: variability and breathing.

* A beat is timed by its steepest rise, after a cubic spline to 240 Hz: rounding to 30 Hz alone adds
  about 10 ms to a usual RMSSD. On 21 finger waves beside a chest strap, from which this was chosen,
  the mean RMSSD error was 10 ms by the rise and 16 ms by the peak.
* Interval cleaning: Malik et al. (1989, doi 10.1093/eurheartj/10.12.1060): an interval more than
  20 % away from its neighbours is no normal beat; here "neighbours" is their running median.
* Noise of the times themselves, which would add to variability, is told from steps of a high order,
  to which the heart's own changes, being slower, add little, and taken off (`timing_noise_ms`).
  Three beats or less to a breath do add to them, so the more noise, the less a figure is trusted.
* Breathing from beat-to-beat modulation of rate and strength: Charlton et al. (2018,
  doi 10.1109/RBME.2017.2763681).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, ndimage, signal

from kdphys.pulse import TINY, bandpass, runs

FINE_HZ = 240.0
LEAST_BEATS = 4  # that a stretch lasts at the mean rate
BEAT_BAND = (0.6, 2.5)  # of the mean rate: kept when beats are looked for
LEAST_UPPER_HZ = 4.0  # of that band, however slow the pulse
LEAST_APART = 0.55  # of the mean interval
LEAST_PROMINENCE = 0.5  # of a steepest rise, in standard deviations of the slope
PEAK_WITHIN = 0.5  # of the mean interval, from the rise on
LEAST_INTERVAL_S, MOST_INTERVAL_S = 60 / 200, 60 / 35
MOST_CHANGE = 0.2  # of the running median of the intervals
NEIGHBOURS = 5  # intervals in that median
NOISE_ORDER = 6  # of the steps of beats' times that tell their noise
RMSSD_NOISE, SDNN_NOISE = 6.0, 2.0  # variances of a time's noise that the square of each has
BREATHING_PER_MIN = (8.0, 30.0)  # blood pressure sways beats 5 to 7 times a minute (Mayer waves)
BREATHING_LINE_PER_MIN = 3.0  # to either side of the rate, that count as at it
BREATHING_WINDOW_S = 32.0
BREATHING_OVERLAP = 0.75  # of two such windows
BREATHING_POINTS = 4096  # of their spectra
MODULATION_HZ = (0.08, 0.6)  # of which shares are taken
TACHOGRAM_HZ = 4.0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Beats:
    """Beats of a wave, in order."""

    rise_s: Array
    """Times of the steepest rise: what intervals are taken from. Shape (N,)."""
    peak_s: Array
    """Times of the systolic peak that follows: what a picture marks. Shape (N,)."""
    slope: Array
    """Steepest rise, in units of the wave a second. Shape (N,)."""
    run: NDArray[np.intp]
    """Which gapless stretch each beat belongs to. Shape (N,)."""


@dataclass(frozen=True)
class Intervals:
    """Beat-to-beat intervals that passed cleaning."""

    seconds: Array
    """Every interval between neighbouring beats of one stretch. Shape (M,)."""
    end_s: Array
    """Time of the beat that ends each interval. Shape (M,)."""
    clean: NDArray[np.bool_]
    """Which of them are normal beats. Shape (M,)."""
    paired: NDArray[np.bool_]
    """Which of them follow straight upon the one before. Shape (M,)."""


def find_beats(wave: Array, fps: float, bpm: float) -> Beats:
    """Beats of a wave.

    Args:
        wave: Pulse wave that rises with blood volume, NaN in gaps. Shape (T,).
        fps: Sampling rate in Hz.
        bpm: Mean heart rate: beats come no closer than `LEAST_APART` of its interval.

    Returns:
        The beats of all stretches that hold at least `LEAST_BEATS`.
    """
    found = [
        _beats_of_run(wave[run], fps, bpm / 60, run.start / fps)
        for run in runs(wave, fps, LEAST_BEATS * 60 / bpm)
    ]
    columns = [np.concatenate([np.empty(0), *parts]) for parts in zip(*found, strict=True)]
    rise_s, peak_s, slope = columns if found else [np.empty(0)] * 3
    return Beats(
        rise_s, peak_s, slope, np.repeat(np.arange(len(found)), [len(f[0]) for f in found])
    )


def _beats_of_run(
    wave: Array, fps: float, rate_hz: float, start_s: float
) -> tuple[Array, Array, Array]:
    """Times of rise and peak, and slope, of the beats of one stretch. Shapes (N,)."""
    low, high = (edge * rate_hz for edge in BEAT_BAND)
    narrow = bandpass(wave, fps, (low, max(high, LEAST_UPPER_HZ)))
    at = np.arange(len(narrow)) / fps
    spline = interpolate.CubicSpline(at, narrow)
    fine_at = np.arange(0.0, at[-1], 1 / FINE_HZ)
    height, slope = spline(fine_at), spline(fine_at, 1)
    rises, _ = signal.find_peaks(
        slope,
        distance=LEAST_APART * FINE_HZ / rate_hz,
        prominence=LEAST_PROMINENCE * slope.std(),
    )
    ahead = round(PEAK_WITHIN * FINE_HZ / rate_hz)
    rises = rises[(slope[rises] > 0) & (rises + ahead < len(height))]
    after = np.lib.stride_tricks.sliding_window_view(height, ahead)[rises]
    peaks = np.clip(rises + after.argmax(1), 1, len(height) - 2)
    return (
        start_s + _crest(fine_at, slope, rises),
        start_s + _crest(fine_at, height, peaks),
        slope[rises],
    )


def _crest(at: Array, wave: Array, peaks: NDArray[np.intp]) -> Array:
    """Times of peaks, interpolated by parabola; an end that still rises stays. Shape (N,)."""
    left, top, right = (wave[peaks + side] for side in (-1, 0, 1))
    bend = left - 2 * top + right
    shift = np.divide(0.5 * (left - right), bend, out=np.zeros_like(bend), where=bend < 0)
    return at[peaks] + np.clip(shift, -0.5, 0.5) / FINE_HZ


def intervals(beats: Beats) -> Intervals:
    """Beat-to-beat intervals, with a mark on those that are normal beats.

    Args:
        beats: Beats in order.

    Returns:
        The intervals; none across a gap.
    """
    within = np.diff(beats.run) == 0
    seconds = np.diff(beats.rise_s)[within]
    usual = ndimage.median_filter(seconds, NEIGHBOURS, mode="mirror") if len(seconds) else seconds
    clean = (seconds >= LEAST_INTERVAL_S) & (seconds <= MOST_INTERVAL_S)
    clean &= np.abs(seconds - usual) <= MOST_CHANGE * usual
    end_s = beats.rise_s[1:][within]
    same_run = np.diff(beats.run[1:][within], prepend=-1) == 0
    return Intervals(seconds, end_s, clean, same_run)


def timing_noise_ms(found: Intervals, beats: Beats, slope_ms: float) -> float:
    """How far noise alone moves the time of a beat.

    The steps of order `NOISE_ORDER` of times with white noise have its variance times the sum of
    the squared binomial coefficients. A heart whose beats vary freely looks the same, but then the
    beats have one shape: noise that moves them changes their slopes too.

    Args:
        found: Intervals of the beats.
        beats: The beats themselves.
        slope_ms: Noise that a change of slopes by their own size tells; 0 where they tell nothing.

    Returns:
        Standard deviation in ms; NaN where too few beats follow one another.
    """
    order = NOISE_ORDER
    if len(found.seconds) < order:
        return math.nan
    row = np.lib.stride_tricks.sliding_window_view(found.clean, order).all(1)
    row &= np.lib.stride_tricks.sliding_window_view(found.paired, order)[:, 1:].all(1)
    steps = np.diff(found.seconds, order - 1)[row]
    if not len(steps):
        return math.nan
    by_steps = 1000 * math.sqrt(np.mean(steps**2) / math.comb(2 * order, order))
    bends = np.diff(beats.slope, 2)[beats.run[2:] == beats.run[:-2]]
    if not slope_ms or not len(bends):
        return by_steps
    return min(by_steps, slope_ms * math.sqrt(np.mean(bends**2) / 6) / beats.slope.mean())


def rmssd_ms(found: Intervals) -> tuple[float, int]:
    """Root mean square of successive differences, and how many differences went into it."""
    both = found.clean[1:] & found.clean[:-1] & found.paired[1:]
    steps = np.diff(found.seconds)[both]
    return (float(1000 * np.sqrt(np.mean(steps**2))) if len(steps) else 0.0), len(steps)


def sdnn_ms(found: Intervals) -> tuple[float, int]:
    """Standard deviation of the normal intervals, and how many there are."""
    seconds = found.seconds[found.clean]
    return (float(1000 * np.std(seconds, ddof=1)) if len(seconds) > 1 else 0.0), len(seconds)


def without_noise(figure_ms: float, noises: float, noise_ms: float) -> float:
    """Take noise off a figure of variability.

    Args:
        figure_ms: RMSSD or SDNN.
        noises: `RMSSD_NOISE` or `SDNN_NOISE`.
        noise_ms: From `timing_noise_ms`.

    Returns:
        What is left, at least 0; NaN where the noise is not known.
    """
    rest = figure_ms**2 - noises * noise_ms**2
    return rest if math.isnan(rest) else math.sqrt(max(rest, 0.0))


def breathing(found: Intervals, beats: Beats) -> tuple[float, float]:
    """Breaths per minute from how breathing sways the rate and steepness of beats.

    Args:
        found: Intervals of the beats.
        beats: The beats themselves.

    Returns:
        Rate per minute, and the share of modulation in [0, 1] that is at this rate.
    """
    series = [(found.end_s[found.clean], found.seconds[found.clean]), (beats.rise_s, beats.slope)]
    spectra = [_modulation(at, value) for at, value in series]
    per_min = spectra[0][0]
    total = np.sqrt(spectra[0][1] * spectra[1][1]) + 0.5 * (spectra[0][1] + spectra[1][1])
    inside = (per_min >= BREATHING_PER_MIN[0]) & (per_min <= BREATHING_PER_MIN[1])
    strongest = total[inside].argmax()
    peak = per_min[inside][strongest]
    if strongest in (0, inside.sum() - 1):  # the flank of what is slower, or faster
        return float(peak), 0.0
    near = np.abs(per_min - peak) <= BREATHING_LINE_PER_MIN
    return float(peak), float(total[near & inside].sum() / max(total[inside].sum(), TINY))


def _modulation(at: Array, value: Array) -> tuple[Array, Array]:
    """Spectrum of a beat-to-beat series: per minute, and power of unit sum. Shapes (F,)."""
    grid = np.arange(at[0], at[-1], 1 / TACHOGRAM_HZ)
    even = np.interp(grid, at, value)
    length = min(len(even), round(BREATHING_WINDOW_S * TACHOGRAM_HZ))
    hz, power = signal.welch(
        even,
        TACHOGRAM_HZ,
        nperseg=length,
        noverlap=int(BREATHING_OVERLAP * length),
        nfft=BREATHING_POINTS,
        detrend="linear",
    )
    heard = (hz >= MODULATION_HZ[0]) & (hz <= MODULATION_HZ[1])
    return 60 * hz[heard], power[heard] / max(power[heard].sum(), np.finfo(float).tiny)
