"""Pulse from mean skin colour without a network: the floor that every network has to beat.

* POS: Wang et al. (2017), doi 10.1109/TBME.2016.2609282.
* CHROM: de Haan & Jeanne (2013), doi 10.1109/TBME.2013.2266196.
* GREEN: Verkruysse et al. (2008), doi 10.1364/OE.16.021434.

All three take raw colour means on any positive scale, cancel the light by a local mean, and return
a wave that rises with blood volume (more blood, darker skin). Constant colour gives zeros.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import signal

WINDOW_S = 1.6  # as in both papers: longer than the beat of a slow heart
CHROM_BAND_HZ = (40 / 60, 4.0)
LEAST_WINDOW = 8  # frames
ELLIPSE_CENTRE = (0.5, 0.52)  # of the crop's width and height
ELLIPSE_RADII = (0.33, 0.42)

Array = NDArray[np.float64]


def skin_mean(pixels: NDArray[np.uint8]) -> Array:
    """Mean colour of the face oval of each crop.

    The oval is the same in every frame and every clip, so that it adds no signal of its own and
    crops may come in any grouping. It leaves out the corners, where hair and background are.

    Args:
        pixels: Square RGB face crops. Shape (T, S, S, 3).

    Returns:
        Mean red, green and blue in 0 to 255. Shape (T, 3).
    """
    size = pixels.shape[1]
    at = (np.arange(size) + 0.5) / size
    across = (at[None, :] - ELLIPSE_CENTRE[0]) / ELLIPSE_RADII[0]
    down = (at[:, None] - ELLIPSE_CENTRE[1]) / ELLIPSE_RADII[1]
    inside = (across**2 + down**2 <= 1).astype(np.float32)
    flat = pixels.reshape(len(pixels), size * size, 3).astype(np.float32)
    return np.einsum("tpc,p->tc", flat, inside.ravel() / inside.sum()).astype(np.float64)


def pos(rgb: Array, fps: float) -> Array:
    """Pulse wave by projection onto the plane orthogonal to skin tone (POS).

    Args:
        rgb: Mean skin colour, any positive scale. Shape (T, 3).
        fps: Frames a second.

    Returns:
        Pulse wave, no unit, zero for constant colour. Shape (T,).
    """
    windows = _normalised_windows(rgb, fps, step=1)  # (N, 3, L)
    red, green, blue = windows[:, 0], windows[:, 1], windows[:, 2]
    first, second = green - blue, green + blue - 2 * red
    pulse = first + _ratio_of_spreads(first, second) * second
    return -_overlap_add(pulse - pulse.mean(1, keepdims=True), len(rgb), step=1)


def chrom(rgb: Array, fps: float) -> Array:
    """Pulse wave from two chrominance signals (CHROM).

    Args:
        rgb: Mean skin colour, any positive scale. Shape (T, 3).
        fps: Frames a second.

    Returns:
        Pulse wave, no unit, zero for constant colour. Shape (T,).
    """
    step = _window_frames(len(rgb), fps) // 2
    windows = _normalised_windows(rgb, fps, step)
    red, green, blue = windows[:, 0], windows[:, 1], windows[:, 2]
    first = _in_band(3 * red - 2 * green, fps)
    second = _in_band(1.5 * red + green - 1.5 * blue, fps)
    pulse = first - _ratio_of_spreads(first, second) * second
    taper = np.asarray(signal.get_window("hann", pulse.shape[1]), np.float64)
    return _overlap_add(pulse * taper, len(rgb), step)


def green(rgb: Array, fps: float) -> Array:
    """Pulse wave from the green channel alone, detrended and band-passed (GREEN).

    Args:
        rgb: Mean skin colour, any positive scale. Shape (T, 3).
        fps: Frames a second.

    Returns:
        Pulse wave, no unit, zero for constant colour. Shape (T,).
    """
    level = np.asarray(rgb, np.float64)[:, 1]
    relative = level / max(level.mean(), np.finfo(float).tiny) - 1
    return -_in_band(signal.detrend(relative)[None], fps)[0]


def _window_frames(frames: int, fps: float) -> int:
    """Even number of frames in one window; at most the whole recording."""
    if frames < LEAST_WINDOW:
        raise ValueError(f"rgb has {frames} frames; at least {LEAST_WINDOW} are needed")
    wanted = max(2 * math.ceil(WINDOW_S * fps / 2), LEAST_WINDOW)
    return min(wanted, 2 * (frames // 2))


def _normalised_windows(rgb: Array, fps: float, step: int) -> Array:
    """Every `step`-th window, each channel divided by its mean, minus one. Shape (N, 3, L)."""
    colour = np.asarray(rgb, np.float64)
    if colour.ndim != 2 or colour.shape[1] != 3:
        raise ValueError(f"rgb has shape {colour.shape}; it must be (T, 3)")
    length = _window_frames(len(colour), fps)
    starts = np.unique(
        np.append(np.arange(0, len(colour) - length + 1, step), len(colour) - length)
    )
    windows = np.lib.stride_tricks.sliding_window_view(colour, length, axis=0)[starts]
    mean = windows.mean(2, keepdims=True)
    return windows / np.maximum(mean, np.finfo(float).tiny) - 1


def _overlap_add(windows: Array, frames: int, step: int) -> Array:
    """Sum windows back to one wave; the last window ends with the recording. Shape (T,)."""
    count, length = windows.shape
    starts = np.minimum(np.arange(count) * step, frames - length)
    index = starts[:, None] + np.arange(length)
    summed = np.bincount(index.ravel(), windows.ravel(), minlength=frames)
    return summed.astype(np.float64)


def _ratio_of_spreads(first: Array, second: Array) -> Array:
    """Standard deviation of `first` over that of `second`, 0 where there is none. Shape (N, 1)."""
    above, below = first.std(1, keepdims=True), second.std(1, keepdims=True)
    return np.divide(above, below, out=np.zeros_like(above), where=below > 1e-12)


def _in_band(windows: Array, fps: float) -> Array:
    """Band-passed windows without delay. Shape (N, L)."""
    low, high = CHROM_BAND_HZ
    band = (low, min(high, 0.45 * fps))
    if band[1] <= low:
        raise ValueError(f"fps={fps} must be above {low / 0.45:.2f} for a heart rate to be seen")
    sos = signal.butter(1, band, btype="bandpass", fs=fps, output="sos")
    padding = min(9, windows.shape[1] - 1)  # scipy's own for one section
    return np.asarray(signal.sosfiltfilt(sos, windows, axis=1, padlen=padding), np.float64)
