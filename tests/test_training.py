"""The training scripts run to their end, and a stopped run goes on as if it had not stopped."""

import csv
import json
import re
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import Tensor

from kdphys.bench import machine_name
from kdphys.errors import WeightsError
from kdphys.hub import check_against_manifest, load_weights, sha256
from kdphys.models.student import Student, StudentConfig
from kdphys.models.teacher import Teacher
from kdphys.runtime import StudentModel, TeacherModel
from tests._scripts import BOUND_S, ROOT, finished, words_of
from tests._tiny_run import SHORT, STORE, PlugPulledError, train_student
from train.ablate import AblationJob
from train.aside import aside
from train.bench import BenchJob
from train.card import model_card
from train.confidence import ConfidenceJob
from train.datasets import Batch, Cut, mistimed, read_stores, write_shard
from train.distill import (
    Distillation,
    DistillRun,
    DistillWeights,
    Pupil,
    likeness,
    read_teacher,
    trust,
)
from train.distill import main as distill
from train.evaluate import EvaluateJob
from train.export import (
    ExportJob,
    fitted,
    move_over,
    read_model,
    untrained_run,
    without_places,
)
from train.export import main as export_as_asked
from train.hints import read_hints, work_out
from train.loop import WEIGHTS, LabelWeights, check, in_step, label_loss, without_folders
from train.operators import OperatorsJob
from train.realism import RealismJob
from train.recordings import RecordingsJob
from train.room import held
from train.script import JobError
from train.soup import SoupJob
from train.soup import main as average
from train.synthetic import SyntheticJob
from train.teacher import TeacherRun, read_config

# Each script's --help, one after the other in a process that began as a script of train/ does.
EXPLAIN = """
import runpy, sys
from pathlib import Path

scripts = sys.argv[1:]
sys.path[0] = str(Path("train").resolve())
for script in scripts:
    sys.argv = [script, "--help"]
    try:
        runpy.run_path(script, run_name="__main__")
        raise SystemExit(f"{script} went on")
    except SystemExit as end:
        if end.code:
            raise
"""


