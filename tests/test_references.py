"""The comparison with contact sensors: its own arithmetic, on beats that are known."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from train import references
from train.origin import origin
from train.references import Beats, ReferencesJob, by_kdphys, interval_error_ms, main, page

FPS = 30.0
RESULTS = Path(__file__).parent.parent / "docs" / "results"


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
    with pytest.raises(FileNotFoundError, match="holds no recordings of pulses"):
        main(ReferencesJob(pulses=tmp_path, out=tmp_path))
    assert (tmp_path / "references.md").read_text() == "what was found before"


def test_the_committed_page_says_what_the_committed_figures_are():
    found = json.loads((RESULTS / "references.json").read_text())
    assert (RESULTS / "references.md").read_text() == page(found)


MADE = {"true": 60.0, "true rmssd": 40.0, "true sdnn": 50.0, "interval error": 2.0}
ROWS = [
    {**MADE, "person": person, "bpm": 60 + off, "rmssd": 40 + 2 * off, "sdnn": 50 - 3 * off}
    for person, off in (("a", 1.0), ("b", 2.0), ("b", 4.0))
]


def test_what_is_written_says_where_it_was_made(tmp_path, monkeypatch):
    monkeypatch.setattr(references, "check_pulses", lambda _: None)
    for compared in ("_beside_oximeters", "_beside_strap"):
        monkeypatch.setattr(references, compared, lambda *_: ROWS)
    main(ReferencesJob(pulses=tmp_path, out=tmp_path))
    assert json.loads((tmp_path / "references.json").read_text())["origin"] == asdict(origin())
    assert f"on {origin()}." in (tmp_path / "references.md").read_text()


def test_errors_are_told_by_person_and_pooled():
    text = page({"oximeters": {"one": ROWS}, "strap": {"one": ROWS}})
    for title, values in (
        ("Heart rate", "1.00 | 3.00 | 2.33"),
        ("RMSSD", "2.00 | 6.00 | 4.67"),
        ("SDNN", "3.00 | 9.00 | 7.00"),
    ):
        table = text.split(f"### {title} by person")[1].split("###")[0]
        assert "|  | a (n 1) | b (n 2) | all |" in table
        assert f"| one | {values} |" in table
