"""How training scripts end: with a sentence for what their user can help."""

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kdphys.errors import KDPhysError
from kdphys.hub import SHIPPED
from kdphys.models.student import Student, StudentConfig
from kdphys.models.teacher import Teacher, TeacherConfig
from tests import take_screenshots
from train.benchmark import recipes_behind
from train.datasets import read_store, write_shard
from train.evaluate import EvaluateJob, _command, _knowing, _page
from train.export import check_agreement
from train.loop import fill
from train.origin import origin
from train.script import JobError, run_script
from train.synthetic import SyntheticConfig
from train.teacher import read_config

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Nothing:
    """A job without options."""


def ended(monkeypatch: pytest.MonkeyPatch, main: Callable[[Nothing], None]) -> object:
    """What a script says at its end."""
    monkeypatch.setattr(sys, "argv", ["script.py"])
    with pytest.raises(SystemExit) as end:
        run_script(main, Nothing)
    return end.value.code


def said(monkeypatch: pytest.MonkeyPatch, script: str, *words: object) -> object:
    """What a script of train/ says at its end, run in this process."""
    module = importlib.import_module(f"train.{script}")
    monkeypatch.setattr(sys, "argv", [f"train/{script}.py", *map(str, words)])
    job = next(
        kind
        for name, kind in vars(module).items()
        if name.lower() in (f"{script}job", f"{script}run")
    )
    with pytest.raises(SystemExit) as end:
        run_script(module.main, job)
    return end.value.code


@pytest.mark.parametrize("error", [KDPhysError("Do this."), JobError("Do this.")])
def test_what_a_user_can_help_is_a_sentence(monkeypatch, error):
    def main(_: Nothing) -> None:
        raise error

    assert ended(monkeypatch, main) == "Do this."


def test_a_file_that_is_not_there_is_a_sentence(monkeypatch, tmp_path):
    def read(_: Nothing) -> None:
        (tmp_path / "gone").read_text()

    def told(_: Nothing) -> None:
        raise FileNotFoundError("It holds none; write some.")

    words = f"{tmp_path / 'gone'} can't be opened or written (No such file or directory): give"
    assert str(ended(monkeypatch, read)).startswith(words)
    assert ended(monkeypatch, told) == "It holds none; write some."


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError(5, "a broken disk")])
def test_what_no_user_can_help_keeps_its_stack_trace(monkeypatch, error):
    def main(_: Nothing) -> None:
        raise error

    monkeypatch.setattr(sys, "argv", ["script.py"])
    with pytest.raises(type(error), match="a b"):
        run_script(main, Nothing)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("evaluate", "--models", "foo"), "--models foo is not known: name='foo' must be student,"),
        (("evaluate", "--models"), "--models names none"),
        (("evaluate", "--real", "{here}/no"), "--real {here}/no is no folder"),
        (("evaluate", "--faces", "{here}/no", "--models", "pos"), "{here}/no holds no portraits"),
        (("evaluate", "--pulses", "{here}/no", "--models", "pos"), "{here}/no holds no recordings"),
        (("realism", "--faces", "{here}/no"), "{here}/no holds no portraits for test"),
        (("planted", "--real", "{here}/no"), "There is no file {here}/no: give the path of a"),
        (("distill", "--start", "{root}/weights/teacher"), "{root}/weights/teacher/config.json is"),
        (("teacher", "--start", "{root}/weights/student"), "{root}/weights/student/config.json is"),
        (("export", "--run", "{here}/no"), "{here}/no/config.json is missing: name the folder of"),
        (("soup", "--runs", "{here}/no"), "{here}/no/config.json is missing: name the folder of"),
        (("space", "--out", "{root}/README.md"), "{root}/README.md can't be opened or written (No"),
        (("synthetic", "--video", "a.mp4", "--config.faces", "{here}/no"), "{here}/no holds no po"),
    ],
)
def test_what_can_t_be_done_is_told_before_any_work(monkeypatch, tmp_path, words, sentence):
    monkeypatch.chdir(tmp_path)
    asked = [word.format(here=tmp_path, root=ROOT) for word in words]
    assert str(said(monkeypatch, *asked)).startswith(sentence.format(here=tmp_path, root=ROOT))
    assert not list(tmp_path.rglob("*.npz"))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def fill_with_nothing(path: Path) -> None:
    parts = load_file(path)
    for part in parts.values():
        if part.dtype == np.float32:
            part[...] = np.nan
    save_file(parts, path)


def rename_a_part(run: Path) -> None:
    parts = load_file(run / "model.safetensors")
    parts["other"] = parts.pop(min(parts))
    save_file(parts, run / "model.safetensors")


