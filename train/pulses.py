"""Synthetic blood-volume pulses: when the heart beats, and what each beat looks like.

A beat is a forward (systolic) and a reflected (dicrotic) wave, each a Gaussian in the beat's own
phase, after McSharry et al. (2003, doi 10.1109/TBME.2003.808805) as used for pulse waves by
Tang et al. (2020, doi 10.1038/s41598-020-69076-x). Beat intervals follow respiration (sinus
arrhythmia), slow drift and, rarely, an ectopic beat or a pause; respiration also sways the strength
of the beats and the level that they ride on (Charlton et al., 2018, doi 10.1109/RBME.2017.2763681).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

LEAST_BPM, MOST_BPM = 40.0, 180.0
WAVE_HZ = 240.0  # beats are drawn on this grid, then interpolated
PHASE_STEPS = 512
PLAIN_CENTRE, PLAIN_WIDTH = 0.27, 0.17  # a beat that is nearly one sine


@dataclass(frozen=True)
class Pulse:
    """A pulse with its truth."""

    time_s: NDArray[np.float64]
    """Sample times. Shape (N,), evenly spaced at `WAVE_HZ`."""
    values: NDArray[np.float64]
    """Blood volume, zero mean; systole is up. The beats have unit standard deviation, and ride on
    the slow sway of respiration. Shape (N,)."""
    target: NDArray[np.float64]
    """What a network should say: the same beats, half in their own shape and half in that of a
    plain beat, so that the heart rate is its strongest tone even where a strong reflected wave
    makes twice the rate the strongest tone of `values`. Standardised. Shape (N,)."""
    beats_s: NDArray[np.float64]
    """Onsets of the beats in seconds. Shape (M,)."""
    bpm: float
    """Mean heart rate: beats counted over the time they span, as if none were missing."""

    def at(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the blood volume at any times inside the recording. Shape of `time_s`."""
        return np.interp(time_s, self.time_s, self.values)

    def target_at(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the target at any times inside the recording. Shape of `time_s`."""
        return np.interp(time_s, self.time_s, self.target)


def draw_pulse(
    rng: np.random.Generator,
    seconds: float,
    variability: float,
    bpm: float | None = None,
    off: frozenset[str] = frozenset(),
) -> Pulse:
    """Draw a pulse, unless told otherwise at a rate uniform in 40 to 180 beats a minute.

    Args:
        rng: Source of randomness.
        seconds: Length of the pulse.
        variability: 0 for a metronome, 1 for strong heart-rate variability and drift.
        bpm: Mean heart rate; none draws one.
        off: Factors to leave out, of those of a pulse in `train.world.FACTORS`. As many beats are
            drawn as with them.

    Returns:
        The pulse, `seconds` long.
    """
    drawn = rng.uniform(LEAST_BPM, MOST_BPM)
    bpm = drawn if bpm is None else bpm
    breath = Breath(rng.uniform(0.1, 0.5), rng.uniform(0, 2 * np.pi))
    onsets = _beat_onsets(rng, bpm, seconds, variability, breath, off)
    rate = _rate_bpm(onsets[(onsets >= 0) & (onsets <= seconds)])
    there = np.ones(len(onsets), bool)
    if variability and rng.uniform() < 0.05:  # one beat is missing
        there[rng.integers(2, len(onsets) - 2)] = False
    time_s = np.arange(0.0, seconds + 1 / WAVE_HZ, 1 / WAVE_HZ)
    shape = _beat_shape(rng, bpm, later="dicrotic" not in off)
    uneven = np.zeros(len(onsets))  # from beat to beat
    uneven[there] = rng.uniform(0, 0.15) * rng.standard_normal(int(there.sum()))
    swell = variability * rng.uniform(0, 0.25)
    sway = variability * rng.uniform(0, 0.6) * breath.at(time_s + rng.uniform(0, 3))
    kept = there | ("pause" in off)
    onsets = onsets[kept]
    beat, phase = _place_in_beat(time_s, onsets)
    strength = 1 + ("beats" not in off) * uneven[kept]
    strength += ("breath" not in off) * swell * breath.at(onsets)
    values = np.interp(phase, np.linspace(0, 1, PHASE_STEPS), shape) * strength[beat]
    pulse = pulse_of(time_s, values, onsets, seconds)
    return replace(pulse, values=pulse.values + ("breath" not in off) * sway, bpm=rate)


def pulse_of(
    time_s: NDArray[np.float64],
    values: NDArray[np.float64],
    onsets_s: NDArray[np.float64],
    seconds: float,
) -> Pulse:
    """Make a pulse of a wave whose beats are known.

    Args:
        time_s: Sample times, evenly spaced at `WAVE_HZ`. Shape (N,).
        values: Blood volume in any unit; systole is up. Shape (N,).
        onsets_s: Onsets of its beats, from before the first sample to after the last. Shape (M,).
        seconds: Length of the pulse; onsets outside it are not told.

    Returns:
        The pulse with its target and mean rate.
    """
    _, phase = _place_in_beat(time_s, onsets_s)
    steps = np.linspace(0, 1, PHASE_STEPS)
    plain = np.interp(phase, steps, _around(steps, PLAIN_CENTRE, PLAIN_WIDTH))
    values = _standard(values)
    target = _standard(_standard(plain) + values)
    inside = onsets_s[(onsets_s >= 0) & (onsets_s <= seconds)]
    return Pulse(time_s, values, target, inside, _rate_bpm(inside))


def _rate_bpm(beats_s: NDArray[np.float64]) -> float:
    return float(60 * (len(beats_s) - 1) / (beats_s[-1] - beats_s[0]))


def _place_in_beat(
    time_s: NDArray[np.float64], onsets_s: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Which beat each time belongs to, and how far through it, in [0, 1). Two of shape (N,)."""
    beat = np.clip(np.searchsorted(onsets_s, time_s, side="right") - 1, 0, len(onsets_s) - 2)
    return beat, (time_s - onsets_s[beat]) / np.diff(onsets_s)[beat]


def _standard(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    return (wave - wave.mean()) / wave.std()


@dataclass(frozen=True)
class Breath:
    """Respiration as a sine."""

    hz: float
    phase: float

    def at(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Between -1 and 1. Shape of `time_s`."""
        return np.sin(2 * np.pi * self.hz * time_s + self.phase)


def _beat_onsets(
    rng: np.random.Generator,
    bpm: float,
    seconds: float,
    variability: float,
    breath: Breath,
    off: frozenset[str],
) -> NDArray[np.float64]:
    """Integrate an instantaneous rate into beat onsets from before 0 to after `seconds`."""
    step = 0.05
    time_s = np.arange(-3.0, seconds + 4.0, step)
    calm = np.clip((150 - bpm) / 90, 0.15, 1.0)  # a fast heart varies less
    sway = variability * calm * rng.uniform(0.0, 0.08) * breath.at(time_s)
    drift = variability * rng.uniform(-0.08, 0.08) * (time_s / max(seconds, 1.0) - 0.5)
    noise = variability * calm * 0.03 * _slow_noise(rng, len(time_s), step, 0.1)
    begin = rng.uniform()
    cycles = _cycles(1 + sway + drift + noise, bpm, step)
    whole = np.arange(np.ceil(cycles[0] + begin), np.floor(cycles[-1] + begin) + 1)
    varies = "variability" not in off
    kept = 1 + (varies and "breath" not in off) * sway + varies * drift + varies * noise
    steady = _cycles(kept, bpm, step)
    onsets = np.interp(whole, steady * (cycles[-1] / steady[-1]) + begin, time_s)
    if variability and rng.uniform() < 0.1:  # one ectopic beat: early, then a pause
        early = int(rng.integers(2, len(onsets) - 2))
        ahead = 0.25 * (onsets[early] - onsets[early - 1])
        onsets[early] -= ("ectopic" not in off) * ahead
    return onsets


def _cycles(rate: NDArray[np.float64], bpm: float, step_s: float) -> NDArray[np.float64]:
    """Beats that have passed at each step, where the heart rate goes with `rate`. Shape (N,)."""
    rate = bpm * (rate / rate.mean())
    return np.cumsum(np.clip(rate, LEAST_BPM * 0.9, MOST_BPM * 1.1) / 60 * step_s)


def _beat_shape(rng: np.random.Generator, bpm: float, *, later: bool) -> NDArray[np.float64]:
    """Blood volume over one beat; slow hearts show stronger dicrotic waves. Shape (512,).

    It is one wave only, if there are to be no `later` ones.
    """
    phase = np.linspace(0, 1, PHASE_STEPS)
    reflected = rng.uniform(0.0, 0.85 if bpm < 75 else 0.6 if bpm < 110 else 0.3)
    centre = rng.uniform(0.18, 0.3)
    delay = rng.uniform(0.25, 0.47)
    width = rng.uniform(0.07, 0.14)
    wave = _around(phase, centre, width)
    wave += later * reflected * _around(phase, centre + delay, width * rng.uniform(0.9, 1.6))
    return wave + later * rng.uniform(0.0, 0.5) * _around(phase, centre + 0.12, 0.2)


def _around(phase: NDArray[np.float64], centre: float, width: float) -> NDArray[np.float64]:
    """Gaussian on the circle of phases."""
    distance = (phase - centre + 0.5) % 1 - 0.5
    return np.exp(-0.5 * (distance / width) ** 2)


def _slow_noise(
    rng: np.random.Generator, samples: int, step_s: float, cutoff_hz: float
) -> NDArray[np.float64]:
    """First-order low-pass noise of unit standard deviation. Shape (samples,)."""
    keep = np.exp(-2 * np.pi * cutoff_hz * step_s)
    noise = np.empty(samples)
    value = rng.standard_normal()
    for index, kick in enumerate(rng.standard_normal(samples)):
        value = keep * value + np.sqrt(1 - keep**2) * kick
        noise[index] = value
    return noise
