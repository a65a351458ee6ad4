"""A real data set that a training script is asked for by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tyro

from tests._tiny_run import SHORT
from tests.test_scripts import said
from train.benchmark import BenchmarkJob, chosen_recordings
from train.datasets import read_store, write_shard
from train.distill import DistillRun
from train.distill import main as distill
from train.loop import without_folders
from train.processes import join
from train.recordings import RecordingsJob, people_of, write_clips
from train.sources import folders_of
from train.teacher import TeacherRun
from train.teacher import main as train_teacher

PLAN = replace(SHORT, steps=1)


@pytest.fixture(scope="module")
def cut(drawn, tmp_path_factory) -> Path:
    """Its clips, as train/recordings.py cuts them."""
    out = tmp_path_factory.mktemp("cut")
    write_clips(RecordingsJob(dataset="folder", root=drawn, out=out))
    return out


def other_clips(folder: Path, seconds: float) -> Path:
    """Two clips without a person, as of train/synthetic.py."""
    frames = round(30 * seconds)
    rng = np.random.default_rng(0)
    pixels = list(rng.integers(0, 256, (2, frames, 36, 36, 3), np.uint8))
    folder.mkdir()
    waves = list(rng.standard_normal((2, frames)).astype(np.float32))
    write_shard(folder / "0000.npz", pixels, waves, [{"bpm": 60.0}, {"bpm": 70.0}])
    return folder


def record_of(run: Path) -> dict[str, object]:
    return json.loads((run / "run.json").read_text())


def test_the_teacher_learns_from_a_data_set_alone(monkeypatch, drawn, cut, tmp_path):
    monkeypatch.chdir(tmp_path)  # nothing drawn is there
    words = ["--dataset", "folder", "--root", str(drawn), "--out", "run"]
    asked = replace(tyro.cli(TeacherRun, args=words), schedule=PLAN)
    train_teacher(asked)
    facts = record_of(tmp_path / "run")
    assert facts["clips"] == 1
    assert facts["data"] == [without_folders(read_store(cut / "train").recipes[0])]
    assert facts["data_sha256"] == read_store(cut / "train").sha256
    config = facts["config"]
    assert isinstance(config, dict)
    assert config["data"] == ["data/folder/train"]
    assert config["check"] == "data/folder/test"
    assert people_of(Path("data/folder/test")) == people_of(cut / "test")
    before = Path("data/folder/train/0000.npz").stat().st_mtime_ns
    train_teacher(
        replace(asked, dataset=None, root=None, data=(cut / "train",), check=cut / "test")
    )
    train_teacher(asked)  # by either way it is the same run
    assert Path("data/folder/train/0000.npz").stat().st_mtime_ns == before
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_the_student_learns_from_drawn_clips_and_a_data_set_together(drawn, cut, tmp_path):
    others = other_clips(tmp_path / "others", 10.0)
    distill(
        DistillRun(
            (others,),
            cut / "test",
            None,
            tmp_path / "run",
            dataset="folder",
            root=drawn,
            cut_to=tmp_path / "clips",
            schedule=PLAN,
        )
    )
    facts = record_of(tmp_path / "run")
    assert facts["clips"] == 3
    recipes = [without_folders(recipe) for recipe in read_store(cut / "train").recipes]
    assert facts["data"] == [{}, *recipes]
    config = facts["config"]
    assert isinstance(config, dict)
    assert config["data"] == [str(others), str(tmp_path / "clips" / "train")]


def test_recordings_are_cut_as_long_as_the_clips_beside_them(drawn, tmp_path):
    others = other_clips(tmp_path / "others", 8.0)
    out = tmp_path / "clips"
    run = TeacherRun((others,), others, dataset="folder", root=drawn, cut_to=out)
    data, check = folders_of(run, join())
    assert (data, check) == ((others, out / "train"), others)
    assert read_store(out / "train").waves.shape == (1, 240)
    again = replace(run, data=(), check=None)  # as they are there, so they stay
    assert folders_of(again, join()) == ((out / "train",), out / "test")
    twice = replace(run, data=(others, out / "train"))
    assert folders_of(twice, join()) == ((others, out / "train"), others)
    short = other_clips(tmp_path / "short", 4.0)
    with pytest.raises(ValueError, match=r"short holds clips of 4 s, and .* at least 6 s"):
        folders_of(replace(run, data=(short,)), join())


def test_people_who_were_learned_from_by_a_data_set_s_name_are_not_tested(drawn, tmp_path):
    run = DistillRun(dataset="folder", root=drawn, cut_to=tmp_path / "clips")
    (train,), test = folders_of(run, join())
    job = BenchmarkJob("folder", drawn, tmp_path, ("green",), test, (train,))
    assert {one.subject for one in chosen_recordings(job)} == people_of(test)
    with pytest.raises(ValueError, match="on both sides"):
        chosen_recordings(replace(job, people=train))


def test_a_side_without_a_clip_is_named(drawn, cut, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    (tested,) = (person.removeprefix("folder/") for person in people_of(cut / "test"))
    for path in drawn.iterdir():
        spoiled = path.name == f"{tested}_sitting.npz"
        (root / path.name).write_bytes(b"half a film" if spoiled else path.read_bytes())
    run = TeacherRun(dataset="folder", root=root, cut_to=tmp_path / "clips")
    with pytest.raises(ValueError, match=r"clips/test holds no clip: no recording of its people"):
        folders_of(run, join())
    folders, check = folders_of(replace(run, check=cut / "test"), join())
    assert (folders, check) == ((tmp_path / "clips" / "train",), cut / "test")


@pytest.mark.parametrize("script", ["teacher", "distill"])
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--dataset", "folder"), "dataset=folder needs root, the folder in which it lies"),
        (("--root", "."), "root and cut_to belong to a data set: name it as dataset"),
        (("--cut-to", "."), "root and cut_to belong to a data set: name it as dataset"),
    ],
)
def test_half_of_a_data_set_is_refused(monkeypatch, tmp_path, capsys, script, words, sentence):
    monkeypatch.chdir(tmp_path)
    assert said(monkeypatch, script, *words) == 2
    assert sentence in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("teacher", "--root", "no"), "no is no folder: PERSON_ACTIVITY.mp4 and"),
        (("teacher", "--root", "no", "--data", "gone"), "gone holds no clips; write some with"),
        (("teacher", "--root", "no", "--check", "gone"), "gone holds no clips; write some with"),
        (("distill", "--root", "no"), "runs/teacher holds no model.safetensors; train a teacher"),
    ],
)
def test_what_is_missing_is_told_before_a_data_set_is_cut(monkeypatch, tmp_path, words, sentence):
    monkeypatch.chdir(tmp_path)
    assert str(said(monkeypatch, *words, "--dataset", "folder")).startswith(sentence)
    assert not list(tmp_path.iterdir())