def run_script(name: str, *words: object) -> str:
    done = finished(name, *words)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_each_script_explains_itself():
    texts = {path.name: path.read_text() for path in (ROOT / "train").glob("*.py")}
    scripts = [f"train/{name}" for name in sorted(texts) if "    run_script(" in texts[name]]
    assert len(scripts) > 15
    done = subprocess.run(
        [sys.executable, "-c", EXPLAIN, *scripts],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=BOUND_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.findall(r"^usage: (\S+)", done.stdout, re.MULTILINE) == scripts


@pytest.mark.slow
def test_synthetic_runs_to_its_end(tmp_path):
    run_script("synthetic", "--smoke", "--out", tmp_path)
    with np.load(tmp_path / "0000.npz") as shard:
        assert shard["pixels"].shape == (4, 120, 36, 36, 3)
    sheet = tmp_path / "sheet.png"
    run_script("synthetic", "--sheet", sheet, "--clips", 1)
    assert sheet.stat().st_size > 1000
    assert sheet.with_stem("sheet-waves").stat().st_size > 1000


@pytest.mark.slow
def test_studies_run_to_their_end(tmp_path):
    folders = {"ablate": ("--runs", tmp_path / "a"), "operators": ("--runs", tmp_path / "o")}
    for name, words in {**folders, "realism": ()}.items():
        run_script(name, "--smoke", "--out", tmp_path, *words)
    for name in ("ablation", "operators", "realism"):
        assert machine_name() in (tmp_path / f"{name}.json").read_text()
        assert machine_name() in (tmp_path / f"{name}.md").read_text()
    assert "| labels alone |" in (tmp_path / "ablation.md").read_text()
    assert "| recurrent, 36 x 36 |" in (tmp_path / "operators.md").read_text()
    assert "| dilated, 18 x 18 |" in (tmp_path / "operators.md").read_text()
    assert "| MMPD, published | | | | 12.4 | 13.7 | |" in (tmp_path / "realism.md").read_text()


@pytest.mark.slow
def test_a_pulse_planted_in_the_film_of_a_photo_is_read(tmp_path):
    photo = ROOT / "docs" / "examples" / "synthetic_photo_nopulse.mp4"
    run_script("planted", "--smoke", "--out", tmp_path, "--real", photo)
    rows = json.loads((tmp_path / "planted.json").read_text())["rows"]
    bare, planted = ([row for row in rows if row["depth"] == depth] for depth in (0, 0.004))
    assert [row["bpm"] for row in bare] == [None] * 4
    (student,) = (row for row in planted if row["model"] == "student")
    assert student["bpm"] == pytest.approx(student["true_bpm"], abs=3)  # as the project promises
    assert (
        "| synthetic_photo_nopulse.mp4 | student | 0 of 1 | 1 of 1, 1, 1 |"
        in (tmp_path / "planted.md").read_text()
    )


@pytest.mark.slow
def test_bench_runs_to_its_end(tmp_path):
    run_script("bench", "--smoke", "--out", tmp_path)
    found = json.loads((tmp_path / "speed.json").read_text())
    assert [one["name"] for one in found["networks"]] == [
        "KDPhys student, live", "KDPhys student", "KDPhys teacher", "3D like FactorizePhys",
    ]  # fmt: skip
    assert set(found["videos"]) == {"640x480, 8 s", "1280x720, 8 s"}
    assert set(found["batch"]) == {"2"}
    assert len(found["waits"]) == 4
    assert found["start"]["import_s"] > found["start"]["open_s"] > 0
    page = (tmp_path / "speed.md").read_text()
    assert machine_name() in page
    assert re.findall("^#+ (.*)$", page, re.MULTILINE) == [
        "What it costs",
        "Until a right rate is shown",
        "KDPhys from import to first wave",
        "From a file to a reading",
        "Many files",
    ]
    assert "| 3D like FactorizePhys | 72, 160 frames |" in page
    assert "| 3D like FactorizePhys | at least 5.33 |" in page
    assert (tmp_path / "costs.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize(("script", "model"), [("teacher", Teacher), ("distill", Student)])
def test_training_runs_to_its_end(script, model, tmp_path):
    run_script(script, "--smoke", "--out", tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["clips"] == 4
    assert record["seconds"] > 0
    assert record["config"]["schedule"]["steps"] == 4
    assert record["versions"]["torch"].startswith("2.")
    steps = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert any("mae_bpm" in line for line in steps)
    model().load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True)
    exported = tmp_path / "weights"
    name = "student" if script == "distill" else "teacher"
    run_script("export", "--model", name, "--run", tmp_path, "--out", exported)
    opened = StudentModel if name == "student" else TeacherModel
    assert opened(load_weights(exported)).facts.parameters == record["parameters"]
    assert "**not been measured**" in (exported / "README.md").read_text()


def test_a_folder_keeps_to_the_run_that_was_begun_in_it(tmp_path):
    """Else the old weights would be exported with the new run's data, seed and clips."""
    weights = train_student(tmp_path).read_bytes()
    record = (tmp_path / "run.json").read_text()
    for other in (replace(SHORT, seed=1), replace(SHORT, steps=6), replace(SHORT, rate=1e-3)):
        with pytest.raises(ValueError, match=r"holds another run: its (schedule\.)?\w+ is .*--out"):
            train_student(tmp_path, schedule=other)
    with pytest.raises(ValueError, match=r"its data_sha256 is ffff.*, not eeee"):
        train_student(tmp_path, store=replace(STORE, sha256="e" * 64))
    with pytest.raises(ValueError, match="its start_sha256 is None"):
        train_student(tmp_path, start=tmp_path)
    with pytest.raises(ValueError, match="its teacher_sha256 is None"):
        train_student(tmp_path, teacher=tmp_path)
    assert (tmp_path / "run.json").read_text() == record
    assert train_student(tmp_path, schedule=replace(SHORT, log_every=3)).read_bytes() == weights
    assert (tmp_path / "run.json").read_text() == record


def test_what_a_smoke_test_left_is_not_gone_on_from(tmp_path):
    train_student(tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    record["config"]["smoke"] = True
    (tmp_path / "run.json").write_text(json.dumps(record))
    train_student(tmp_path, schedule=replace(SHORT, seed=1))
    kept = json.loads((tmp_path / "run.json").read_text())
    assert kept["config"]["schedule"]["seed"] == 1
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [0, 1, 2, 3]


@pytest.mark.parametrize("is_half_removed", [False, True])
def test_weights_of_a_smoke_test_never_pass_for_those_of_a_run(tmp_path, is_half_removed):
    train_student(tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    record["config"]["smoke"] = True
    (tmp_path / "run.json").write_text(json.dumps(record))
    if is_half_removed:
        (tmp_path / "progress.json").unlink()
    with pytest.raises(PlugPulledError):
        train_student(tmp_path, stop_at=1, schedule=replace(SHORT, seed=1))
    assert json.loads((tmp_path / "run.json").read_text())["config"]["schedule"]["seed"] == 1
    assert not (tmp_path / "model.safetensors").exists()


def test_clips_shorter_than_the_schedule_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"frames=240 must be at most the 120 frames"):
        train_student(tmp_path, schedule=replace(SHORT, frames=240))
    assert not list(tmp_path.iterdir())


def test_what_is_published_of_a_recipe_names_nobody_of_an_own_set():
    own = {"config": {"dataset": "folder"}, "people": ["folder/anna"], "recordings": ["anna_sit"]}
    assert without_folders(own) == {**own, "people": 1, "recordings": 1}
    public = {"config": {"dataset": "ubfc"}, "people": ["ubfc/subject1"], "recordings": ["x"]}
    assert without_folders(public) == public


@pytest.mark.slow
def test_export_runs_to_its_end(tmp_path):
    run_script("export", "--smoke", "--run", tmp_path)
    found = load_weights(tmp_path / "weights")
    assert found.manifest["model"] == "student"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("export-")]
    network = (tmp_path / "weights" / "model.onnx").read_bytes()
    assert str(ROOT).encode() not in network
    assert b"export.py" not in network


@pytest.mark.slow
@pytest.mark.timeout(BOUND_S + 20)
def test_evaluate_runs_to_its_end(tmp_path):
    words = (
        "--out",
        tmp_path / "out",
        "--data",
        tmp_path / "data",
        "--report",
        tmp_path / "r.html",
    )
    run_script("evaluate", "--smoke", *words)
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(found["synthetic"]) == {"student", "teacher", "pos", "chrom", "green"}
    page = (tmp_path / "out" / "README.md").read_text()
    assert "**not measured**" in page
    assert "| pos |" in page
    rows = list(csv.DictReader((tmp_path / "out" / "clips.csv").read_text().splitlines()))
    assert [bool(row["true_bpm"]) for row in rows] == [True] * 3 + [False] * 2
    given = [row for row in rows[:3] if row["student_given_bpm"]]
    assert len(given) == found["synthetic"]["student"]["all"]["number of readings"]
    assert found["origin"]["machine"] in page
    report = (tmp_path / "r.html").read_text()
    assert report.count('<div class="worst">') == 3
    for digest in found["weights"].values():
        assert digest in report


def test_weights_exported_again_keep_the_confidence_that_was_fitted_to_them(tmp_path):
    save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert fitted(tmp_path, tmp_path) == {}
    digests = {"model.safetensors": sha256(tmp_path / "model.safetensors")}
    before = {"sha256": digests, "calibration": {"snr_db": 1.0}, "reliability": [[0.5, 0.5, 9]]}
    (tmp_path / "manifest.json").write_text(json.dumps(before))
    kept = fitted(tmp_path, tmp_path)
    assert kept == {"calibration": {"snr_db": 1.0}, "reliability": [[0.5, 0.5, 9]]}
    save_file({"weight": torch.ones(1)}, tmp_path / "model.safetensors")
    assert fitted(tmp_path, tmp_path) == {}


def test_a_manifest_names_no_folder_of_the_machine_that_trained(tmp_path):
    at = str(tmp_path / "student")
    record = {"config": {"out": at, "data": [at, "data/train"], "steps": 3}, "mean_of": [{"a": at}]}
    assert without_places(record) == {
        "config": {"out": "student", "data": ["student", "data/train"], "steps": 3},
        "mean_of": [{"a": "student"}],
    }


@pytest.mark.parametrize("name", ["student", "teacher"])
def test_the_shipped_manifests_name_none(name):
    manifest = json.loads((ROOT / "weights" / name / "manifest.json").read_text())
    assert without_places(manifest) == manifest


def exported_set(folder: Path, name: str) -> Path:
    """Files of a model, each of which says whose it is, with their manifest."""
    folder.mkdir()
    for file in ("model.onnx", "model.safetensors", "config.json", "README.md"):
        (folder / file).write_text(json.dumps({"model": name, "file": file}))
    signed = ("model.onnx", "model.safetensors", "config.json")
    manifest = {"model": name, "sha256": {file: sha256(folder / file) for file in signed}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("moves", range(6))
def test_an_export_that_was_killed_leaves_the_old_model_the_new_one_or_none(
    tmp_path, monkeypatch, moves
):
    new = exported_set(tmp_path / "new", "new")
    out = exported_set(tmp_path / "out", "old")
    replace_file, moved = Path.replace, []

    def killed(self: Path, target: Path) -> Path:
        if len(moved) == moves:
            raise PlugPulledError
        moved.append(self.name)
        return replace_file(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(PlugPulledError) if moves < 5 else nullcontext():
            move_over(new, out)
    whose = {json.loads(path.read_text())["model"] for path in out.iterdir()}
    if moves in (0, 5):
        assert whose == {"old" if moves == 0 else "new"}
        assert load_weights(out).config["model"] in whose
        return
    assert whose == {"old", "new"}
    with pytest.raises(WeightsError, match=r"model\.onnx has sha256 .* damaged or was replaced"):
        load_weights(out)
    for file in set(moved) & {"model.safetensors", "config.json"}:  # what training reads
        with pytest.raises(WeightsError, match=f"{file} has sha256"):
            check_against_manifest(out / file)


def test_a_first_export_that_was_killed_is_no_model(tmp_path):
    new = exported_set(tmp_path / "new", "new")
    (new / "manifest.json").unlink()
    (tmp_path / "out").mkdir()
    with pytest.raises(FileNotFoundError):
        move_over(new, tmp_path / "out")
    with pytest.raises(WeightsError, match=r"manifest\.json is missing"):
        load_weights(tmp_path / "out")


# An export that waits where the network would be made.
HELD = """
import sys
from pathlib import Path
from train import export

def held(_model, path):
    path.write_bytes(b"half of a network")
    print(flush=True)
    input()
    return 0.0

export.export_onnx = held
export.export(export.ExportJob(run=Path(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_what_a_killed_export_left_goes_with_the_next_and_what_a_running_one_needs_stays(tmp_path):
    run, weights = tmp_path / "run", tmp_path / "weights"
    untrained_run(ExportJob(run=run))
    (weights / "export-notes").mkdir(parents=True)  # of a person, who likes the name too

    def held(out: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HELD, str(run), str(out)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "\n"
        return process

    with held(weights / "one") as live, held(weights / "two") as dead:
        dead.kill()
        dead.wait()
        assert len(list(weights.glob("export-*/model.onnx"))) == 2
        with held(weights / "three") as after:
            assert len(list(weights.glob("export-*/model.onnx"))) == 2
            for process in (after, live):
                process.communicate("\n")
                assert process.returncode == 0
    assert {path.name for path in weights.iterdir()} == {"export-notes", "one", "three"}
    assert (weights / "one" / "manifest.json").exists()


def test_an_untrained_model_is_not_published():
    with pytest.raises(ValueError, match="smoke=True must come without push"):
        ExportJob(smoke=True, push="owner/name")
    with pytest.raises(ValueError, match="push_only=True must come with push"):
        ExportJob(push_only=True)


# The loop itself, on clips made by hand ---------------------------------------------------------


def test_a_resumed_run_ends_exactly_where_an_unbroken_one_does(tmp_path):
    whole = train_student(tmp_path / "whole")
    with pytest.raises(PlugPulledError):
        train_student(tmp_path / "broken", stop_at=3)  # after the checkpoint of step 2
    assert not (tmp_path / "broken" / "model.safetensors").exists()
    progress = tmp_path / "broken" / "progress.json"
    progress.write_text(json.dumps({"step": 2, "seconds": 1000.0}))
    resumed = train_student(tmp_path / "broken")
    one, other = load_file(whole), load_file(resumed)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name
    assert 1000 < json.loads((tmp_path / "broken" / "run.json").read_text())["seconds"] < 1100


@pytest.mark.parametrize("kill_at", ["while it is written", "before it is named"])
def test_a_run_that_was_killed_within_a_checkpoint_goes_on_from_the_one_before(
    tmp_path, monkeypatch, kill_at
):
    whole = train_student(tmp_path / "whole")
    out = tmp_path / "killed"
    save = Accelerator.save_state

    def killed(self: Accelerator, folder: str) -> None:
        if folder.endswith("-4"):
            if kill_at == "before it is named":
                save(self, folder)
            else:
                Path(folder).mkdir()
                (Path(folder) / "optimizer.bin").write_bytes(b"half of it")
            raise PlugPulledError
        save(self, folder)

    with monkeypatch.context() as patched:
        patched.setattr(Accelerator, "save_state", killed)
        with pytest.raises(PlugPulledError):
            train_student(out)
    assert json.loads((out / "progress.json").read_text()) == {"step": 2, "seconds": ANY}
    resumed = load_file(train_student(out))
    for name, tensor in load_file(whole).items():
        assert torch.equal(tensor, resumed[name]), name
    assert [path.name for path in out.glob("checkpoint*")] == ["checkpoint-4"]


def test_checkpoints_that_killed_runs_left_are_removed_at_the_next_start(tmp_path):
    """One of another step than the next checkpoint's stayed for ever."""
    begun, fresh = tmp_path / "begun", tmp_path / "fresh"
    with pytest.raises(PlugPulledError):
        train_student(begun, stop_at=3)
    for left in (begun / "checkpoint-1", begun / "checkpoint-3", fresh / "checkpoint-2"):
        left.mkdir(parents=True)
        (left / "optimizer.bin").write_bytes(b"half of it")
    (begun / "checkpoint-of-mine").mkdir()
    for out, kept in ((begun, {"checkpoint-2", "checkpoint-of-mine"}), (fresh, set())):
        with pytest.raises(PlugPulledError):
            train_student(out, stop_at=0)
        assert {path.name for path in out.glob("checkpoint-*")} == kept


def test_a_run_that_was_killed_while_its_weights_were_written_writes_them_again(
    tmp_path, monkeypatch
):
    whole = train_student(tmp_path / "whole")
    out = tmp_path / "killed"

    def killed(_weights: dict[str, Tensor], path: Path) -> None:
        path.write_bytes(whole.read_bytes()[:1000])
        raise PlugPulledError

    with monkeypatch.context() as patched:
        patched.setattr("train.loop.save_file", killed)
        with pytest.raises(PlugPulledError):
            train_student(out)
    assert not (out / "model.safetensors").exists()
    assert train_student(out).read_bytes() == whole.read_bytes()
    assert not list(out.glob("*.part"))


def small_data(folder: Path) -> Path:
    """Clips as train/synthetic.py writes them."""
    folder.mkdir()
    truths = [dict(truth) for truth in STORE.truths]
    write_shard(folder / "0000.npz", list(STORE.pixels[0].numpy()), list(STORE.waves), truths)
    return folder


def test_a_student_can_go_on_with_another_look_ahead(tmp_path):
    data, start = small_data(tmp_path / "data"), tmp_path / "start"
    untrained_run(ExportJob(run=start))
    job = DistillRun(
        (data,), data, None, tmp_path / "run", start, look_ahead=7, schedule=replace(SHORT, steps=1)
    )
    distill(job)
    assert read_config(StudentConfig, start).lag == 12
    assert read_config(StudentConfig, job.out).lag == 7
    said = read_model(job.out, "student")(torch.rand(1, 90, 3, 36, 36))
    assert said.shape == (1, 90)


@pytest.mark.slow
def test_a_distillation_that_was_killed_goes_on_to_the_very_same_weights(tmp_path):
    """By SIGKILL, which nothing can catch, at whatever it was doing after its first checkpoint."""
    data, teacher = small_data(tmp_path / "data"), tmp_path / "teacher"
    untrained_run(ExportJob(run=teacher, model="teacher"))
    plan = replace(SHORT, steps=24, rate=3e-3)
    job = DistillRun((data,), check=data, teacher=teacher, out=tmp_path / "killed", schedule=plan)
    slow = replace(job, schedule=replace(plan, check_every=1))  # far from its end when it is seen
    command = [sys.executable, "train/distill.py", *words_of(slow)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as running:
        deadline = time.monotonic() + BOUND_S
        while not (job.out / "progress.json").exists():
            assert running.poll() is None, running.stderr and running.stderr.read()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.kill()
    assert not (job.out / "model.safetensors").exists()
    assert json.loads((job.out / "progress.json").read_text())["step"] < plan.steps
    whole = replace(job, out=tmp_path / "whole")
    for one in (job, whole):
        distill(one)
    found = (job.out / "model.safetensors").read_bytes()
    assert found == (whole.out / "model.safetensors").read_bytes()


def test_finished_weights_are_not_trained_over(tmp_path):
    """A mean of runs has no checkpoint, and exported weights have no run.json."""
    out = tmp_path / "mean"
    weights = train_student(tmp_path / "one")
    (weights.parent / "config.json").write_text("{}")
    average(SoupJob((weights.parent, weights.parent), out))
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(ValueError, match="holds finished weights; move that folder"):
        train_student(out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_smoke_test_writes_where_nothing_else_is():
    job = aside(EvaluateJob(smoke=True, data=Path("mine")), "out", "data")
    assert job == EvaluateJob(smoke=True, data=Path("mine"), out=Path("runs/smoke/docs/results"))
    for usual, names in (
        (AblationJob(), ("runs", "out")), (OperatorsJob(), ("runs", "out")), (BenchJob(), ("out",)),
        (ConfidenceJob(), ("data",)), (RealismJob(), ("out",)), (RecordingsJob(), ("out",)),
        (SyntheticJob(), ("out",)), (TeacherRun(), ("out",)), (DistillRun(), ("out",)),
        (ExportJob(), ("run",)),
    ):  # fmt: skip
        moved = aside(usual, *names)
        for name in names:
            assert getattr(moved, name) == Path("runs/smoke") / getattr(usual, name)


def test_untrained_weights_do_not_replace_trained_ones(tmp_path):
    weights = train_student(tmp_path).read_bytes()
    with pytest.raises(ValueError, match="holds trained weights; give another folder as --run"):
        untrained_run(ExportJob(run=tmp_path, smoke=True))
    assert (tmp_path / "model.safetensors").read_bytes() == weights


def test_the_weights_that_are_kept_are_the_mean_of_those_on_the_way(tmp_path):
    last = load_file(train_student(tmp_path / "last", schedule=replace(SHORT, average_from=1.0)))
    on_the_way = [last]
    for step in (2, 3):
        with pytest.raises(PlugPulledError):
            train_student(tmp_path / f"{step}", step, replace(SHORT, save_every=1))
        kept_then = tmp_path / f"{step}" / f"checkpoint-{step}" / "model.safetensors"
        on_the_way.append(load_file(kept_then))
    kept = load_file(train_student(tmp_path / "kept", schedule=replace(SHORT, average_from=0.5)))
    for name, weight in kept.items():
        if weight.is_floating_point():
            mean = torch.stack([weights[name] for weights in on_the_way]).mean(0)
            torch.testing.assert_close(weight, mean)
        else:  # how many batches were counted has no mean
            assert torch.equal(weight, last[name])
    apart = [name for name, _ in Student().named_parameters() if (kept[name] != last[name]).any()]
    assert len(apart) > 10


def test_a_run_can_begin_with_the_weights_of_another(tmp_path):
    first = train_student(tmp_path / "first")
    hardly = replace(SHORT, steps=1, rate=1e-12)  # so small that float32 weights stay put
    second = train_student(tmp_path / "second", schedule=hardly, start=tmp_path / "first")
    one, other = load_file(first), load_file(second)
    learned = [name for name, _ in Student().named_parameters()]
    assert all(torch.allclose(one[name], other[name], rtol=0, atol=1e-7) for name in learned)
    record = json.loads((tmp_path / "second" / "run.json").read_text())
    assert record["start_sha256"] == sha256(first)
    cut = {name: tensor for name, tensor in one.items() if name != "head.weight"}
    save_file(cut, first)
    with pytest.raises(JobError, match=r"head\.weight"):
        train_student(tmp_path / "third", start=tmp_path / "first")


def test_a_run_does_not_begin_with_weights_that_are_not_those_of_their_manifest(tmp_path):
    first = train_student(tmp_path / "first", schedule=replace(SHORT, steps=2))
    manifest = {"sha256": {"model.safetensors": "0" * 64}, "run": {}}
    (first.parent / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match=r"model\.safetensors has sha256 .* or was replaced"):
        train_student(tmp_path / "second", start=first.parent)
    assert not (tmp_path / "second").exists()


def test_another_seed_draws_other_batches(tmp_path):
    one = load_file(train_student(tmp_path / "one", schedule=replace(SHORT, steps=2)))
    other = load_file(train_student(tmp_path / "other", schedule=replace(SHORT, steps=2, seed=1)))
    assert not torch.equal(one["head.weight"], other["head.weight"])


def test_a_run_records_what_is_needed_to_repeat_it(tmp_path):
    train_student(tmp_path, schedule=replace(SHORT, steps=2))
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["config"]["name"] == "tiny"
    assert record["config"]["schedule"]["steps"] == 2
    assert record["data_sha256"] == STORE.sha256
    assert record["parameters"] == sum(weight.numel() for weight in Student().parameters())
    assert {"commit", "versions", "python", "machine"} <= set(record)


def test_a_check_gives_finite_scores():
    scores = check(Student().eval(), STORE, lag=12)
    assert set(scores) == {"mae_bpm", "within_3", "pearson", "rms_alive", "rms_none"}
    assert all(np.isfinite(value) for value in scores.values())


def a_batch(frames: int, **other: Tensor) -> Batch:
    """The last two clips of the store, the second without a pulse, as cut from their beginning."""
    cuts = tuple(Cut(index, np.arange(frames, dtype=float), mirrored=False) for index in (-2, -1))
    clip = STORE.pixels[0][-2:, :frames].permute(0, 1, 4, 2, 3).float() / 255
    bpm = torch.from_numpy(STORE.bpm[-2:])
    wave = torch.from_numpy(STORE.waves[-2:, :frames])
    return replace(Batch(clip, wave, bpm, (bpm > 0).float(), cuts), **other)


def distilled(weights: DistillWeights) -> dict[str, Tensor]:
    torch.manual_seed(0)
    hints = work_out(Teacher().eval(), STORE)
    loss = Distillation(DistillRun(distill=weights), hints)
    return loss(Pupil(Student(), hints.traits.shape[2]).train(), a_batch(80))


OF_WAVES = ("wave", "dilate_shape", "dilate_time")
TAUGHT = (*OF_WAVES, "attention", "traits")


def test_the_teacher_is_followed_only_where_there_is_a_pulse():
    parts = distilled(DistillWeights())
    assert {"pearson", "spectral", "error", "silence", *TAUGHT} == set(parts)
    for name, part in parts.items():
        assert part.shape == (2,), name
        assert torch.isfinite(part).all(), name
    for name in TAUGHT:
        assert parts[name][1] == 0  # the second clip has no pulse


def test_a_teacher_is_followed_as_far_as_it_is_right_and_ahead():
    rng = torch.Generator().manual_seed(0)
    true = torch.randn(1, 200, generator=rng)
    wrong, near = (
        torch.randn(1, 200, generator=rng),
        true + 0.3 * torch.randn(1, 200, generator=rng),
    )

    def followed(taught: Tensor, own: float) -> float:
        return float(trust(taught, true, torch.tensor([own])))

    assert followed(true, own=0.0) > 0.99
    assert followed(true, own=1.0) == pytest.approx(0.5, abs=0.01)
    assert followed(near, own=1.0) < followed(near, own=0.9) < followed(near, own=0.0)
    assert followed(wrong, own=0.0) < 0.2
    assert followed(-true, own=-1.0) == 0


def test_labels_that_are_late_do_not_hide_a_good_teacher():
    rng = torch.Generator().manual_seed(0)
    long = torch.randn(2, 220, generator=rng)
    true, late = long[:, 10:210], long[:, 4:204]
    assert likeness(true, late).abs().max() < 0.2
    torch.testing.assert_close(likeness(true, late, 6), torch.ones(2))
    torch.testing.assert_close(likeness(late, true, 6), torch.ones(2))
    assert likeness(true, late, 5).max() < 0.3
    nobody = torch.zeros(2)
    assert trust(true, late, nobody).max() < 0.2
    assert trust(true, late, nobody, 6).min() > 0.99


def test_each_label_is_shifted_to_where_it_fits_best():
    rng = torch.Generator().manual_seed(0)
    long = torch.randn(3, 240, generator=rng)
    starts = (20, 14, 25)  # in time, six frames late, five early
    said = torch.stack([one[20:220] for one in long])
    true = torch.stack([one[start : start + 200] for one, start in zip(long, starts, strict=True)])
    inside, shifted = in_step(said, true, 8)
    torch.testing.assert_close(inside, said[:, 8:192])
    torch.testing.assert_close(shifted, inside)
    assert likeness(*in_step(said, true, 4))[1:].max() < 0.3  # too far away for that slack


def test_a_teacher_that_has_no_more_say_changes_nothing():
    torch.manual_seed(0)
    hints = work_out(Teacher().eval(), STORE)
    pupil = Pupil(Student(), hints.traits.shape[2]).eval()
    loss = Distillation(DistillRun(distill=DistillWeights(until=0.5)), hints)
    before, after = loss(pupil, a_batch(80), 0.0), loss(pupil, a_batch(80), 0.5)
    assert before.keys() == after.keys()
    for name, part in after.items():
        torch.testing.assert_close(part, torch.zeros(2) if name in TAUGHT else before[name])
    torch.stack([part.mean() for part in after.values()]).sum().backward()
    assert pupil.project.weight.grad is not None  # several processes wait for every layer


def test_slack_forgives_a_label_that_is_late_and_no_more():
    frames = torch.arange(240) / 30
    wave = torch.sin(2 * torch.pi * 1.2 * frames)[None]
    late = torch.sin(2 * torch.pi * 1.2 * (frames - 0.2))[None]
    batch = Batch(torch.zeros(0), late, torch.tensor([72.0]), torch.ones(1))
    strict, slack = (
        label_loss(wave, batch, 0, 15, LabelWeights(slack_s=slack_s)) for slack_s in (0.0, 0.25)
    )
    assert strict["pearson"] > 0.8
    assert slack["pearson"] < 0.01
    assert slack["spectral"] == pytest.approx(float(strict["spectral"]), abs=0.1)


def test_labels_are_mistimed_by_no_more_than_asked():
    waves = np.random.default_rng(0).standard_normal((6, 400)).astype(np.float32)
    waves[-1] = 0  # no pulse
    store = replace(STORE, waves=waves)
    moved = mistimed(store, 0.25)
    assert moved.pixels is STORE.pixels
    assert not moved.waves[-1].any()
    lags = []
    for before, after in zip(waves[:-1], moved.waves, strict=False):
        ends = [(30 + lag, 370 + lag) for lag in range(-12, 13)]
        alike = [np.corrcoef(before[30:370], after[a:b])[0, 1] for a, b in ends]
        lags.append(int(np.argmax(alike)) - 12)
    assert 2 < np.abs(lags).max() <= 8  # 0.25 s
    assert len(set(lags)) > 2


def test_learning_from_the_teacher_reaches_the_whole_student():
    torch.manual_seed(0)
    hints = work_out(Teacher().eval(), STORE)
    pupil = Pupil(Student(), hints.traits.shape[2]).train()
    taught = torch.from_numpy(hints.waves[-2:, :80])  # a teacher to trust
    batch = a_batch(80, wave=taught, alive=torch.ones(2))
    parts = Distillation(DistillRun(), hints)(pupil, batch)
    for name in TAUGHT:
        pupil.zero_grad()
        parts[name].sum().backward(retain_graph=True)
        moved = {name for name, weight in pupil.named_parameters() if weight.grad is not None}
        assert "student.stages.0.0.weight" in moved, name
        assert ("student.head.weight" in moved) == (name in OF_WAVES), name
        assert ("project.weight" in moved) == (name == "traits"), name


def test_the_teacher_s_say_fades_and_ends():
    say = [DistillWeights(until=0.5).say(done) for done in (0.0, 0.25, 0.4, 0.5, 0.9)]
    assert say[:2] == pytest.approx([1.0, 0.5])
    assert say[2] < 0.1
    assert say[3:] == [0.0, 0.0]
    assert {DistillWeights(until=None).say(done) for done in (0.0, 0.5, 0.99)} == {1.0}
    for never in (0.0, -0.5, 1.5):
        with pytest.raises(ValueError, match=r"until=.* must be over 0 and at most 1"):
            DistillWeights(until=never)


def test_a_part_that_weighs_nothing_costs_nothing():
    parts = distilled(DistillWeights(wave=0, dilate=0, attention=0, traits=0))
    for name in TAUGHT:
        assert not parts[name].any()


def test_hints_are_cut_mirrored_and_retimed_as_the_clip_is():
    torch.manual_seed(0)
    hints = work_out(Teacher().eval(), STORE)
    frames = STORE.waves.shape[1]
    whole = Cut(1, np.arange(frames, dtype=float), mirrored=False)
    wave, looks, traits = hints.of([whole])
    np.testing.assert_array_equal(wave[0], hints.waves[1])
    np.testing.assert_array_equal(looks[0], hints.looks[1].astype(np.float32))
    assert traits.shape == (1, hints.traits.shape[2], frames)
    # Each of the traits belongs to the middle of four frames.
    _, _, middles = hints.of([Cut(1, np.array([1.5, 5.5, 9.5]), mirrored=False)])
    np.testing.assert_array_equal(middles[0].T, hints.traits[1][:3].astype(np.float32))
    slow = Cut(1, np.arange(40) / 2 + 7, mirrored=True)
    slow_wave, slow_looks, slow_traits = hints.of([slow])
    np.testing.assert_allclose(slow_wave[0, ::2], wave[0, 7:27], atol=1e-6)
    np.testing.assert_array_equal(slow_looks[0, ::2], looks[0, 7:27].flip(2))
    np.testing.assert_allclose(slow_traits[0, :, ::2], traits[0, :, 7:27], atol=1e-5)


def test_hints_are_worked_out_once_for_a_teacher_and_its_clips(tmp_path, monkeypatch):
    torch.manual_seed(0)
    teacher = Teacher().eval()
    save_file(teacher.state_dict(), tmp_path / "model.safetensors")
    first = read_hints(teacher, tmp_path / "model.safetensors", STORE, tmp_path)
    monkeypatch.setattr("train.hints.work_out", None)
    again = read_hints(teacher, tmp_path / "model.safetensors", STORE, tmp_path)
    np.testing.assert_array_equal(first.waves, again.waves)
    np.testing.assert_array_equal(first.traits, again.traits)
    other = replace(STORE, sha256="other clips")
    with pytest.raises(TypeError):  # not found, so they would have to be worked out
        read_hints(teacher, tmp_path / "model.safetensors", other, tmp_path)


def test_the_card_tells_what_the_clips_took_from_others():
    manifest: dict[str, object] = {
        "name": "kdphys-student",
        "model": "student",
        "cost": {"parameters": 1, "macs_per_frame": 1},
        "run": {"clips": 5, "data": [{"config": {"faces": None}}]},
    }
    assert "All heads and pulses are drawn; no person was filmed." in model_card(manifest)
    recipe = {"config": {"faces": "DIR", "portrait_share": 0.6, "pulses": None}}
    run = {"clips": 5, "data": [recipe]}
    card = model_card(manifest | {"run": run, "sources": "Portraits by A (CC0)."})
    assert "60 % of the heads take their looks from portraits; no person's face was filmed" in card
    assert "Portraits by A (CC0)." in card


def test_the_card_says_only_what_is_so_of_these_weights():
    manifest: dict[str, object] = {
        "name": "kdphys-student",
        "model": "student",
        "cost": {"parameters": 1, "macs_per_frame": 1},
        "run": {"clips": 5, "data": [{"config": {"dataset": "ubfc"}, "people": ["a"]}]},
    }
    card = " ".join(model_card(manifest).split())
    assert "Distilled" not in card
    assert "learnt from the clips' true waves. " in card
    assert "Skin tones are those of the people of the recordings" in card
    assert "is not fitted to these weights" in card
    drawn: dict[str, object] = {"config": {"faces": "DIR", "portrait_share": 0.6}}
    run = {"clips": 5, "data": [drawn], "taught_by": [drawn]}
    card = " ".join(model_card(manifest | {"run": run, "calibration": {}}).split())
    assert "Distilled from the teacher" in card
    assert "from the teacher's waves, attention and features" in card
    assert "darkest are rare among the portraits" in card
    assert "is fitted on synthetic clips" in card


def test_a_missing_teacher_says_how_to_train_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train a teacher first.*train/teacher\.py"):
        read_teacher(tmp_path)


def test_a_folder_is_trained_in_by_one_command_at_a_time(tmp_path):
    """Two of them removed each other's checkpoints."""
    with held(tmp_path), pytest.raises(JobError, match="Another command is training"):
        train_student(tmp_path)
    train_student(tmp_path)
    assert (tmp_path / WEIGHTS).exists()


@pytest.mark.parametrize("name", ["save_every", "check_every", "log_every", "average_every"])
def test_what_is_done_now_and_then_is_done_at_least_every_step(name):
    with pytest.raises(ValueError, match=f"schedule.{name}=0 must be at least 1"):
        replace(SHORT, **{name: 0})


def test_clips_too_short_to_learn_from_are_refused(tmp_path):
    """Their loss was no number, and the run ended with finished weights."""
    store = small_data(tmp_path / "data")
    job = DistillRun((store,), store, None, tmp_path / "run", schedule=replace(SHORT, frames=40))
    with pytest.raises(JobError, match=r"schedule.frames=40 must be at least \d+"):
        distill(job)
    late = replace(job, schedule=replace(SHORT, frames=72), label=LabelWeights(slack_s=0.5))
    with pytest.raises(JobError, match="30 are for a label that is early or late, and 15 are to"):
        distill(late)


def test_clips_of_another_size_than_the_network_s_are_refused(tmp_path):
    """The program would show 36 x 36 pixels to weights that learned from 18 x 18."""
    store = small_data(tmp_path / "data")
    small = StudentConfig(size=18, strides=(2, 1, 1))
    job = DistillRun((store,), store, None, tmp_path / "run", model=small, schedule=SHORT)
    with pytest.raises(
        JobError, match="clips are of 36 x 36 pixels, and the network takes 18 x 18"
    ):
        distill(job)


def test_a_smoke_test_is_not_exported_as_weights_nor_averaged(tmp_path):
    run = tmp_path / "run"
    untrained_run(ExportJob(run=run, smoke=True))
    for job in (ExportJob(run=run), ExportJob(run=run, out=tmp_path / "out", push="owner/name")):
        with pytest.raises(JobError, match="learned nothing, as a smoke test, and is not put into"):
            export_as_asked(job)
    assert not (tmp_path / "out").exists()
    with pytest.raises(JobError, match="learned nothing, as a smoke test: name other runs"):
        average(SoupJob(runs=(run,), out=tmp_path / "soup"))


def test_no_clips_can_not_be_asked_for(tmp_path):
    with pytest.raises(JobError, match="most=0 must be at least 1"):
        read_stores((tmp_path,), most=0)


def test_the_log_of_a_run_that_went_on_tells_each_step_once(tmp_path):
    with pytest.raises(PlugPulledError):
        train_student(tmp_path, stop_at=3)  # after the checkpoint at 2
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "lo')
    train_student(tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "s" in line] == [0, 1, 2, 3]
    assert [line["step"] for line in lines if "within_3" in line] == [4]
