"""The comparison with other packages, of which stand-ins answer here."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from train.rivals import RivalsJob, main

STAND_IN = """
class Model:
    def __init__(self, name):
        self.name, self.times = name, []
    def __enter__(self):
        self.times = []
    def __exit__(self, *_):
        pass
    def update_frame(self, picture, time_s):
        assert picture.ndim == 3 and picture.dtype == "uint8"
        self.times.append(time_s)
    def hr(self, return_hrv):
        if self.name == "silent":
            return None
        return {"hr": 10 * self.times[-1], "SQI": 0.9}
"""


METHODS = """
class VitalLens:
    def __init__(self, method, export_to_json):
        self.method = method
    def __call__(self, pictures, fps):
        assert pictures.ndim == 4 and pictures.dtype == "uint8"
        if self.method == "g":
            return []
        rate = {"value": 2 * fps, "confidence": 1.0} if self.method == "pos" else {}
        return [{"vitals": {"heart_rate": rate} if rate else {}}]
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RivalsJob:
    """Two clips of 8 s, and packages of the others' names that say something known of them."""
    (tmp_path / "rppg.py").write_text(STAND_IN)
    (tmp_path / "vitallens.py").write_text(METHODS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("train.rivals.PACED", 1)
    return RivalsJob(
        python=Path(sys.executable), clips=2, seconds=8.0, out=tmp_path / "out",
        models=("loud", "silent", "vitallens POS", "vitallens CHROM", "vitallens G"),
    )  # fmt: skip


@pytest.mark.slow
def test_rivals_read_the_very_same_clips(job, tmp_path):
    main(job)
    found = json.loads((tmp_path / "out" / "rivals.json").read_text())
    assert found["origin"]["machine"] in (tmp_path / "out" / "rivals.md").read_text()
    assert found["said"]["loud"]["bpm"] == pytest.approx([80, 80], abs=1)
    assert found["said"]["silent"]["bpm"] == [None, None]
    assert found["models"]["loud"]["sure"] == 1
    assert found["models"]["silent"]["sure"] == 0
    assert found["models"]["silent"]["MAE"] is None
    assert found["models"]["silent"]["within 3"] == 0
    assert found["said"]["vitallens POS"]["bpm"] == pytest.approx([60, 60], abs=0.1)
    assert found["said"]["vitallens CHROM"]["bpm"] == [None, None]
    assert found["said"]["vitallens G"]["quality"] == [None, None]
    assert "| silent |" in (tmp_path / "out" / "rivals.md").read_text()
    assert all(line["times the student"] > 0 for line in found["models"].values())


@pytest.mark.slow
def test_an_environment_without_a_package_says_so(job, tmp_path):
    (tmp_path / "rppg.py").write_text("raise ImportError('no rppg here')")
    with pytest.raises(RuntimeError, match=r"(?s)could not run loud.*no rppg here"):
        main(replace(job, clips=1))


def test_without_their_environment_it_is_said_how_to_get_it(tmp_path):
    with pytest.raises(ValueError, match="`make rivals` sets it up"):
        RivalsJob(tmp_path / "python")


def test_a_real_clip_needs_its_rate():
    with pytest.raises(ValueError, match="real_bpm"):
        RivalsJob(Path("python"), real=Path("face.mp4"))
