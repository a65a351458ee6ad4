"""The private mode's filters and beats say in the browser what Python says on the server."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy import interpolate, signal

from kdphys import beats, pulse
from kdphys.beats import Beats, Intervals
from tests._private import Scripts, scripts
from tests._waves import noise, pulse_wave

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("private")]

FPS = 30.0
EXACT = 1e-9  # of a wave's size: only the order of additions differs
EXACT_S = 1e-8  # a parabola through a flat peak multiplies that


@pytest.fixture(scope="module")
def browser() -> Iterator[Scripts]:
    with scripts() as each:
        yield each


def breathing_pulse(seed: int, bpm: float, fps: float = FPS, seconds: float = 60.0) -> np.ndarray:
    """A noisy pulse with an overtone whose rate and strength sway with breath."""
    rng = np.random.default_rng(seed)
    wave, _ = pulse_wave(bpm, fps, seconds, overtone=rng.uniform(0.05, 0.5), sway=0.05)
    time_s = np.arange(len(wave)) / fps
    wave = wave * (1 + 0.2 * np.sin(2 * np.pi * 0.23 * time_s))
    return wave + rng.uniform(0.02, 0.3) * noise(rng, len(wave))


def with_gaps(seed: int, wave: np.ndarray) -> np.ndarray:
    """Four gaps of up to 2 s, one of them right after another, so that one stretch is short."""
    rng = np.random.default_rng(seed)
    wave = wave.copy()
    starts = rng.integers(0, len(wave) - 60, 3)
    for start in [*starts, starts[0] + 80]:
        wave[start : start + rng.integers(1, 60)] = np.nan
    return wave


WAVES = [
    *(
        pytest.param(bpm, breathing_pulse(seed, bpm), id=f"{bpm:g}")
        for seed, bpm in enumerate((42.0, 55.3, 64.0, 71.7, 96.0, 128.0, 171.0))
    ),
    *(
        pytest.param(bpm, with_gaps(seed, breathing_pulse(seed, bpm)), id=f"gaps-{seed}")
        for seed, bpm in ((10, 58.0), (11, 72.0), (12, 104.0))
    ),
    pytest.param(70.0, noise(np.random.default_rng(20), 1800), id="noise"),
    pytest.param(66.0, pulse_wave(66.0, FPS, 9.0)[0], id="short"),
]


def close(found: Any, expected: Any, size: float = 1.0, tolerance: float = EXACT) -> None:
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * size)


def beats_in(script: Beats) -> dict[str, list[float]]:
    """Beats as the scripts have them."""
    return {
        "riseS": script.rise_s.tolist(),
        "peakS": script.peak_s.tolist(),
        "slope": script.slope.tolist(),
        "run": script.run.tolist(),
    }


def intervals_in(script: Intervals) -> dict[str, list[float]]:
    """Intervals as the scripts have them."""
    return {
        "seconds": script.seconds.tolist(),
        "endS": script.end_s.tolist(),
        "clean": script.clean.tolist(),
        "paired": script.paired.tolist(),
    }


@pytest.mark.parametrize("fps", [7.0, 14.9, 24.0, 29.97, 30.0, 60.0, 120.0])
@pytest.mark.parametrize(
    "band", [(0.3, 8.0), pulse.HEART_BAND_HZ, (0.05, 0.5), (1.2, 1.3), (2.9, 12.0)]
)
def test_the_band_pass_is_that_of_scipy_at_any_rate(browser, fps, band):
    rng = np.random.default_rng(round(10 * fps))
    for samples in (1, 2, 5, 40, 700):
        wave = 50 + rng.standard_normal(samples).cumsum()
        found = browser.ask("filters", "bandpass", wave, fps, band)
        close(found, pulse.bandpass(wave, fps, band), np.abs(wave).max())


@pytest.mark.parametrize("band", [(0.0, 2.0), (2.0, 1.0), (3.0, 8.0)])
def test_a_band_that_cannot_be_kept_is_an_error_on_both_sides(browser, band):
    wave, fps = np.ones(50), 6.5  # whose highest edge is 2.9 Hz
    with pytest.raises(ValueError, match="must lie between"):
        pulse.bandpass(wave, fps, band)
    with pytest.raises(Exception, match="must lie between"):
        browser.ask("filters", "bandpass", wave, fps, band)


@pytest.mark.parametrize("least_s", [0.0, 0.1, 31 / FPS, 2.0, 70.0])
def test_stretches_without_a_gap_are_the_same(browser, least_s):
    walk = np.random.default_rng(3).standard_normal(900)
    # 31 samples are a hair less than 31 / FPS * FPS, and still last as long.
    edges = np.concatenate([[np.nan], walk[:31], [np.nan] * 2, walk[:3], [np.nan]])
    nothing, one = np.full(40, np.nan), np.array([np.nan, 1.0, np.inf])
    for wave in (walk, with_gaps(4, walk), edges, nothing, one, walk[:0]):
        found = browser.ask("filters", "runs", wave, FPS, least_s)
        expected = pulse.runs(wave, FPS, least_s)
        assert found == [[run.start, run.stop] for run in expected]
        longest = browser.ask("filters", "longestRunS", wave, FPS)
        assert longest == pulse.longest_run_s(wave, FPS)
        if np.isfinite(wave).any():
            window_s = pulse.reading_window_s(wave, FPS)
            assert browser.ask("filters", "readingWindowS", wave, FPS) == window_s
            looked_at_s = browser.ask("filters", "lookedAtS", wave, FPS, window_s)
            assert looked_at_s == pytest.approx(pulse.looked_at_s(wave, FPS, window_s), abs=1e-9)
        if len(wave) > 100:
            kept = browser.ask("filters", "bandpassRuns", wave, FPS, (0.3, 8.0), least_s)
            close(kept, pulse.bandpass_runs(wave, FPS, (0.3, 8.0), least_s))


def test_the_spline_and_its_slope_are_those_of_scipy(browser):
    rng = np.random.default_rng(5)
    for fps, samples in ((30.0, 4), (30.0, 5), (29.97, 61), (12.3, 200), (60.0, 900)):
        wave = rng.standard_normal(samples)
        at = np.arange(samples) / fps
        spline = interpolate.CubicSpline(at, wave)
        fine = np.arange(0.0, at[-1], 1 / beats.FINE_HZ)
        found = browser.ask("beats", "splined", wave, fps, beats.FINE_HZ)
        close(found["height"], spline(fine))
        close(found["slope"], spline(fine, 1), fps)


@pytest.mark.parametrize("distance", [1.0, 2.5, 7.0, 30.0])
@pytest.mark.parametrize("prominence", [0.0, 0.6, 2.0])
def test_peaks_are_those_of_scipy_on_flat_tops_too(browser, distance, prominence):
    rng = np.random.default_rng(6)
    smooth = rng.standard_normal(400)
    steps = np.round(noise(rng, 400), 1) + np.arange(400) * 1e-9  # no two peaks of one height
    flat = np.repeat(rng.permutation(60) / 10.0, rng.integers(1, 6, 60))
    plateaus = np.concatenate([[5.0, 5.0], flat, [9.0, 9.0]])
    for wave in (smooth, steps, plateaus, np.ones(9), np.arange(9.0), np.ones(0)):
        expected, _ = signal.find_peaks(wave, distance=distance, prominence=prominence)
        found = browser.ask("beats", "findPeaks", wave, distance, prominence)
        assert found == expected.tolist()


@pytest.mark.parametrize(("bpm", "wave"), WAVES)
def test_beats_are_found_at_the_same_times(browser, bpm, wave):
    expected = beats.find_beats(wave, FPS, bpm)
    found = browser.ask("beats", "findBeats", wave, FPS, bpm)
    assert len(expected.rise_s) > 0.6 * np.isfinite(wave).sum() / FPS * bpm / 60 - 4
    assert found["run"] == expected.run.tolist()
    close(found["riseS"], expected.rise_s, tolerance=EXACT_S)
    close(found["peakS"], expected.peak_s, tolerance=EXACT_S)
    close(found["slope"], expected.slope, expected.slope.max())


@pytest.mark.parametrize("fps", [10.0, 24.7, 60.0])
def test_beats_are_found_at_other_frame_rates(browser, fps):
    wave = breathing_pulse(7, 75.0, fps)
    expected = beats.find_beats(wave, fps, 75.0)
    found = browser.ask("beats", "findBeats", wave, fps, 75.0)
    assert len(expected.rise_s) > 60
    close(found["riseS"], expected.rise_s, tolerance=EXACT_S)
    close(found["peakS"], expected.peak_s, tolerance=EXACT_S)
    close(found["slope"], expected.slope, expected.slope.max())


@pytest.mark.parametrize("wave", [np.empty(0), np.full(600, np.nan), np.sin(np.arange(90.0) / 5)])
def test_where_no_stretch_is_long_enough_there_are_no_beats(browser, wave):
    found = browser.ask("beats", "findBeats", wave, FPS, 50.0)
    assert found == {"riseS": [], "peakS": [], "slope": [], "run": []}
    assert len(beats.find_beats(wave, FPS, 50.0).rise_s) == 0
    none = browser.ask("beats", "intervals", found)
    assert none == {"seconds": [], "endS": [], "clean": [], "paired": []}
    assert browser.ask("beats", "rmssdMs", none) == [0, 0]
    assert browser.ask("beats", "sdnnMs", none) == [0, 0]


@pytest.mark.parametrize(("bpm", "wave"), WAVES)
def test_figures_of_variability_and_breathing_are_the_same(browser, bpm, wave):
    expected_beats = beats.find_beats(wave, FPS, bpm)
    expected = beats.intervals(expected_beats)
    found_beats = browser.ask("beats", "findBeats", wave, FPS, bpm)
    found = browser.ask("beats", "intervals", found_beats)
    assert found["clean"] == expected.clean.tolist()
    assert found["paired"] == expected.paired.tolist()
    close(found["seconds"], expected.seconds, tolerance=EXACT_S)
    close(found["endS"], expected.end_s, tolerance=EXACT_S)
    for name, figure in (("rmssdMs", beats.rmssd_ms), ("sdnnMs", beats.sdnn_ms)):
        value, count = browser.ask("beats", name, found)
        assert count == figure(expected)[1]
        assert value == pytest.approx(figure(expected)[0], abs=1e-6)
    for slope_ms in (0.0, 100.0):
        noise_ms = browser.ask("beats", "timingNoiseMs", found, found_beats, slope_ms)
        wanted = beats.timing_noise_ms(expected, expected_beats, slope_ms)
        assert noise_ms == pytest.approx(wanted, abs=1e-5)
        left = browser.ask("beats", "withoutNoise", 30.0, beats.RMSSD_NOISE, noise_ms)
        assert left == pytest.approx(beats.without_noise(30.0, 6.0, wanted), abs=1e-3)
    per_min, share = browser.ask("beats", "breathing", found, found_beats)
    assert per_min == beats.breathing(expected, expected_beats)[0]
    assert share == pytest.approx(beats.breathing(expected, expected_beats)[1], abs=1e-8)


@pytest.mark.parametrize("seed", range(8))
def test_intervals_with_false_beats_and_gaps_are_cleaned_alike(browser, seed):
    rng = np.random.default_rng(seed)
    rises = np.cumsum(
        rng.uniform(0.7, 1.0, 70) * rng.choice([0.3, 1.0, 2.1], 70, p=[0.1, 0.8, 0.1])
    )
    slope = 1 + 0.2 * np.sin(1.6 * rises) + 0.1 * rng.standard_normal(70)
    run = np.sort(rng.integers(0, 4, 70)) if seed else np.arange(70)  # every beat by itself
    given = Beats(rises, rises + 0.2, slope, run)
    expected = beats.intervals(given)
    found = browser.ask("beats", "intervals", beats_in(given))
    assert found == intervals_in(expected)
    if not seed:
        assert found["seconds"] == []
        return
    assert 5 < sum(found["clean"]) < len(found["clean"]) - 5
    assert found["paired"].count(False) == 4
    rmssd, steps = browser.ask("beats", "rmssdMs", intervals_in(expected))
    assert (rmssd, steps) == pytest.approx(beats.rmssd_ms(expected), abs=1e-6)
    sdnn, count = browser.ask("beats", "sdnnMs", intervals_in(expected))
    assert (sdnn, count) == pytest.approx(beats.sdnn_ms(expected), abs=1e-6)
    noise_ms = browser.ask("beats", "timingNoiseMs", intervals_in(expected), beats_in(given), 50.0)
    wanted = beats.timing_noise_ms(expected, given, 50.0)
    assert noise_ms == pytest.approx(wanted, rel=1e-9, nan_ok=True)
    found_breath = browser.ask("beats", "breathing", intervals_in(expected), beats_in(given))
    assert found_breath == pytest.approx(beats.breathing(expected, given), abs=1e-8)


@pytest.mark.parametrize("seconds", [6.0, 12.0, 31.0, 33.0, 45.0, 300.0])
def test_breathing_is_the_same_over_any_time(browser, seconds):
    given = beats.find_beats(breathing_pulse(9, 68.0, FPS, seconds), FPS, 68.0)
    found = beats.intervals(given)
    expected = beats.breathing(found, given)
    answer = browser.ask("beats", "breathing", intervals_in(found), beats_in(given))
    assert answer == pytest.approx(expected, abs=1e-8)
    if seconds > 30:
        assert expected[0] == pytest.approx(60 * 0.23, abs=1)
