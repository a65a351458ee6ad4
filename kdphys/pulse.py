"""What a pulse wave says: its rate over time, its beats, and how far it stands out of the noise.

The rate is looked for in 10 s windows, one every second. In each window a rate is as credible as
the line at that rate stands out of the noise floor around it, plus a part of what its second and
third harmonic say, as far as the line at the rate itself is there to carry them. So a slow pulse
whose second harmonic is the stronger line keeps its rate, and a pure tone is not halved. A faint
line counts for less than a loud one. The windows are then joined by the most credible steady path
(Viterbi), which may jump at a price.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, signal

HEART_BAND_HZ = (40 / 60, 180 / 60)
WINDOW_S, STEP_S = 10.0, 1.0
GRID_BPM = 0.5  # of the window spectra; peaks are interpolated between its points
WAVE_BAND_HZ = (0.3, 8.0)  # kept before any spectrum: no drift, room for harmonics
HIGHEST_SHARE = 0.45  # of the frame rate: frequencies closer to its half are left out
HARMONICS = (1, 2, 3)
STRONGEST_OVERTONE = 9.0  # power of an overtone over its fundamental beyond which it is not one
USUAL_OVERTONE = 2.2  # beyond this it takes a third line or a locked phase to tell a slow pulse
SURE_SPREADS = 3.0  # that a line must be above the mean of noise, by the spread of that mean
THIRD_SHARE = 0.5  # that a line at one and a half of a rate counts for, beside one at half of it
FEW_LOOKS = 2.0  # with so few, waves of their own are locked by chance
LOCKED = 0.95  # of 1: two waves of their own seldom reach 0.9 in three independent windows
ADRIFT = 0.8  # two lines of one wave, in noise, are seldom below
OVERTONE_SHARE = 0.5
CREST_BPM = 16.0  # that belong to one line, as wide as a 10 s window and a heart's changes make it
FAR_BPM = 10.0  # from a path, where another rhythm begins
REFINE_BPM = 4.0  # to both sides of a path, where its peak is looked for
SWING = 0.35  # of the rate, to both sides, over which the line of a swinging heart is spread
SWING_ABOVE = 3.0  # of the noise floor, as far as it is looked at
MOST_EVIDENCE = 8.0  # nats a single line can give in one window: noise has heavy tails
TINY = 1e-12
SMALLEST = float(np.finfo(float).tiny)  # keeps a division from 0 by 0, of waves of any unit
LOWEST_BPM = 36.0  # noise is looked at from here on
LOOKS = 1.5 * STEP_S / WINDOW_S  # independent looks at the noise that one more window adds
FLOOR_REACH_BPM = 70.0
FLOOR_QUANTILE = 0.25
FLOOR_REACH_S = 15.0
FLOOR_BINS = 8  # from one point of the floor to the next: a 10 s window resolves no finer
FLOOR_WINDOWS = 5  # likewise: the mean over 30 s changes slowly
FLOOR_RISE, FLOOR_RISE_OF_ONE = 1.1, 2.4  # from its quantile to the mean: few looks lie lower
LEAST_FLOOR = 1e-3  # of the mean power of a window
PATH_SPREAD_BPM = 1.5  # usual change of the heart rate from one second to the next
PATH_REACH = 4.0  # usual changes that a step spans; what goes further jumps
PATH_JUMP = 40.0  # nats that a jump costs
SNR_BAND_BPM = (LOWEST_BPM, 360.0)
SNR_REACH_BPM = 7.0  # to both sides of a line, and 1 more for each harmonic
LEAST_REST = 1e-6  # of the power of the lines: a ratio ends at 60 dB
STANDING_S, STANDING_STEP_S = 30.0, 10.0  # stretches in which a line is to stay where it is
STANDING_BPM = 4.0  # to both sides of a rate: as wide as the line of a steady tone in 30 s

Array = NDArray[np.float64]


@dataclass(frozen=True)
class WindowSpectra:
    """Power spectra of overlapping windows."""

    time_s: Array
    """Centres of the windows. Shape (N,)."""
    bpm: Array
    """Frequencies, multiples of `GRID_BPM` from 0. Shape (F,)."""
    power: Array
    """Hann periodograms in squared units of the wave. Shape (N, F)."""
    phasor: NDArray[np.complex128]
    """Their Fourier transforms, scaled to give that power. Shape (N, F)."""


@dataclass(frozen=True)
class RateTrack:
    """The most credible heart rate over time."""

    time_s: Array
    """Centres of the windows. Shape (N,)."""
    bpm: Array
    """Heart rate of each window. Shape (N,)."""
    middle_bpm: Array
    """Centre of the line's power in each window: the mean of a rate that swings, whose peak is
    where it dwells. Shape (N,)."""
    evidence: Array
    """How far the rate stands out in each window, in nats. Shape (N,)."""
    rival: Array
    """The same for the most credible other path, overtones aside. Shape (N,)."""
    alone_bpm: Array
    """What each window would read by itself. Shape (N,)."""
    snr_db: Array
    """Power at the rate and its harmonics over the rest. Shape (N,)."""
    is_doubled: bool
    """Lines beside it say that the rate is twice one that is too slow to be read."""
    overtone: float
    """Power at twice the rate over that at the rate, over all windows; 0 where twice the rate is
    too fast for a heart."""
    locked: float
    """How steady the phase at twice the rate is to that at the rate, up to 1; 1 too where there is
    no such overtone, or too little to tell."""


def bandpass(wave: Array, fps: float, band_hz: tuple[float, float] = HEART_BAND_HZ) -> Array:
    """Keep a band, without shifting the wave in time.

    Args:
        wave: Pulse wave, any unit. Shape (..., T).
        fps: Sampling rate of `wave` in Hz.
        band_hz: Lower and upper edge in Hz; the upper one is held below the Nyquist rate.

    Returns:
        The filtered wave, in the unit of `wave`. Shape (..., T).

    Raises:
        ValueError: The band does not lie between 0 and the Nyquist rate.
    """
    low, high = band_hz[0], min(band_hz[1], HIGHEST_SHARE * fps)
    if not 0 < low < high:
        most = HIGHEST_SHARE * fps
        raise ValueError(
            f"band_hz={band_hz} must lie between 0 and {HIGHEST_SHARE} fps = {most:g} Hz"
        )
    sos = _passing(low, high, fps)
    padding = min(int(fps / low), wave.shape[-1] - 1)
    return np.asarray(signal.sosfiltfilt(sos, wave, axis=-1, padlen=padding))


@lru_cache(maxsize=64)
def _passing(low_hz: float, high_hz: float, fps: float) -> Array:
    """Second-order sections that keep a band; designing them takes longer than using them."""
    return np.asarray(signal.butter(2, (low_hz, high_hz), btype="bandpass", fs=fps, output="sos"))


def runs(wave: Array, fps: float, least_s: float) -> list[slice]:
    """Stretches of a wave without a gap that last at least `least_s`, in order.

    Args:
        wave: NaN in gaps. Shape (T,).
        fps: Sampling rate in Hz.
        least_s: Seconds.
    """
    heard = np.concatenate([[False], np.isfinite(wave), [False]])
    edges = np.flatnonzero(heard[1:] != heard[:-1]).reshape(-1, 2)
    return [slice(int(a), int(b)) for a, b in edges if b - a >= least_s * fps - 1e-6]


def longest_run_s(wave: Array, fps: float) -> float:
    """Seconds of the longest stretch of a wave (T,) without a gap."""
    return max((run.stop - run.start for run in runs(wave, fps, 0)), default=0) / fps


def reading_window_s(wave: Array, fps: float) -> float:
    """Seconds of the windows by which a wave (T,) is read, up to `WINDOW_S`.

    No window reaches over a gap. They are short enough that at least half of what was heard is
    read, however often the face was lost.
    """
    heard = np.sort([run.stop - run.start for run in runs(wave, fps, 0)])[::-1]
    lengths = np.minimum(heard, round(WINDOW_S * fps))
    read = np.array([heard[heard >= length].sum() for length in lengths])
    return float(lengths[np.argmax(2 * read >= heard.sum())]) / fps


def looked_at_s(wave: Array, fps: float, window_s: float) -> float:
    """Seconds of a wave (T,) that windows of a length have looked at.

    The first stretch counts as a whole, each further one what its windows are more: as many seconds
    of a wave without gaps give as many windows.
    """
    read = [run.stop - run.start for run in runs(wave, fps, round(window_s * fps) / fps)]
    return sum(read) / fps - (len(read) - 1) * (window_s - STEP_S)


def bandpass_runs(wave: Array, fps: float, band_hz: tuple[float, float], least_s: float) -> Array:
    """Band-pass each gapless stretch by itself; shorter ones become NaN. Shape (T,)."""
    filtered = np.full(len(wave), np.nan)
    for run in runs(wave, fps, least_s):
        filtered[run] = bandpass(wave[run], fps, band_hz)
    return filtered


def window_starts(wave: Array, fps: float, length: int) -> NDArray[np.int64]:
    """First samples of windows, one every second of each stretch without a gap.

    Args:
        wave: NaN in gaps; at least one stretch is as long as a window. Shape (T,).
        fps: Sampling rate in Hz.
        length: Of a window, in samples.

    Returns:
        Their indices. Shape (N,).
    """
    return np.concatenate(
        [
            run.start + np.floor(np.arange(0, run.stop - run.start - length + 1, STEP_S * fps))
            for run in runs(wave, fps, length / fps)
        ]
    ).astype(np.int64)


def window_spectra(wave: Array, fps: float, window_s: float = WINDOW_S) -> WindowSpectra:
    """Spectra of windows, one every second of each stretch without a gap.

    Args:
        wave: Pulse wave without drift, NaN in gaps. Shape (T,).
        fps: Sampling rate in Hz.
        window_s: Length of a window.

    Returns:
        The spectra; a wave of less than one window gives one window of its length.
    """
    length = min(round(window_s * fps), len(wave))
    starts = window_starts(wave, fps, length)
    windows = np.lib.stride_tricks.sliding_window_view(wave, length)[starts]
    taper = np.asarray(signal.get_window("hann", length), np.float64)
    tapered = (windows - windows.mean(1, keepdims=True)) * taper
    highest = HEART_BAND_HZ[1] * 60 * max(HARMONICS)
    bpm = np.arange(0.0, highest + GRID_BPM, GRID_BPM)
    phasor = _zoom(tapered, fps, len(bpm)) / np.sqrt(np.sum(taper**2))
    phasor[:, bpm > HIGHEST_SHARE * fps * 60] = 0.0
    return WindowSpectra((starts + length / 2) / fps, bpm, np.abs(phasor) ** 2, phasor)


def _zoom(windows: Array, fps: float, bins: int) -> NDArray[np.complex128]:
    """Fourier transform at 0, GRID_BPM, 2 GRID_BPM ... Shape (N, bins)."""
    points = fps * 60 / GRID_BPM
    whole = round(points)
    if abs(points - whole) < 1e-9 and max(windows.shape[1], 2 * bins - 2) <= whole:
        return np.asarray(fft.rfft(windows, whole, axis=1), np.complex128)[:, :bins]
    return np.asarray(signal.czt(windows, bins, np.exp(-2j * np.pi / points)), np.complex128)


def track_rate(spectra: WindowSpectra) -> RateTrack:
    """Join the windows by the most credible path of heart rates.

    Args:
        spectra: At least one window.

    Returns:
        The rate of each window and the evidence for it.
    """
    floor = _noise_floor(spectra)
    above = spectra.power / floor
    first, last = (round(edge * 60 / GRID_BPM) for edge in HEART_BAND_HZ)
    states = np.arange(first, last + 1)
    evidence = _evidence(above, spectra.power, states)
    likely = evidence * _loudness(spectra.power[:, states])
    path = states[_best_path(likely)]
    octave, is_doubled = _right_octave(spectra, floor, path)
    if octave is not path:  # the line there need not be at twice or half to the beat
        near = np.abs(states - octave[:, None]) <= FAR_BPM / GRID_BPM
        path = states[_best_path(np.where(near, evidence, -MOST_EVIDENCE))]
    far = np.abs(states - path[:, None]) > FAR_BPM / GRID_BPM
    far &= np.abs(states - 2 * path[:, None]) > FAR_BPM / GRID_BPM  # its own overtone
    rival = _best_path(np.where(far, likely, -MOST_EVIDENCE))
    others = np.where(far, evidence, -MOST_EVIDENCE)
    windows = np.arange(len(path))
    bpm = _refine(spectra.power, floor, path)
    has_overtone = bool(2 * np.median(path) <= last)
    holds = not has_overtone or LOOKS * len(path) <= FEW_LOOKS
    return RateTrack(
        spectra.time_s,
        bpm,
        _middle(spectra, floor, bpm),
        evidence[windows, path - first],
        others[windows, rival],
        _refine(spectra.power, floor, states[evidence.argmax(1)]),
        snr_db(spectra, path * GRID_BPM),
        is_doubled,
        _overtone(spectra.power, path) if has_overtone else 0.0,
        1.0 if holds else _locked(spectra.phasor, path),
    )


def _overtone(power: Array, path: NDArray[np.intp]) -> float:
    """Power at twice a path over that along it."""
    windows = np.arange(len(path))
    once, twice = (float(power[windows, m * path].mean()) for m in (1, 2))
    return twice / max(once, SMALLEST)


def _right_octave(
    spectra: WindowSpectra, floor: Array, path: NDArray[np.intp]
) -> tuple[NDArray[np.intp], bool]:
    """Halve or double a path where its lines, averaged over all windows, say so.

    Returns:
        The path, shape (N,); and whether it should be halved and would be too slow then.
    """
    power, looks = spectra.power, max(1.0, LOOKS * len(path))
    sure = 1 + SURE_SPREADS / math.sqrt(looks)

    def lines(rate: NDArray[np.intp]) -> tuple[float, float, float]:
        """Give the power at `rate` over that at its half, and how sure the odd halves are."""
        first, second, third = (_excess(power, floor, m * rate // 2) for m in (1, 2, 3))
        return second[0] / max(first[0], SMALLEST), first[1], third[1]

    def is_overtone(rate: NDArray[np.intp]) -> bool:
        """Tell whether lines at half and one and a half of `rate` make it an overtone."""
        ratio, first, third = lines(rate)
        both = first + THIRD_SHARE * max(third - 1, 0)
        return ratio <= STRONGEST_OVERTONE and both > sure

    def is_slow_pulse(rate: NDArray[np.intp], locked: float) -> bool:
        """Tell whether those lines are a slow pulse, not a slow movement beside a fast one.

        Where both are surely there, it is enough that their phases do not drift apart.
        """
        ratio, first, third = lines(rate)
        if ratio <= USUAL_OVERTONE:
            return True
        both = min(first, third) > 1 and first * third > sure**2
        least = ADRIFT if both else locked
        return both if looks <= FEW_LOOKS else _locked(spectra.phasor, rate // 2) > least

    low, high = (round(edge * 60 / GRID_BPM) for edge in HEART_BAND_HZ)
    doubled, too_slow = is_overtone(path), bool(np.median(path) / 2 < low)
    if doubled and not too_slow and is_slow_pulse(path, LOCKED):
        return np.maximum(path // 2, low), False
    if np.median(path) * 2 <= high:
        above = [_excess(power, floor, m * path)[1] for m in (1, 2)]
        movement = looks > FEW_LOOKS and not is_slow_pulse(2 * path, ADRIFT)
        if above[1] > above[0] and (movement or not is_overtone(2 * path)):
            return np.minimum(2 * path, high), False
    return path, doubled and too_slow and (looks <= FEW_LOOKS or is_slow_pulse(path, LOCKED))


def _locked(phasor: NDArray[np.complex128], rate: NDArray[np.intp]) -> float:
    """How steady the phase of an overtone is to that of its fundamental at grid indices `rate`.

    The bicoherence without its weights: 1 where both are of one wave, less where one is a wave of
    its own (Kim & Powers, 1979, DOI 10.1109/TPS.1979.4317207).
    """
    windows = np.arange(len(rate))
    both = phasor[windows, rate] ** 2 * phasor[windows, 2 * rate].conj()
    return float(np.abs(np.mean(both / np.maximum(np.abs(both), SMALLEST))))


def _excess(power: Array, floor: Array, rate: NDArray[np.intp]) -> tuple[float, float]:
    """Mean power above the floor at grid indices `rate` (N,), and over the floor."""
    windows = np.arange(len(rate))
    rate = np.minimum(rate, power.shape[1] - 1)
    above = power[windows, rate] / floor[windows, rate]
    return float((power[windows, rate] - floor[windows, rate]).mean()), float(above.mean())


def _noise_floor(spectra: WindowSpectra) -> Array:
    """Power that noise has around each frequency, learned in time and frequency. Shape (N, F)."""
    lowest = round(LOWEST_BPM / GRID_BPM)
    tilt = np.maximum(spectra.bpm, LOWEST_BPM)  # noise usually falls with frequency
    power = (spectra.power * tilt)[:, lowest::FLOOR_BINS]
    calm = _over_half_a_minute(power)
    width = round(2 * FLOOR_REACH_BPM / (GRID_BPM * FLOOR_BINS)) + 1
    low = ndimage.percentile_filter(
        calm[::FLOOR_WINDOWS], 100 * FLOOR_QUANTILE, size=(1, width), mode="nearest"
    )
    low = np.repeat(low, FLOOR_WINDOWS, axis=0)[: len(power)]
    low = ndimage.uniform_filter1d(low, width // 2, axis=1, mode="nearest")
    at = np.clip((np.arange(len(tilt)) - lowest) / FLOOR_BINS, 0, low.shape[1] - 1)
    left = np.minimum(at.astype(int), low.shape[1] - 2)
    floor = (low[:, left] + (at - left) * (low[:, left + 1] - low[:, left])) / tilt
    looks = max(1.0, LOOKS * min(len(power), 2 * FLOOR_REACH_S / STEP_S))
    floor *= FLOOR_RISE + FLOOR_RISE_OF_ONE / looks
    least = LEAST_FLOOR * spectra.power.mean(1, keepdims=True)
    return np.maximum(floor, least) + SMALLEST


def _evidence(above: Array, power: Array, states: NDArray[np.intp]) -> Array:
    """Credibility of each rate in each window, in nats. Shape (N, S)."""
    peaked = (power / (_crest(power) + SMALLEST))[:, states]
    total = _line_evidence(above[:, states])
    fundamental = power[:, states] + SMALLEST
    for harmonic in HARMONICS[1:]:
        excess = power[:, harmonic * states] / (STRONGEST_OVERTONE * fundamental)
        total = total + OVERTONE_SHARE * _line_evidence(above[:, harmonic * states]) / (
            1 + excess**2
        )
    return total * peaked


def _loudness(power: Array) -> Array:
    """Power near each rate beside that of the strongest, over half a minute. Shape of `power`.

    The noise around a slow pulse is overestimated, as its own overtones are close, so that by
    evidence alone a faint line among fast rates, where little noise is left, would win over it.
    Each window counts alike, however loud it is.
    """
    share = power / (power.sum(1, keepdims=True) + SMALLEST)
    crest = _crest(np.maximum(_over_half_a_minute(share), 0))  # its running sums may end below 0
    return crest / (crest.max(1, keepdims=True) + SMALLEST)


def _over_half_a_minute(power: Array) -> Array:
    """Mean over the windows around each, `FLOOR_REACH_S` to both sides. Shape of `power`."""
    reach = min(round(2 * FLOOR_REACH_S / STEP_S) + 1, 2 * len(power) + 1)
    return np.asarray(ndimage.uniform_filter1d(power, reach, axis=0, mode="nearest"), np.float64)


def _crest(power: Array) -> Array:
    """The most power within a line's width of each frequency. Shape of `power`."""
    width = round(CREST_BPM / GRID_BPM) + 1
    return np.asarray(ndimage.maximum_filter1d(power, width, axis=1), np.float64)


