"""Waves with a known truth, for the tests of signal processing."""

import numpy as np


def noise(rng, samples, slope=1.0):
    """Noise of unit spread whose power falls with frequency to the power `slope`."""
    bins = np.fft.rfft(rng.standard_normal(samples))
    bins *= np.maximum(np.arange(len(bins)), 1.0) ** (-slope / 2)
    bins[0] = 0
    wave = np.fft.irfft(bins, samples)
    return wave / wave.std()


def pulse_wave(bpm, fps, seconds, *, overtone=0.3, sway=0.0, ramp=0.0):
    """Pulse of unit spread and its mean rate.

    `overtone` is the power of the second harmonic over the first, `sway` the share by which the
    rate swings with breath and slower, `ramp` that by which it rises from end to end.
    """
    time_s = np.arange(int(seconds * fps)) / fps
    share = 1 + ramp * (time_s / seconds - 0.5)
    share += sway * (np.sin(2 * np.pi * 0.23 * time_s) + np.sin(2 * np.pi * 0.031 * time_s + 1))
    turns = np.cumsum(bpm / 60 * share) / fps
    wave = np.cos(2 * np.pi * turns) + np.sqrt(overtone) * np.cos(4 * np.pi * turns - 1.2)
    return wave / wave.std(), 60 * (turns[-1] - turns[0]) / (time_s[-1] - time_s[0])


def beside_movement(seed, bpm, fps, seconds, loud):
    """Pulse of unit spread, one of spread `loud` that wanders about half its rate, and noise."""
    rng = np.random.default_rng(seed)
    pulse, _ = pulse_wave(bpm, fps, seconds, overtone=0.1)
    hz = np.fft.rfftfreq(len(pulse), 1 / fps)
    about = np.exp(-0.5 * ((60 * hz - bpm / 2) / 2) ** 2)
    moved = np.fft.irfft(about * np.fft.rfft(rng.standard_normal(len(pulse))), len(pulse))
    return pulse + loud * moved / moved.std() + 0.5 * noise(rng, len(pulse))


def still_photo(rng, fps, seconds, period_s, *, decay_s=0.2):
    """What an encoder makes of a still (jumps at key frames that die away), and their times."""
    time_s = np.arange(int(seconds * fps)) / fps
    keys = np.arange(rng.uniform(0, period_s), seconds, period_s)
    last = np.searchsorted(keys, time_s + 1e-9, side="right") - 1
    strength = 1 + 0.2 * rng.standard_normal(len(keys) + 1)
    wave = np.where(last >= 0, np.exp(-(time_s - keys[np.maximum(last, 0)]) / decay_s), 0.0)
    wave = wave * strength[last]
    return (wave - wave.mean()) / wave.std(), keys
