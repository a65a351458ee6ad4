"""How much of a rhythm there is in what is seen beside a pulse: colours, and where the face is."""

import numpy as np
from numpy.typing import NDArray

from kdphys.pulse import reading_window_s, runs, window_starts

ASIDE_BPM = (-24.0, -20.0, -16.0, 16.0, 20.0, 24.0)  # where the surroundings are looked at

Array = NDArray[np.float64]


def windows_of(samples: Array, fps: float, least_s: float) -> Array:
    """Cut samples into windows as a reading has them.

    Args:
        samples: NaN where there are none. Shape (T, C).
        fps: Samples a second.
        least_s: Seconds that a stretch without a gap must have.

    Returns:
        Windows without a gap, of the length L that the stretches allow. Shape (N, C, L), N >= 0.
    """
    seen = np.full(len(samples), np.nan)
    for run in runs(samples.sum(1), fps, least_s):
        seen[run] = 0.0
    if np.isnan(seen).all():
        return np.empty((0, samples.shape[1], 1))
    length = round(reading_window_s(seen, fps) * fps)
    starts = window_starts(seen, fps, length)
    return np.lib.stride_tricks.sliding_window_view(samples, length, axis=0)[starts]


def swings_at(change: Array, fps: float, rates_bpm: Array) -> NDArray[np.complex128]:
    """How much windows swing at some rates.

    Args:
        change: Of mean 0. Shape (N, C, L).
        fps: Samples a second.
        rates_bpm: The rates; those around another one are `ASIDE_BPM` from it. Shape (K,).

    Returns:
        Amplitude and phase at each. Shape (N, C, K).
    """
    length = change.shape[2]
    ramp = np.linspace(-1, 1, length)
    change = change - (change @ ramp)[..., None] / (ramp @ ramp) * ramp
    turns = np.outer(np.arange(length) / fps, rates_bpm) / 60
    taper = np.hanning(length)[:, None]
    return change @ (2 * np.exp(-2j * np.pi * turns) * taper / taper.sum())
