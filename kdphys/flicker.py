"""Light that brightens and darkens a face in the rhythm of a pulse.

Blood darkens green about twice as much as red, and more than blue (de Haan & van Leest 2014, doi
10.1088/0967-3334/35/9/1913), light darkens all colours alike: by the same share where it lights the
skin, by the same amount where it lies over the picture as glare. One of several lamps, or a screen,
may do it in a colour of its own. A rhythm that stands out of a face's mean colour and is grey, or
too red or too blue for blood, is that of a lamp, a screen or a shadow. Light that wanders without a
rhythm, as exposure and white balance do, may be taken for a faint pulse: then the wave swings with
all colours alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdphys.pulse import TINY, WINDOW_S
from kdphys.rhythm import ASIDE_BPM, swings_at, windows_of

GREY = 0.05  # power of red minus green and of blue minus green over that of green; a pulse: 0.2
LEAST_S = 5.0  # of a face without a gap
LEAST_SWING = 0.0025  # of the mean level: below, a network reads the pulse beside it
LEAST_FLICKER = 0.004  # of the mean level: as much as a pulse, and so worth a word
FLICKER_HZ = (0.3, 14.0)  # where it is looked for; mains light comes as its beat with the camera
HIGHEST_SHARE = 0.47  # of the frame rate, up to which it is looked for too
LEAST_STANDING = 5.0  # power at the rhythm over that of its surroundings, where movement is broad
CLEAR_STANDING = 20.0  # with less, movement may tint a pulse: 11 of 1,089 drawn faces, then 1
MOST_RED, MOST_BLUE = 0.8, 1.2  # of green's, as shares: a pulse has 0.3 to 0.5, and 0.1 to 0.75
NEAR_BPM = tuple(range(-15, 16, 5))  # around a rate, where a wave is compared with colours
LEAST_ALIKE = 0.3  # coherence of a wave with green; 1 where they swing as one
MOST_UNLIKE = 0.35  # of what swings with the wave, red and blue beside green; a pulse: 0.3 to 1.1
CALM_SHARE = 0.25  # of the usual unrest around the rhythm, above which a window counts for less
ANY_LIGHT = (
    "No pulse was found: the face brightens and darkens in colours of light that flickers or of a "
    "shadow that moves, not of blood. Film in steady light."
)
WANDERING_LIGHT = (
    "No pulse was found: what looks like one is in all colours alike, as where a lamp, a shadow or "
    "the camera's exposure wanders. Film in steady light."
)

Array = NDArray[np.float64]


def is_light(colours: Array, fps: float, bpm: float) -> bool:
    """Tell whether a rhythm is that of the light.

    Args:
        colours: Mean red, green and blue of the face, NaN where there is none. Shape (T, 3).
        fps: Samples a second.
        bpm: The rhythm.

    Returns:
        True where a rhythm of that rate and of no colour of blood stands out; False too where
        nothing can be told.
    """
    windows, level = _lit_windows(colours, fps)  #                           (N, 3, length)
    if not len(windows):
        return False
    share = _rhythm(windows / level - 1, fps, bpm)
    if share.is_grey or share.is_tinted:
        return True
    return _rhythm((windows - level) / level[:, 1:2], fps, bpm).is_grey  # glare


def follows_light(wave: Array, colours: Array, fps: float, bpm: float) -> bool:
    """Tell whether a wave swings, around a rate, as the face does in all colours alike.

    Args:
        wave: Pulse wave, NaN where there is no face. Shape (T,).
        colours: Mean red, green and blue of the face on the same grid, NaN where there is none.
            Shape (N, 3).
        fps: Samples a second.
        bpm: The rate.

    Returns:
        True where wave and colours clearly go together, and red and blue as far as green; False too
        where nothing can be told.
    """
    both = min(len(wave), len(colours))
    samples = np.column_stack([wave[:both], colours[:both]])
    windows, level = _lit_windows(samples, fps)  #                        (N, 4, length)
    if not len(windows):
        return False
    change = windows - level
    change[:, 1:] /= level[:, 1:]
    swing = swings_at(change, fps, bpm + np.array(NEAR_BPM))  #           (N, 4, K)
    own, *shares = np.moveaxis(swing, 1, 0)
    red, green, blue = (np.vdot(own, share) for share in shares)
    powers = np.vdot(own, own).real * np.vdot(shares[1], shares[1]).real
    alike = abs(green) ** 2 / max(powers, TINY)
    unlike = max(abs(red - green), abs(blue - green)) / max(abs(green), TINY)
    return bool(alike > LEAST_ALIKE and unlike < MOST_UNLIKE)


def _lit_windows(samples: Array, fps: float) -> tuple[Array, Array]:
    """Windows in which colours, the last three channels, are above 0, and all their means."""
    windows = windows_of(samples, fps, LEAST_S)
    level = windows.mean(2, keepdims=True)
    lit = (level[:, -3:] > 0).all((1, 2))
    return windows[lit], level[lit]


def flickers(colours: Array, fps: float) -> bool:
    """Tell whether the light on a face has a rhythm, at whatever rate.

    Args:
        colours: Mean red, green and blue of the face, NaN where there is none. Shape (T, 3).
        fps: Samples a second.

    Returns:
        True where the strongest rhythm of the last seconds without a gap stands out and is of no
        colour of blood; a head that rocks in uneven light does the same.
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
    found = _rhythm(change.T[None], fps, 60 * hz[at])
    return bool(swing[at] > LEAST_FLICKER) and (found.is_grey or found.is_tinted)


@dataclass(frozen=True)
class _Rhythm:
    """How colours swing at a rate."""

    power: float
    """Of the colour that swings most."""
    standing: float
    """That over the power of that colour around the rhythm."""
    unlike: float
    """Power of red minus green, or of blue minus green if that is more, over green's."""
    red: float
    """Swing of red over that of green."""
    blue: float
    """Swing of blue over that of green."""

    @property
    def is_grey(self) -> bool:
        """Whether it stands out and is the same in all colours."""
        return self._stands(LEAST_STANDING) and self.unlike < GREY

    @property
    def is_tinted(self) -> bool:
        """Whether it clearly stands out and is redder or bluer than blood is."""
        return self._stands(CLEAR_STANDING) and (self.red > MOST_RED or self.blue > MOST_BLUE)

    def _stands(self, least: float) -> bool:
        return self.power > LEAST_SWING**2 and self.standing > least


def _rhythm(change: Array, fps: float, bpm: float) -> _Rhythm:
    """Mean over windows of how colours swing at a rate; restless windows count for less.

    Args:
        change: Of red, green and blue in each window. Shape (N, 3, L).
        fps: Samples a second.
        bpm: The rhythm.
    """
    swing = swings_at(change, fps, bpm + np.array([0.0, *ASIDE_BPM]))  #    (N, 3, 1 + K)
    around = np.median(np.abs(swing[:, 1, 1:]) ** 2, axis=1)
    weights = 1 / (around + CALM_SHARE * np.median(around) + TINY)
    weights /= weights.sum()
    power = np.tensordot(weights, np.abs(swing) ** 2, 1)  #                (3, 1 + K)
    red, green, blue = swing[:, :, 0].T
    most = power[power[:, 0].argmax()]
    of_green = max(power[1, 0], TINY)
    off_green = [weights @ np.abs(other - green) ** 2 for other in (red, blue)]
    return _Rhythm(
        power=float(most[0]),
        standing=float(most[0] / max(np.median(most[1:]), TINY)),
        unlike=float(max(off_green) / of_green),
        red=float(np.sqrt(power[0, 0] / of_green)),
        blue=float(np.sqrt(power[2, 0] / of_green)),
    )
