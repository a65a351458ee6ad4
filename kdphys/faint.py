"""Where a network sees next to nothing of the pulse that it sees elsewhere.

What a network says is as loud as its pulse is clear. Where a still, or somebody's portrait, comes
after a face in one recording, its wave nearly vanishes, and a rhythm that is left by chance must
not count as much as the beats before it.
"""

import numpy as np
from numpy.typing import NDArray

from kdphys.pulse import longest_run_s

SPAN_S = 5.0  # over which loudness is looked at
FAINT = 0.12  # of the loudest: 71 drawn people never fell below 0.35, stills in noise reach 0.06

Array = NDArray[np.float64]


def without_faint(wave: Array, fps: float, least_s: float) -> Array:
    """Make gaps of a network's wave where it is far fainter than elsewhere.

    Args:
        wave: Pulse wave, NaN in gaps. Shape (T,).
        fps: Its sampling rate in Hz.
        least_s: The shortest stretch that can be read.

    Returns:
        The wave; as it was, where that would leave nothing to read. Shape (T,).
    """
    span, seen = round(SPAN_S * fps), np.isfinite(wave)
    if seen.sum() < span:
        return wave
    squares = np.where(seen, np.square(wave - np.nanmean(wave)), 0.0)
    around = np.ones(span)
    counts = np.convolve(seen, around, "same")
    power = np.convolve(squares, around, "same") / np.maximum(counts, 1.0)
    loudest = power[counts > span / 2].max(initial=0.0)
    kept = np.where(power < FAINT**2 * loudest, np.nan, wave)
    return kept if longest_run_s(kept, fps) >= least_s else wave