def ask_for_another(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["widths"] = [width - 4 for width in config["widths"]]
    (run / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("file", "harm", "sentence"),
    [
        ("model.safetensors", Path.unlink, "is missing: name the folder of a finished run, or of"),
        ("model.safetensors", cut, "is damaged (Error while deserializing"),
        ("model.safetensors", fill_with_nothing, "holds values that are no numbers: name the"),
        ("run.json", cut, "is damaged (Unterminated string"),
        ("run.json", lambda path: path.write_text("[1]"), "holds no record: name the folder of"),
        ("run.json", lambda path: path.write_bytes(b"\xff"), "is damaged ('utf-8' codec can't"),
        ("run.json", Path.unlink, "can't be opened or written (No such file or directory): give"),
        ("config.json", cut, "is damaged (Expecting"),
        ("config.json", Path.unlink, "is missing: name the folder of a finished run, or of"),
    ],
)
def test_a_run_with_a_broken_file_is_not_exported(monkeypatch, tmp_path, file, harm, sentence):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("model.safetensors", "config.json"):
        shutil.copy(SHIPPED / "student" / name, run)
    (run / "run.json").write_text(json.dumps({"clips": 1, "told": 60 * "x"}))
    harm(run / file)
    told = str(said(monkeypatch, "export", "--run", str(run), "--out", str(tmp_path / "out")))
    assert told.startswith(f"{run / file} {sentence}")
    assert len(told.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("harm", [rename_a_part, ask_for_another])
@pytest.mark.parametrize(
    ("kind", "model", "config"),
    [("student", Student, StudentConfig), ("teacher", Teacher, TeacherConfig)],
)
def test_weights_of_another_network_are_told_in_a_sentence(tmp_path, kind, model, config, harm):
    """Torch listed each of them, after 20 lines of its own."""
    for name in ("model.safetensors", "config.json"):
        shutil.copy(SHIPPED / kind / name, tmp_path)
    fill(model(read_config(config, tmp_path)), tmp_path)
    harm(tmp_path)
    other = model(read_config(config, tmp_path))
    with pytest.raises(JobError, match=r"are of different networks: \d+ tensors are") as told:
        fill(other, tmp_path)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("worst", [np.nan, np.inf, 2e-4])
def test_a_network_is_not_exported_where_torch_and_onnx_do_not_agree(worst):
    check_agreement(1e-4)
    with pytest.raises(JobError, match="may differ by 1e-04 at most: name the folder of another"):
        check_agreement(worst)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("distill", "--schedule.frames", 61), "schedule.frames=61 must be a multiple of 4"),
        (("teacher", "--schedule.steps", 0), "schedule.steps=0 must be at least 1"),
        (("synthetic", "--clips", 0), "clips=0 and workers=2 must be at least 1"),
        (("synthetic", "--clips", -1), "clips=-1 and workers=2 must be at least 1"),
        (("evaluate", "--clips", 0), "clips=0, negatives=60 and workers=2 must be at least 1"),
        (("evaluate", "--difficulty", 3), "difficulty=3.0 must be 0 to 2"),
        (("distill", "--look-ahead", 20), "lag=20 frames must be 0 to 0.5 s"),
        (("distill", "--look-ahead", -3), "lag=-3 frames must be 0 to 0.5 s"),
        (("operators", "--arms", "all"), "arms has no 'all'; there are: dilated, 36 x 36"),
    ],
)
def test_a_figure_out_of_range_is_refused(monkeypatch, capsys, words, sentence):
    assert said(monkeypatch, *words) == 2
    assert sentence in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_an_evaluation_can_take_codecs_that_training_never_drew(monkeypatch, tmp_path):
    asked = []

    def note(*asked_for: object) -> NoReturn:
        asked.append(asked_for[-1])
        raise JobError("Enough.")

    monkeypatch.setattr("train.evaluate.unseen_clips", note)
    words = ("evaluate", "--models", "pos", "--out", tmp_path, "--data", tmp_path)
    assert said(monkeypatch, *words, "--codecs", "others") == "Enough."
    assert said(monkeypatch, *words) == "Enough."
    assert [config.codecs for config in asked] == ["others", "usual"]
    for job, heard in ((EvaluateJob(codecs="others"), True), (EvaluateJob(), False)):
        page = _page({"command": _command(job), "synthetic": {}}, job, origin())
        assert ("python train/evaluate.py --codecs others" in page) == heard
        assert ("unseen seeds, other codecs" in page) == heard
        assert ("never draws: libx265, libvpx-vp9" in page) == heard


@pytest.mark.parametrize(("words", "status"), [((), 2), (("--help",), 0), (("--nonsense",), 2)])
def test_pictures_of_the_page_are_not_taken_where_no_folder_is_named(
    monkeypatch, tmp_path, capsys, words, status
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["take_screenshots.py", *words])
    with pytest.raises(SystemExit) as end:
        take_screenshots.main()
    assert end.value.code == status
    told = capsys.readouterr()
    assert "usage: python -m tests.take_screenshots [-h] OUT" in told.out + told.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("left", [0.0, 0.1, 0.9])
def test_a_shard_that_was_cut_off_is_named(tmp_path, left):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8)
    shard = tmp_path / "0000.npz"
    write_shard(shard, [pixels], [np.zeros(30, np.float32)], [{"bpm": 60.0}])
    assert len(read_store(tmp_path)) == 1
    content = shard.read_bytes()
    shard.write_bytes(content[: round(left * len(content))])
    with pytest.raises(JobError, match=r"0000\.npz was cut off or is damaged \(.*delete it, and"):
        read_store(tmp_path)
    shard.write_bytes(content.replace(b"PK\x03\x04", b"PK\x00\x00"))
    with pytest.raises(JobError, match=r"0000\.npz was cut off or is damaged"):
        read_store(tmp_path)
    shard.write_text("no clips")
    with pytest.raises(JobError, match=r"0000\.npz was cut off or is damaged"):
        read_store(tmp_path)


def test_a_test_beside_other_people_than_those_that_training_split_is_said_to_be_one(monkeypatch):
    job, lent = (
        EvaluateJob(models=("student", "pos")),
        SyntheticConfig(faces=ROOT / "docs" / "examples"),
    )
    assert _knowing(job, lent) == ["student"]  # it learned beside others
    page = _page({"command": "it", "synthetic": {}, "may know people": ["student"]}, job, origin())
    assert "the very ones that student learned beside: it may have learned from some" in page
    assert _knowing(job, SyntheticConfig()) == []  # all heads are drawn
    recipes = recipes_behind("student")
    (learned,) = {str(one["lent_sha256"]) for one in recipes if "lent_sha256" in one}
    monkeypatch.setattr(
        "train.evaluate.lent_digest", lambda config: learned if config.faces else ""
    )
    assert _knowing(job, lent) == []
