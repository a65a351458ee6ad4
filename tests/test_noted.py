"""What is kept beside weights of what was measured of them."""

import json
import resource
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pytest

from kdphys.hub import SHIPPED, load_weights
from train.evaluate import EvaluateJob, main
from train.export import fitted
from train.noted import note
from train.room import NoRoomError
from train.script import JobError

RESULTS = Path(__file__).parent.parent / "docs" / "results" / "results.json"


@pytest.fixture
def student(tmp_path) -> Path:
    """A copy of the shipped student with what is measured of it in its manifest."""
    folder = copytree(SHIPPED / "student", tmp_path / "student")
    scores = json.loads(RESULTS.read_text())["synthetic"]["student"]
    note(folder, load_weights(folder), {"metrics": {"command": "it", "synthetic": scores}})
    return folder


def test_metrics_stand_in_the_manifest_and_in_the_card(student):
    error = manifest_of(student)["metrics"]["synthetic"]["all"]["MAE"]
    assert f"| mean absolute error, whatever the confidence | {error} (" in card_of(student)


def test_metrics_of_readings_by_another_confidence_go_with_it(student):
    weights = load_weights(student)
    calibration = manifest_of(student)["calibration"]
    note(student, weights, {"calibration": calibration})
    assert "metrics" in manifest_of(student)
    note(student, weights, {"calibration": calibration | {"intercept": -9.0}})
    assert "metrics" not in manifest_of(student)
    assert "mean absolute error" not in card_of(student)


def test_the_same_weights_exported_again_keep_their_metrics(student):
    manifest = manifest_of(student)
    kept = {name: manifest[name] for name in ("calibration", "reliability", "metrics")}
    assert fitted(student, student) == kept


def test_what_lies_on_the_hub_is_not_written_beside(tmp_path, monkeypatch):
    monkeypatch.setattr("train.evaluate.open_model", lambda *_, **__: None)
    job = EvaluateJob(tmp_path / "out", tmp_path, models=(f"kd/phys@{'0' * 40}",), note=True)
    with pytest.raises(JobError, match="is on the Hub: name a folder"):
        main(job)


def test_a_full_disk_leaves_the_manifest_as_it_was(tmp_path):
    folder = copytree(SHIPPED / "student", tmp_path / "student")
    weights, before = load_weights(folder), (folder / "manifest.json").read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        with pytest.raises(NoRoomError):
            note(folder, weights, {"reliability": []})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (folder / "manifest.json").read_bytes() == before


def test_weights_that_were_exported_meanwhile_keep_their_own_manifest(tmp_path):
    folder = copytree(SHIPPED / "student", tmp_path / "student")
    weights = load_weights(folder)
    rmtree(folder)
    copytree(SHIPPED / "teacher", folder)
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(JobError, match="exported anew meanwhile"):
        note(folder, weights, {"reliability": []})
    assert (folder / "manifest.json").read_bytes() == before


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest in a folder."""
    return json.loads((folder / "manifest.json").read_text())


def card_of(folder: Path) -> str:
    """The model card in a folder."""
    return (folder / "README.md").read_text()
