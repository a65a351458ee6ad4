"""Rows of a study that takes several commands."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from train.ablate import AblationJob, trained
from train.export import ExportJob
from train.loop import Schedule
from train.origin import origin
from train.script import JobError
from train.study import common_settings, mean_interval, open_study

SETTINGS = {"steps": 10, "schedule": {"rate": 0.003}, "seeds": (0, 1)}


def test_rows_of_several_commands_are_kept_together(tmp_path):
    path = tmp_path / "new" / "study.json"
    first, second = open_study(path, SETTINGS), open_study(path, SETTINGS)
    first.keep("all", 0, {"MAE": 1.0})
    second.keep("all", 1, {"MAE": 3.0})
    first.keep("labels alone", 0, {"MAE": 7.0})
    found = open_study(path, SETTINGS)
    assert found.row("all", 1) == {"MAE": 3.0}
    assert found.row("all", 2) is None
    assert found.row("teacher", 0) is None
    assert found.lines("all") == (2, {"MAE": "2 ± 1.4"})
    assert found.lines("labels alone") == (1, {"MAE": "7"})


def test_each_row_says_where_it_comes_from(tmp_path):
    path = tmp_path / "study.json"
    older = {"settings": {}, "arms": {"all": {"0": {"MAE": 1.0}}}}
    path.write_text(json.dumps(older))
    study = open_study(path, {})
    study.keep("all", 1, {"MAE": 2.0})
    study.keep("teacher", 0, {"MAE": 2.0})
    said = open_study(path, {}).made_on()
    assert said == f"a machine that was not noted (1 rows), and {origin()} (2 rows)"


def test_rows_that_were_found_otherwise_are_not_mixed_in(tmp_path):
    path = tmp_path / "study.json"
    open_study(path, SETTINGS).keep("all", 0, {"MAE": 1.0})
    other = open_study(path, SETTINGS | {"steps": 20})
    assert other.row("all", 0) is None
    other.keep("all", 1, {"MAE": 2.0})
    assert list(json.loads(path.read_text())["arms"]["all"]) == ["1"]
    (aside,) = set(tmp_path.glob("*.json")) - {path}
    before = json.loads(aside.read_text())
    assert list(before["arms"]["all"]) == ["0"], "what was found before was lost"
    assert open_study(aside, SETTINGS).row("all", 0) == {"MAE": 1.0}
    again = open_study(path, SETTINGS)
    assert again.row("all", 0) == {"MAE": 1.0}
    again.keep("all", 2, {"MAE": 3.0})
    other.keep("all", 3, {"MAE": 4.0})
    assert set(open_study(path, SETTINGS).arms["all"]) == {"0", "2"}
    assert set(open_study(path, other.settings).arms["all"]) == {"1", "3"}


def test_rows_that_lie_in_both_places_are_brought_together(tmp_path):
    """As where a table of the project's history takes the place of that of another command."""
    path = tmp_path / "study.json"
    first = open_study(path, SETTINGS)
    first.keep("all", 0, {"MAE": 1.0})
    history = path.read_text()
    for seed in (1, 2):
        first.keep("all", seed, {"MAE": 1.0})
    other = open_study(path, SETTINGS | {"steps": 20})
    other.keep("all", 0, {"MAE": 2.0})
    path.write_text(history)
    assert set(open_study(path, SETTINGS).arms["all"]) == {"0", "1", "2"}
    other.keep("all", 1, {"MAE": 2.0})
    again = open_study(path, SETTINGS)
    assert set(again.arms["all"]) == set(again.origins["all"]) == {"0", "1", "2"}
    again.save()
    assert json.loads(path.read_text())["settings"] == again.settings
    assert set(open_study(path, other.settings).arms["all"]) == {"1"}  # its 0 was written over


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"settings": {}}', '{"settings": {}, "arms": {"all": 3}}']
)
def test_what_is_no_study_is_neither_read_nor_written_over(tmp_path, text):
    path = tmp_path / "study.json"
    study = open_study(path, SETTINGS)
    path.write_text(text)
    with pytest.raises(JobError, match=r"study\.json is damaged, or no study.*move it away"):
        open_study(path, SETTINGS)
    with pytest.raises(JobError, match="no study"):
        study.keep("all", 0, {"MAE": 1.0})
    assert path.read_text() == text
    assert list(tmp_path.glob("*.json")) == [path]


