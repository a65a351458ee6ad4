"""Light that brightens and darkens a face in the rhythm of a pulse.

Blood darkens green about twice as much as red (de Haan & van Leest 2014, doi
10.1088/0967-3334/35/9/1913), light darkens all colours alike: by the same share where it lights the
skin, by the same amount where it lies over the picture as glare. A rhythm that stands out of a
face's mean colour and is grey is that of a lamp, a screen or a shadow.
"""

import numpy as np
from numpy.typing import NDArray

from kdphys.pulse import WINDOW_S, reading_window_s, runs, window_starts

GREY = 0.05  # power of red minus green and of blue minus green over that of green; a pulse: 0.2
LEAST_S = 5.0  # of a face without a gap
LEAST_SWING = 0.0025  # of the mean level: below, a network reads the pulse beside it
LEAST_FLICKER = 0.004  # of the mean level: as much as a pulse, and so worth a word
FLICKER_HZ = (0.3, 14.0)  # where it is looked for; mains light comes as its beat with the camera
HIGHEST_SHARE = 0.47  # of the frame rate, up to which it is looked for too
LEAST_STANDING = 5.0  # power at the rhythm over that of its surroundings, where movement is broad
ASIDE_BPM = (-24.0, -20.0, -16.0, 16.0, 20.0, 24.0)  # where the surroundings are looked at
GREY_LIGHT = (
    "No pulse was found: the face brightens and darkens in all colours alike, as light does that "
    "flickers or a shadow that moves. Film in steady light."
)

Array = NDArray[np.float64]


def is_grey(colours: Array, fps: float, bpm: float) -> bool:
    """Tell whether a rhythm is that of the light.

    Args:
        colours: Mean red, green and blue of the face, NaN where there is none. Shape (T, 3).
        fps: Samples a second.
        bpm: The rhythm.

    Returns:
        True where a grey rhythm of that rate stands out; False too where nothing can be told.
    """
    seen = np.full(len(colours), np.nan)
    for run in runs(colours.sum(1), fps, LEAST_S):
        seen[run] = 0.0
    if np.isnan(seen).all():
        return False
    length = round(reading_window_s(seen, fps) * fps)
    starts = window_starts(seen, fps, length)
    windows = np.lib.stride_tricks.sliding_window_view(colours, length, axis=0)[starts]
    level = windows.mean(2, keepdims=True)  #                                (N, 3, length)
    lit = (level > 0).all((1, 2))
    if not lit.any():
        return False
    windows, level = windows[lit], level[lit]
    scaled = windows / level - 1, (windows - level) / level[:, 1:2]
    return any(_is_alike(change, fps, bpm) for change in scaled)


def flickers(colours: Array, fps: float) -> bool:
    """Tell whether the light on a face has a rhythm, at whatever rate.

    Args:
        colours: Mean red, green and blue of the face, NaN where there is none. Shape (T, 3).
        fps: Samples a second.

    Returns:
        True where the strongest rhythm of the last seconds without a gap is grey and stands out; a
        head that rocks in uneven light does the same.
    """
    latest = colours[-round(WINDOW_S * fps) :]
    gaps = np.flatnonzero(~np.isfinite(latest).all(1))
    latest = latest[gaps[-1] + 1 :] if len(gaps) else latest
    if len(latest) < LEAST_S * fps:
        return False
    level = latest.mean(0)
    if not np.all(level > 0):
        return False
    change = latest / level - 1
    taper = np.hanning(len(change))[:, None]
    swing = np.abs(np.fft.rfft((change - change.mean(0)) * taper, axis=0)).min(1)
    hz = np.fft.rfftfreq(len(change), 1 / fps)
    heard = (hz >= FLICKER_HZ[0]) & (hz <= min(FLICKER_HZ[1], HIGHEST_SHARE * fps))
    swing = np.where(heard, swing * 2 / taper.sum(), 0.0)
    at = int(swing.argmax())
    return bool(swing[at] > LEAST_FLICKER) and _is_alike(change.T[None], fps, 60 * hz[at])


def _is_alike(change: Array, fps: float, bpm: float) -> bool:
    """Tell whether a rhythm stands out and is the same in all colours.

    Args:
        change: Of red, green and blue in each window. Shape (N, 3, L).
        fps: Samples a second.
        bpm: The rhythm.
    """
    length = change.shape[2]
    ramp = np.linspace(-1, 1, length)
    change = change - (change @ ramp)[..., None] / (ramp @ ramp) * ramp
    turns = np.outer(np.arange(length) / fps, bpm + np.array([0.0, *ASIDE_BPM])) / 60
    taper = np.hanning(length)[:, None]
    swing = change @ (2 * np.exp(-2j * np.pi * turns) * taper / taper.sum())  # (N, 3, 1 + K)
    power = np.mean(np.abs(swing[:, 1]) ** 2, axis=0)
    unlike = [np.mean(np.abs(swing[:, c, 0] - swing[:, 1, 0]) ** 2) for c in (0, 2)]
    return bool(
        power[0] > LEAST_SWING**2
        and power[0] > LEAST_STANDING * np.median(power[1:])
        and max(unlike) < GREY * power[0]
    )
