"""Keep a video's key frames out of its pulse.

An encoder redraws the picture at each key frame and lets it drift until the next one, so even a
still photo pulses at the cadence of its key frames. That part of a wave repeats after every key
frame; a heart does not know of key frames, and drifts against them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdphys.pulse import WINDOW_S

LEAST_PERIOD_S, MOST_PERIOD_S = 0.2, 4.3  # outside, key frames leave nothing in the heart band
LEAST_PERIODS = 3
BEFORE_S = 0.3  # filters smear what a key frame does to before it
LAG_S = 1 / 30
ON_CADENCE_BPM = 2.5
MOST_JUMPS = 0.5  # of all change: what key frames bring to a still is more, to a face much less
LEAST_CHANGE = 0.005  # grey levels a frame: a face changes ten times as much, a still may not
FEWEST_KEYS, FEWEST_CHANGES = 4, 60
ASIDE_BPM = (-17.0, -13.0, 13.0, 17.0)  # where noise is looked at, off the line of a 10 s window
STILL = (
    "No steady pulse was found: the picture changes with the video's key frames only, as that of a "
    "photo does. Film a living face, with less compression."
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Cadence:
    """How often a video's key frames come."""

    time_s: Array
    """Times of the key frames. Shape (K,)."""
    period_s: float
    """Usual time between two of them."""
    steady: bool
    """Whether most come after the same time."""

    @property
    def per_min(self) -> float:
        """Key frames a minute."""
        return 60 / self.period_s


class Stillness:
    """Tells a still that only an encoder redraws from a living face, frame by frame.

    Noise and movement change a face in every frame. Where most of the change comes with the key
    frames, or there is next to none, the codec's own rhythms are all there is to read, those at
    fractions of the cadence too.
    """

    def __init__(self) -> None:
        self._light: float | None = None
        self._keys = self._changes = 0
        self._at_keys = self._in_all = 0.0

    def push(self, crop: NDArray[np.uint8], *, key_frame: bool, opens: bool) -> None:
        """Take the next crop of the face.

        Args:
            crop: RGB in 0..255. Shape (S, S, 3).
            key_frame: Whether its frame was a key frame.
            opens: It does not follow on the crop before.
        """
        light = float(crop[..., 1].mean())
        before, self._light = self._light, light
        if opens or before is None:
            return
        self._changes += 1
        self._in_all += abs(light - before)
        if key_frame:
            self._keys += 1
            self._at_keys += abs(light - before)

    @property
    def is_still(self) -> bool:
        """Whether nothing but the encoder changes the picture."""
        if self._keys < FEWEST_KEYS or self._changes < max(FEWEST_CHANGES, 3 * self._keys):
            return False
        little = self._in_all < LEAST_CHANGE * self._changes
        return little or self._at_keys > MOST_JUMPS * self._in_all


def find_cadence(key_times_s: Array | None, seconds: float) -> Cadence | None:
    """Cadence of key frames, if they can be mistaken for a pulse.

    Args:
        key_times_s: Times of the key frames; None where a source has none. Shape (K,).
        seconds: Length of the recording.

    Returns:
        The cadence; None for intra-only video (every frame a key frame) and for rare key frames.
    """
    if key_times_s is None:
        return None
    time_s = np.unique(np.asarray(key_times_s, np.float64))
    time_s = time_s[(time_s >= -MOST_PERIOD_S) & (time_s <= seconds)]
    if len(time_s) <= LEAST_PERIODS:
        return None
    gaps = np.diff(time_s)
    period = float(np.median(gaps))
    if not LEAST_PERIOD_S <= period <= MOST_PERIOD_S:
        return None
    alike = np.abs(gaps - period) <= max(0.05 * period, 0.05)
    if alike.any():  # the median of an even number of gaps can lie between all of them
        period = float(gaps[alike].mean())
    return Cadence(time_s, period, bool(alike.mean() >= 0.6))


def remove_locked(wave: Array, fps: float, cadence: Cadence) -> Array:
    """Take out what repeats after every key frame.

    The common response to a key frame is found by least squares over all of them, whether they
    come evenly or not; for even ones this is folding at the cadence.

    Args:
        wave: Band-passed wave, NaN in gaps. Shape (T,).
        fps: Sampling rate in Hz.
        cadence: Of the key frames.

    Returns:
        What is left of the wave. Shape (T,).
    """
    lags = np.arange(-BEFORE_S, cadence.period_s, LAG_S)
    time_s = np.arange(len(wave)) / fps
    design = np.zeros((len(wave), len(lags)))
    for key in cadence.time_s:
        first, last = np.searchsorted(time_s, (key + lags[0] - LAG_S, key + lags[-1] + LAG_S))
        since = time_s[first:last, None] - key
        design[first:last] += np.maximum(0, 1 - np.abs(since - lags) / LAG_S)
    heard = np.isfinite(wave)
    seen = design[heard]
    gram = seen.T @ seen + 1e-3 * LAG_S * len(cadence.time_s) * np.eye(len(lags))
    response = np.linalg.solve(gram, seen.T @ wave[heard])
    return wave - design @ response


def wander(wave: Array, fps: float, cadence: Cadence, bpm: float) -> float | None:
    """How far a rhythm strays from the beat of the key frames, beyond what noise makes of it.

    Args:
        wave: Wave before anything was removed, NaN in gaps. Shape (T,).
        fps: Sampling rate in Hz.
        cadence: Of the key frames.
        bpm: Rate of the rhythm.

    Returns:
        About 0 where each 10 s keep the same phase against the key frames; half the variance of
        that phase, in squared radians, where they don't. None when the rate is no multiple of the
        cadence, or key frames come irregularly.
    """
    multiple = max(1, round(bpm / cadence.per_min))
    if abs(bpm - multiple * cadence.per_min) > ON_CADENCE_BPM or not cadence.steady:
        return None
    time_s = np.arange(len(wave)) / fps
    last = np.maximum(np.searchsorted(cadence.time_s, time_s, side="right") - 1, 0)
    turns = (time_s - cadence.time_s[last]) / cadence.period_s
    spun = np.nan_to_num(wave) * np.exp(-2j * np.pi * multiple * turns)
    length = min(len(wave), round(WINDOW_S * fps))
    starts = np.arange(0, len(wave) - length + 1, max(1, round(fps)))
    windows = np.lib.stride_tricks.sliding_window_view(spun, length)[starts]
    aside = np.outer(np.arange(length) / fps, [0.0, *ASIDE_BPM]) / 60
    parts = windows @ (np.hanning(length)[:, None] * np.exp(-2j * np.pi * aside))  # (N, 1 + K)
    power = np.mean(np.abs(parts) ** 2, axis=0)
    noise = np.median(power[1:]) / max(power[0], np.finfo(float).tiny)
    together = np.abs(parts[:, 0].sum()) / max(np.abs(parts[:, 0]).sum(), np.finfo(float).tiny)
    return float(1 - together - noise / 4)
