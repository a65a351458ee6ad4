"""The page that evaluation writes holds all of its sections, figures and tables."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from train.datasets import ClipStore
from train.evaluate import EvaluateJob
from train.origin import origin
from train.report import Evidence, _networks, write_report
from train.scores import Scores

CLIPS, FRAMES = 4, 330
# Of each section: its tables, its figures, and what must stand in it.
SECTIONS = {
    "Accuracy": (1, 0, ["student", "teacher", "pos", "none without a pulse"]),
    "Agreement with the truth": (0, 1, ["Read against true", "Bland-Altman, readings"]),
    "By what the clips are like": (8, 0, ["mean level"]),
    "Confidence": (0, 1, ["Risk and coverage", "Calibration"]),
    "Real clips at several speeds": (0, 1, ["talking.mp4, student"]),
    "Where the student errs most": (0, CLIPS, ["melanin", "no reading is shown"]),
    "Where these figures come from": (1, 0, ["train/evaluate.py --clips 4", "a" * 64, "b" * 64]),
}
GROUPS = [
    "Heart rate", "Skin", "Light", "Motion", "Codec", "Strength of the pulse", "Length",
    "Difficulty",
]  # fmt: skip


def scores_of(true: np.ndarray, off: float) -> Scores:
    """Readings that are off by as much; the last clip is given none."""
    given = np.where(np.arange(len(true)) < len(true) - 1, true + off, np.nan)
    flat = np.full(len(true), 0.5)
    return Scores(true + off, true + off, given, np.linspace(0.9, 0.2, len(true)), flat, flat)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    rng = np.random.default_rng(0)
    bpm = np.array([50, 70, 100, 140], np.float32)
    waves = np.sin(2 * np.pi * bpm[:, None] / 60 * np.arange(FRAMES) / 30).astype(np.float32)
    pixels = rng.integers(80, 160, (CLIPS, FRAMES, 36, 36, 3), np.uint8)
    truths = tuple(
        {"bpm": float(rate), "melanin": at / CLIPS, "codec": codec, "strength": 0.002 * at}
        for at, (rate, codec) in enumerate(zip(bpm, (None, "libx264") * 2, strict=True))
    )
    store = ClipStore((torch.from_numpy(pixels),), waves, bpm, truths, "0" * 64)
    found = {name: scores_of(bpm, off) for name, off in (("student", 0.5), ("teacher", 1.0))}
    found["pos"] = scores_of(bpm, 9.0)
    shorter = dict.fromkeys((4.0, 11.0), found["student"])
    replayed = [
        {"clip": "talking.mp4", "speed": speed, "student": 60 * speed, "teacher": None}
        for speed in (0.8, 1.0)
    ]
    return Evidence(
        command="python train/evaluate.py --clips 4",
        made=origin(),
        weights={"student": "a" * 64, "teacher": "b" * 64},
        pulsing=store,
        scores=found,
        silent=found,
        shorter=shorter,
        easier={0.0: (bpm.astype(np.float64), found["student"])},
        real=replayed,
    )


@pytest.fixture(scope="module")
def page(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "new" / "report.html"
    write_report(evidence, path)
    return path.read_text()


def sections_of(page: str) -> dict[str, str]:
    """What stands under each heading."""
    parts = re.split("<h2>(.*?)</h2>", page)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_every_section_holds_its_tables_and_figures(page: str):
    found = sections_of(page)
    assert list(found) == list(SECTIONS)
    for name, (tables, figures, words) in SECTIONS.items():
        assert found[name].count("<table>") == tables, name
        assert found[name].count('class="plotly-graph-div"') == figures, name
        for word in words:
            assert word in found[name], name
    groups = found["By what the clips are like"]
    assert re.findall("<h3>(.*?)</h3>", groups) == GROUPS
    for group in groups.split("<h3>")[1:]:
        assert group.count("<tr>") > 1, group[:40]
    assert found["Where the student errs most"].count('src="data:image/png;base64,') == CLIPS


def test_it_says_what_made_it(evidence: Evidence, page: str):
    said = sections_of(page)["Where these figures come from"]
    made = evidence.made
    for part in (made.machine, made.date, made.commit or "none", made.versions["torch"]):
        assert part in said


def test_it_asks_nothing_of_the_network(page: str):
    assert not re.search(r'<(script|link|img)[^>]* (src|href)="?http', page)
    assert len(page) > 2_000_000  # plotly's own script is in it


def test_without_real_clips_there_is_no_section_about_them(evidence: Evidence, tmp_path: Path):
    write_report(replace(evidence, real=[]), tmp_path / "report.html")
    found = sections_of((tmp_path / "report.html").read_text())
    assert list(found) == [name for name in SECTIONS if not name.startswith("Real")]


def test_a_report_of_a_data_set_is_refused():
    with pytest.raises(ValueError, match="leave it out with a dataset"):
        EvaluateJob(dataset="ubfc", root=Path("ubfc"), report=Path("report.html"))


def test_a_network_of_one_s_own_is_drawn_beside_ours():
    scores = dict.fromkeys(("build/mine/student", "student", "pos"))
    evidence = SimpleNamespace(scores=scores)
    assert _networks(cast(Evidence, evidence)) == ["build/mine/student", "student"]
