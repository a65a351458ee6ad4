import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdphys.pulse import (
    WAVE_BAND_HZ,
    bandpass,
    bandpass_runs,
    longest_run_s,
    looked_at_s,
    reading_window_s,
    runs,
    standing,
    track_rate,
    window_spectra,
)
from tests._waves import noise, pulse_wave

FPS = st.sampled_from((15.0, 24.0, 29.97, 30.0, 60.0))


def mean_rate(wave, fps):
    return float(track_rate(window_spectra(bandpass(wave, fps, WAVE_BAND_HZ), fps)).bpm.mean())


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.floats(42, 178), FPS, st.floats(12, 40), st.floats(0, 1))
def test_the_rate_is_right_for_any_rate_frame_rate_and_length(bpm, fps, seconds, overtone):
    wave, true = pulse_wave(bpm, fps, seconds, overtone=overtone)
    # A 10 s Hann window has lines 12 bpm wide: harmonics of slow pulses lean on each other.
    assert mean_rate(wave, fps) == pytest.approx(true, abs=1.0)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.floats(42, 62), st.floats(1, 4), st.integers(0, 1000))
def test_a_strong_second_harmonic_does_not_double_a_low_rate(bpm, overtone, seed):
    wave, true = pulse_wave(bpm, 30.0, 30.0, overtone=overtone, sway=0.02)
    wave += 0.3 * noise(np.random.default_rng(seed), len(wave))  # 10 dB below the pulse
    assert mean_rate(wave, 30.0) == pytest.approx(true, abs=2.0)  # noise moves a weak line by 1


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.floats(84, 175), st.integers(0, 1000))
def test_a_pure_tone_in_noise_is_not_halved(bpm, seed):
    wave, true = pulse_wave(bpm, 30.0, 30.0, overtone=0.0)
    wave += 0.7 * noise(np.random.default_rng(seed), len(wave))  # 3 dB below the tone
    assert mean_rate(wave, 30.0) == pytest.approx(true, abs=2.0)  # noise moves the peak


def test_a_slow_movement_near_half_the_rate_seldom_halves_it():
    right = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        bpm, off = rng.uniform(90, 175), rng.uniform(-4, 4)
        wave, true = pulse_wave(bpm, 30.0, 30.0, overtone=0.0)
        time_s = np.arange(len(wave)) / 30.0
        phase = 2 * np.pi * (bpm / 2 + off) / 60 * time_s
        phase += 0.05 * np.cumsum(rng.standard_normal(len(wave)))  # lost within 13 s
        # A 25th of the pulse's power, a clear line all the same.
        wave += 0.2 * np.sqrt(2) * np.sin(phase) + 0.2 * noise(rng, len(wave))
        right += abs(mean_rate(wave, 30.0) - true) <= 2
    assert right >= 45  # 27 where one line at half the rate, or its harmonic, is enough


def test_a_slow_pulse_whose_fundamental_nearly_drowns_is_seldom_doubled():
    time_s = np.arange(900) / 30.0
    phase = 2 * np.pi * 42.4 / 60 * time_s
    pulse = 0.5 * np.cos(phase) + np.cos(2 * phase + 1) + 0.5 * np.cos(3 * phase + 2)
    waves = [pulse + np.random.default_rng(seed).standard_normal(900) for seed in range(60)]
    right = sum(abs(mean_rate(wave, 30.0) - 42.4) <= 3 for wave in waves)
    assert right >= 52  # 46 where each of the two odd lines has to be sure by itself


def stands(wave, fps=30.0):
    kept = bandpass_runs(wave, fps, WAVE_BAND_HZ, 5.0)
    return standing(kept, fps, track_rate(window_spectra(kept, fps, reading_window_s(kept, fps))))


@pytest.mark.parametrize("bpm", [42.0, 72.3, 178.0])
@pytest.mark.parametrize("seconds", [5.0, 12.0, 30.0, 47.0, 90.0])
def test_a_steady_tone_stands_in_its_line_and_a_short_one_less(bpm, seconds):
    share = stands(pulse_wave(bpm, 30.0, seconds, overtone=0.0)[0])
    assert len(share) == max(seconds - 9, 1)
    assert np.all(share > (0.99 if seconds >= 30 else 0.8 if seconds >= 12 else 0.3))
    assert np.all(share <= 1)


def test_what_wanders_does_not_stand_though_every_window_reads_it_alike():
    time_s = np.arange(900) / 30.0
    steady, swinging = (
        np.sin(2 * np.pi * np.cumsum(rate) / 30)
        for rate in (np.full(900, 1.2), 1.2 + 0.2 * np.sin(2 * np.pi * 0.05 * time_s))
    )
    assert stands(swinging).mean() < 0.7 < 0.99 < stands(steady).mean()


def test_noise_stands_by_chance_only():
    shares = [stands(noise(np.random.default_rng(seed), 900)).mean() for seed in range(30)]
    assert np.max(shares) < 0.5
    assert np.median(shares) < 0.35


def test_each_window_has_the_share_of_the_half_minute_around_it():
    tone = pulse_wave(72.0, 30.0, 60.0, overtone=0.0)[0]
    loud = np.where(np.arange(1800) < 900, 0.1, 3.0) * noise(np.random.default_rng(0), 1800)
    share = stands(tone + loud)
    assert share[:6].min() > 0.95 > 0.6 > share[-6:].max()
    assert len(np.unique(share)) == 4  # stretches from 0, 10, 20, 30 s


