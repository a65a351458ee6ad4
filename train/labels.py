"""What a contact sensor said, on the time grid of the networks.

A contact wave has its own clock. It is laid on the grid by time, with breathing and drift taken
out, and what is missing in it stays missing: nothing is made up between samples that are far apart.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kdphys.clip import MAX_GAP_S
from kdphys.pulse import STEP_S, WAVE_BAND_HZ, WINDOW_S, bandpass_runs, longest_run_s
from kdphys.vitals import AGREE_BPM, LEAST_QUALITY, LEAST_SECONDS, Rate, read_rate

LABEL_BAND_HZ = (0.6, 6.0)  # no breathing, and room for the shape of a beat
BESIDE_S = 60.0  # of a sensor's recording before and after the pictures, for the filter
FINE_HZ = 240.0  # any sensor is joined by straight lines to this before it is filtered
LEAST_SNR_DB = -2.0  # 12 s of noise within a pulse gave -2.7 and less in 15 draws
FLAT = 1e-9

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trace:
    """Numbers with the times at which they were taken."""

    time_s: Array
    """Seconds since the first frame of the video, increasing. Shape (N,)."""
    values: Array
    """What was measured. Shape (N,)."""

    def __post_init__(self) -> None:
        """Check that every value has a time."""
        if self.time_s.shape != self.values.shape or self.time_s.ndim != 1:
            raise ValueError(
                f"{len(self.time_s)} times and {len(self.values)} values must be alike"
            )
        if not (np.isfinite(self.time_s).all() and (np.diff(self.time_s) > 0).all()):
            raise ValueError("time_s must increase from sample to sample")

    @classmethod
    def of(cls, time_s: ArrayLike, values: ArrayLike) -> "Trace":
        """Keep the samples that have a value and a time later than those before.

        Sensors repeat a stamp now and then; as for frames, a time is never made up.
        """
        if np.iscomplexobj(time_s) or np.iscomplexobj(values):
            raise ValueError("times and values must be real numbers")
        times, numbers = (np.asarray(x, np.float64).ravel() for x in (time_s, values))
        if times.shape != numbers.shape:
            raise ValueError(f"{len(times)} times and {len(numbers)} values must be alike")
        known = np.isfinite(times) & np.isfinite(numbers)
        times, numbers = times[known], numbers[known]
        latest = np.maximum.accumulate(np.concatenate([[-np.inf], times[:-1]]))
        later = times > latest[: len(times)]
        return cls(times[later], numbers[later])


def label_on_grid(wave: Trace, steps: int, fps: float) -> Array:
    """Lay a contact wave on an even grid that begins with the first frame.

    Args:
        wave: Contact wave that rises with blood volume, any unit.
        steps: How many steps the grid has, T.
        fps: Steps a second.

    Returns:
        The wave in `LABEL_BAND_HZ`, NaN where the sensor said nothing. Shape (T,).
    """
    grid = np.arange(steps) / fps
    near = np.abs(wave.time_s - steps / fps / 2) <= steps / fps / 2 + BESIDE_S
    wave = Trace(wave.time_s[near], wave.values[near])  # whatever a sensor's clock did elsewhere
    if len(wave.time_s) < 2 or np.diff(wave.time_s).min() > MAX_GAP_S:  # as of milliseconds
        return np.full(steps, np.nan)
    fine = np.arange(wave.time_s[0], wave.time_s[-1], 1 / FINE_HZ)
    values = np.interp(fine, wave.time_s, wave.values - wave.values.mean())
    before = np.searchsorted(wave.time_s[1:-1], fine, side="right")
    values[np.diff(wave.time_s)[before] > MAX_GAP_S] = np.nan
    kept = bandpass_runs(values, FINE_HZ, LABEL_BAND_HZ, LEAST_SECONDS)
    return np.interp(grid, fine, kept, left=np.nan, right=np.nan)


def rate_of(wave: Array, fps: float) -> Rate | None:
    """Read the heart rate of a wave whatever its quality; None where there is too little of it.

    Args:
        wave: Pulse wave, NaN in gaps. Shape (T,).
        fps: Sampling rate in Hz.
    """
    if longest_run_s(wave, fps) < LEAST_SECONDS:
        return None
    broad = bandpass_runs(wave, fps, WAVE_BAND_HZ, LEAST_SECONDS)
    return None if np.nanstd(broad) < FLAT else read_rate(broad, fps)


def rate_between(rate: Rate, start_s: float, stop_s: float) -> float | None:
    """Give the heart rate of a part of a wave, as the whole wave tells it.

    Ten seconds of a contact wave by themselves are now and then read at twice the rate. So the path
    through the whole wave counts, and a part that by itself says otherwise, or is mostly something
    else, is taken for disturbed. A short part at an end has the rate of the window nearest to it.
    Of 166 such parts of 21 finger waves 9 by themselves were more than 20 bpm off the mean of a
    chest strap; this gives a rate for 146, and none of these is.

    Args:
        rate: Of the whole wave.
        start_s: Where the part begins on the axis of the wave.
        stop_s: Where it ends.

    Returns:
        Its mean rate; None where the wave, or this part of it, shows no steady pulse.
    """
    track, reach = rate.track, max(STEP_S, stop_s - start_s - WINDOW_S) / 2
    away = np.abs(track.time_s - (start_s + stop_s) / 2)
    if away.min() < WINDOW_S / 2:  # that window holds the middle of the part
        reach = max(reach, away.min())
    inside = away <= reach + 1e-6
    clear = (np.abs(track.alone_bpm - track.bpm) < AGREE_BPM) & (track.snr_db > LEAST_SNR_DB)
    if rate.quality < LEAST_QUALITY or not inside.any() or not clear[inside].all():
        return None
    return float(track.bpm[inside].mean())
