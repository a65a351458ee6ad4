"""Heads that move in the rhythm that was read, as of people who walk or nod.

Light and shade go over a face that moves, and a network may take that for blood. The heart moves a
head too (Balakrishnan et al. 2013, doi 10.1109/CVPR.2013.440), but by far less.
"""

import numpy as np
from numpy.typing import NDArray

from kdphys.rhythm import ASIDE_BPM, swings_at, windows_of

LEAST_S = 5.0  # of a face without a gap
LEAST_SWAY = 0.005  # of a face's width, to either side: about 1 mm
STANDING = 100.0  # power at the rhythm over that around it: noise has 20, and wrong readings of
# drawn people who walk 118 and more
NEAR_BPM = 4.0  # from there it is to be less: a heart may be a little off the rhythm of one's steps
SLOWEST_BPM = 40.0  # of a movement that is looked for: below, what is around it is none
SWAYS = (
    "No pulse was found: the head moves {bpm:.0f} times a minute, in the rhythm of what was found "
    "or half of it, which may be that of steps or of music. Keep the head still."
)

Array = NDArray[np.float64]


def sway_of(places: Array, fps: float, bpm: float) -> float | None:
    """Find the rhythm of a head's movement that a rate may come from.

    Light and shade go over a face twice a swing, so it is the rate or half of it.

    Args:
        places: As for `sways`.
        fps: Samples a second.
        bpm: The rate.

    Returns:
        In movements a minute, or None.
    """
    rhythms = (bpm, bpm / 2) if bpm >= 2 * SLOWEST_BPM else (bpm,)
    return next((rhythm for rhythm in rhythms if sways(places, fps, rhythm)), None)


def sways(places: Array, fps: float, bpm: float) -> bool:
    """Tell whether a head moves in a rhythm.

    Args:
        places: Centre of the face across and down, and its width, in pixels of the camera; NaN
            where there is no face. Shape (T, 3).
        fps: Samples a second.
        bpm: The rhythm.

    Returns:
        True where a movement of that rate stands out; False too where nothing can be told.
    """
    windows = windows_of(places, fps, LEAST_S)
    if not len(windows):
        return False
    level = windows.mean(2, keepdims=True)
    change = (windows - level) / level[:, 2:]
    rates = bpm + np.array([0.0, -NEAR_BPM, NEAR_BPM, *ASIDE_BPM])
    usual = np.median(np.abs(swings_at(change, fps, rates)) ** 2, axis=0)  # (3, 3 + K)
    power, near, around = usual[:, 0], usual[:, 1:3].max(1), np.median(usual[:, 3:], axis=1)
    return bool(np.any((power > LEAST_SWAY**2) & (power > STANDING * around) & (power > near)))