def _line_evidence(above: Array) -> Array:
    """Log likelihood ratio of a line against exponential noise, held below `MOST_EVIDENCE`."""
    strong = np.maximum(above, 1.0)
    return MOST_EVIDENCE * -np.expm1(-(strong - 1 - np.log(strong)) / MOST_EVIDENCE)


def _best_path(evidence: Array) -> NDArray[np.intp]:
    """Viterbi path through evidence (N, S): small steps are cheap, jumps cost. Shape (N,)."""
    count, states = evidence.shape
    reach = round(PATH_REACH * PATH_SPREAD_BPM / GRID_BPM)
    offsets = np.arange(-reach, reach + 1)
    price = 0.5 * (offsets * GRID_BPM / PATH_SPREAD_BPM) ** 2
    came_from = np.zeros((count, states), np.intp)
    score, here = evidence[0], np.arange(states)
    padded = np.full(states + 2 * reach, -np.inf)
    near = np.lib.stride_tricks.sliding_window_view(padded, len(offsets))
    for window in range(1, count):
        padded[reach : reach + states] = score
        steps = near - price
        best = steps.argmax(1)
        value = steps[here, best]
        jump = int(score.argmax())
        jumps = score[jump] - PATH_JUMP > value
        came_from[window] = np.where(jumps, jump, here + offsets[best])
        score = np.where(jumps, score[jump] - PATH_JUMP, value) + evidence[window]
    path = np.empty(count, np.intp)
    path[-1] = score.argmax()
    for window in range(count - 1, 0, -1):
        path[window - 1] = came_from[window, path[window]]
    return path