@pytest.mark.parametrize("gaps", [[(14.0, 15.0)], [(9.0, 10.0), (19.0, 20.0), (29.0, 30.0)]])
def test_gaps_are_silence_to_what_stands(gaps):
    wave = pulse_wave(72.0, 30.0, 40.0, overtone=0.0)[0]
    for start, stop in gaps:
        wave[round(30 * start) : round(30 * stop)] = np.nan
    assert stands(wave).min() > 0.8
    assert stands(np.where(np.isfinite(wave), 0.0, np.nan) + 1e-300).max() == 0


def test_a_rate_that_climbs_is_followed():
    wave, _ = pulse_wave(80, 30.0, 60.0, ramp=0.5)  # 60 to 100 bpm in a minute
    track = track_rate(window_spectra(bandpass(wave, 30.0, WAVE_BAND_HZ), 30.0))
    true = 80 * (1 + 0.5 * (track.time_s / 60 - 0.5))
    # In 10 s the rate itself changes by 6.7 bpm; the window's middle counts most.
    np.testing.assert_allclose(track.bpm, true, atol=1.5)


def test_one_bad_stretch_does_not_turn_the_path():
    wave, true = pulse_wave(70, 30.0, 60.0)
    wave[750:1050] += 4 * np.sin(2 * np.pi * 2.1 * np.arange(300) / 30)  # 10 s of shaking
    track = track_rate(window_spectra(bandpass(wave, 30.0, WAVE_BAND_HZ), 30.0))
    assert np.median(track.bpm) == pytest.approx(true, abs=0.5)
    assert np.abs(track.bpm - true).max() < 12  # held near by its neighbours, not at 126


def test_bandpass_does_not_shift_the_wave():
    time_s = np.arange(900) / 30
    wave = np.sin(2 * np.pi * 1.2 * time_s)
    kept = bandpass(wave, 30.0)
    # At mid-band a second-order filter, run both ways, keeps all but 2 % of a tone.
    np.testing.assert_allclose(kept[150:-150], wave[150:-150], atol=0.05)


def test_a_band_beyond_the_frame_rate_is_refused():
    with pytest.raises(ValueError, match="fps"):
        bandpass(np.zeros(100), 2.0, (1.0, 2.0))


def test_gaps_split_a_wave_into_stretches():
    wave = np.ones(100)
    wave[30:35] = wave[90:] = np.nan
    assert runs(wave, 10.0, 0.0) == [slice(0, 30), slice(35, 90)]
    assert runs(wave, 10.0, 4.0) == [slice(35, 90)]
    assert longest_run_s(wave, 10.0) == 5.5
    assert longest_run_s(np.full(9, np.nan), 10.0) == 0.0
    assert np.isfinite(bandpass_runs(wave, 10.0, (0.7, 3.0), 4.0)).sum() == 55


@pytest.mark.parametrize(
    ("stretches_s", "window_s", "whole_s"),
    [
        ([7], 7, 7),
        ([60], 10, 60),
        ([30, 30], 10, 51),  # the second gives 21 windows more
        ([10, 9, 9, 9], 9, 13),
        ([9.9, 9.5, 9.5, 9.5], 9.5, 9.9 + 3 * 1.0),
        ([20, 6, 6], 10, 20),  # two in three seconds are read
        ([10, 6, 6], 6, 12),
    ],
)
def test_windows_are_as_long_as_lets_them_read_half_of_what_was_heard(
    stretches_s, window_s, whole_s
):
    parts = [np.append(np.ones(round(10 * seconds)), np.nan) for seconds in stretches_s]
    wave = np.concatenate(parts)
    assert reading_window_s(wave, 10.0) == window_s
    assert looked_at_s(wave, 10.0, window_s) == pytest.approx(whole_s)


def test_windows_that_hold_a_gap_are_left_out():
    wave, _ = pulse_wave(70, 30.0, 40.0)
    wave[600] = np.nan
    time_s = window_spectra(wave, 30.0).time_s
    assert not np.any(np.abs(time_s - 20.0) < 4.9)
    assert len(time_s) == 21  # starts at 0 to 10 s, and 21 to 30 s


def test_a_slow_irregular_pulse_wins_over_a_faint_fast_line():
    fps = 30
    time_s = np.arange(20 * fps) / fps
    missed = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        bpm = 40 + 0.6 * seed
        rate = bpm / 60 * (1 + 0.12 * np.sin(2 * np.pi * 0.2 * time_s + rng.uniform(0, 6)))
        turns = np.cumsum(rate) / fps
        wave = sum(
            size * np.cos(2 * np.pi * overtone * turns + rng.uniform(0, 6))
            for overtone, size in ((1, 1.0), (2, 0.45), (3, 0.35))
        )
        hiss = np.fft.rfft(rng.standard_normal(len(time_s)))
        hiss = np.fft.irfft(hiss / (np.fft.rfftfreq(len(time_s), 1 / fps) + 0.5) ** 1.5)
        wave = wave + 0.8 * hiss / hiss.std() + 0.2 * np.sin(2 * np.pi * 158 / 60 * time_s)
        spectra = window_spectra(bandpass(wave, fps, WAVE_BAND_HZ), fps)
        missed += abs(np.median(track_rate(spectra).bpm) - bpm) > 4
    assert missed <= 1  # without a look at the power: 10
