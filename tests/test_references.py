"""The comparison with contact sensors: its own arithmetic, on beats that are known."""

import numpy as np
import pytest

from train.references import Beats, ReferencesJob, by_kdphys, interval_error_ms, main

FPS = 30.0


def beats_every(lengths_ms: np.ndarray, late_s: float = 0.0) -> Beats:
    at_s = np.cumsum(lengths_ms) / 1000 + late_s
    return Beats(0.0, 0.0, 0.0, at_s, lengths_ms)


def test_clocks_that_differ_do_not_count_as_error():
    lengths = np.random.default_rng(0).normal(850, 60, 80)
    assert interval_error_ms(beats_every(lengths, late_s=3.2), lengths) == pytest.approx(0, abs=1)


def test_intervals_that_are_wrong_do():
    rng = np.random.default_rng(0)
    lengths = rng.normal(850, 60, 80)
    noisy = lengths + rng.choice([-20.0, 20.0], 80)
    assert interval_error_ms(beats_every(noisy), lengths) == pytest.approx(20, abs=4)
    # Intervals of another heart differ by about the spread of both.
    assert interval_error_ms(beats_every(rng.normal(850, 60, 80)), lengths) > 30


def test_too_few_beats_give_no_error():
    lengths = np.full(5, 800.0)
    assert np.isnan(interval_error_ms(beats_every(lengths), lengths))


def test_a_wave_of_known_beats_is_read():
    time_s = np.arange(int(60 * FPS)) / FPS
    turns = np.cumsum(70 / 60 * (1 + 0.03 * np.sin(2 * np.pi * 0.25 * time_s))) / FPS
    wave = np.cos(2 * np.pi * turns) + 0.3 * np.cos(4 * np.pi * turns)
    found = by_kdphys(wave)
    assert found.bpm == pytest.approx(70, abs=1)
    assert np.median(found.interval_ms) == pytest.approx(60_000 / 70, abs=10)
    assert 5 < found.sdnn < 40  # 3 % of 857 ms, as a sine: 18 ms


def test_a_folder_without_recordings_is_refused_and_replaces_nothing(tmp_path):
    (tmp_path / "references.md").write_text("what was found before")
    with pytest.raises(SystemExit, match="holds no recordings of pulses"):
        main(ReferencesJob(pulses=tmp_path, out=tmp_path))
    assert (tmp_path / "references.md").read_text() == "what was found before"