def _refine(power: Array, floor: Array, rate: NDArray[np.intp]) -> Array:
    """Peak of the summed harmonics near grid indices `rate` (N,), interpolated; bpm. Shape (N,)."""
    reach = round(REFINE_BPM / GRID_BPM)
    near = rate[:, None] + np.arange(-reach, reach + 1)
    windows, last = np.arange(len(rate))[:, None], power.shape[1] - 1
    total = np.zeros(near.shape)
    for harmonic in HARMONICS:
        noise = floor[windows, np.minimum(harmonic * rate[:, None], last)]
        total += power[windows, np.minimum(harmonic * near, last)] / noise
    peak = np.clip(total[:, 1:-1].argmax(1) + 1, 1, total.shape[1] - 2)
    left, top, right = (total[windows[:, 0], peak + side] for side in (-1, 0, 1))
    bend = left - 2 * top + right
    shift = np.divide(0.5 * (left - right), bend, out=np.zeros_like(bend), where=bend < 0)
    return (near[windows[:, 0], peak] + np.clip(shift, -0.5, 0.5)) * GRID_BPM


def _middle(spectra: WindowSpectra, floor: Array, bpm: Array) -> Array:
    """Centre of the power that goes on above the floor to both sides of rates (N,). Shape (N,)."""
    middle = bpm.copy()
    for window, rate in enumerate(bpm):
        first, last = (round(share * rate / GRID_BPM) for share in (1 - SWING, 1 + SWING))
        peak = round(rate / GRID_BPM) - first
        noise = floor[window, first : last + 1]
        excess = spectra.power[window, first : last + 1] - noise
        low = np.flatnonzero(excess <= (SWING_ABOVE - 1) * noise)
        start, stop = (int(np.searchsorted(low, peak, side)) for side in ("left", "right"))
        if start != stop:  # the peak itself is low
            continue
        begin = low[start - 1] + 1 if start else 0
        end = low[stop] if stop < len(low) else len(excess)
        weights = excess[begin:end]
        middle[window] = GRID_BPM * (
            first + begin + weights @ np.arange(len(weights)) / weights.sum()
        )
    return middle