def test_an_arm_is_trained_again_for_other_settings(tmp_path, monkeypatch):
    """A table of 9999 steps showed networks that had learned for 600."""
    data, teacher = tmp_path / "data", tmp_path / "teacher"
    for folder in (data, teacher):
        folder.mkdir()
    (data / "manifest.json").write_text(json.dumps({"config": {}, "clips": 4}))
    (teacher / "model.safetensors").write_bytes(b"weights")
    made: list[str] = []

    def export(job: ExportJob) -> None:
        assert job.out is not None
        job.out.mkdir(parents=True)
        (job.out / "manifest.json").write_text("{}")
        made.append(job.run.name)

    monkeypatch.setattr("train.ablate.distill.main", lambda _config: None)
    monkeypatch.setattr("train.ablate.export", export)
    job = AblationJob(data=data, teacher=teacher, runs=tmp_path / "runs")
    jobs = [job, job, replace(job, schedule=replace(job.schedule, steps=9999))]
    folders = [trained(one, "all", 0) for one in jobs]
    (teacher / "model.safetensors").write_bytes(b"other weights")
    folders.append(trained(job, "all", 0))
    assert folders[0] == folders[1]
    assert len(set(folders)) == len(made) == 3
    assert trained(job, "labels alone", 0) != trained(job, "all", 0)


def test_settings_name_no_folder_and_no_seed(tmp_path):
    config = {"faces": "/home/someone/faces", "seconds": 10.0}
    (tmp_path / "manifest.json").write_text(json.dumps({"config": config, "seed": 0, "clips": 4}))
    found = common_settings(tmp_path, Schedule(steps=7, seed=5))
    assert found == common_settings(tmp_path, Schedule(steps=7, seed=6))
    assert "someone" not in json.dumps(found)
    assert json.loads(json.dumps(found))["data"]["clips"] == 4
    assert json.loads(json.dumps(found))["schedule"]["steps"] == 7


def test_gains_are_taken_seed_by_seed(tmp_path):
    study = open_study(tmp_path / "study.json", {})
    for seed, (base, more) in enumerate([(0.5, 0.6), (0.9, 1.0), (0.1, 0.2)]):
        study.keep("base", seed, {"correlation": base})
        study.keep("more", seed, {"correlation": more})
    study.keep("more", 11, {"correlation": 0.0})  # a seed that only one of them has
    gains = study.gains("more", "base")["correlation"]
    assert gains == pytest.approx([0.1, 0.1, 0.1])
    assert study.gains("nothing", "base") == {}
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        low, high = mean_interval(rng.normal(0.3, 2.0, 5))
        inside += low < 0.3 < high
    assert 0.92 < inside / 400 < 0.98


@pytest.mark.slow
def test_two_commands_at_once_lose_no_row(tmp_path):
    path = tmp_path / "study.json"
    keep = (
        "import sys\nfrom pathlib import Path\nfrom train.study import open_study\n"
        "study = open_study(Path(sys.argv[1]), {})\n"
        "print('ready', flush=True)\ninput()\n"
        "for seed in range(20):\n    study.keep(sys.argv[2], seed, {'MAE': 1.0})\n"
    )
    pipe = subprocess.PIPE
    both = [
        subprocess.Popen([sys.executable, "-c", keep, str(path), arm], stdin=pipe, stdout=pipe)
        for arm in "AB"
    ]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == b"ready\n"
    for one in both:
        assert one.stdin is not None
        one.stdin.write(b"\n")
        one.stdin.flush()
    for one in both:
        one.communicate()
    assert [one.returncode for one in both] == [0, 0]
    found = open_study(path, {})
    assert {arm: len(rows) for arm, rows in found.arms.items()} == {"A": 20, "B": 20}