def standing(wave: Array, fps: float, track: RateTrack) -> Array:
    """How much of a wave stays in the line of its rate for half a minute.

    A pulse does, while noise, movement and what a network makes of them wander: in a window of 10 s
    their lines are as sharp as a heart's, and over all of them they are not.

    Args:
        wave: Wave in `WAVE_BAND_HZ`, NaN in gaps, which count as silence. Shape (T,).
        fps: Sampling rate in Hz.
        track: Its rates.

    Returns:
        For each window of `track`, the share, from 0 to 1, of the power in the heart band within
        `STANDING_BPM` of the mean rate, of the up to `STANDING_S` long stretch around it. Shape
        (N,).
    """
    heard = np.nan_to_num(wave)
    length = min(round(STANDING_S * fps), len(heard))
    steps = math.ceil((len(heard) - length) / (STANDING_STEP_S * fps))
    starts = np.arange(steps + 1) * (len(heard) - length) // max(steps, 1)
    centre_s = (starts + length / 2) / fps
    taper = np.asarray(signal.get_window("hann", length), np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(heard, length)[starts] * taper
    first, last = (round(edge * 60 / GRID_BPM) for edge in HEART_BAND_HZ)
    power = np.abs(_zoom(windows, fps, last + 1)[:, first:]) ** 2
    bpm = np.arange(first, last + 1) * GRID_BPM
    nearest = np.abs(track.time_s[:, None] - centre_s).argmin(1)
    share = np.zeros(len(nearest))
    for stretch in np.unique(nearest):
        within = np.abs(track.time_s - centre_s[stretch]) <= length / fps / 2
        near = np.abs(bpm - track.bpm[within].mean()) <= STANDING_BPM
        total = power[stretch].sum() + SMALLEST
        share[nearest == stretch] = power[stretch][near].sum() / total
    return share


def snr_db(spectra: WindowSpectra, bpm: Array) -> Array:
    """Power near each window's rate and its harmonics over the rest.

    Args:
        spectra: Of N windows.
        bpm: Rate of each. Shape (N,).

    Returns:
        In dB. Shape (N,).
    """
    grid = spectra.bpm
    heard = (grid >= SNR_BAND_BPM[0]) & (grid <= SNR_BAND_BPM[1])
    line = np.zeros(spectra.power.shape, bool)
    for harmonic in HARMONICS:
        line |= np.abs(grid - harmonic * bpm[:, None]) <= SNR_REACH_BPM + harmonic
    inside = np.where(line & heard, spectra.power, 0).sum(1)
    outside = np.where(~line & heard, spectra.power, 0).sum(1)
    rest = np.maximum(outside, LEAST_REST * inside + SMALLEST)
    return 10 * np.log10((inside + SMALLEST) / rest)
