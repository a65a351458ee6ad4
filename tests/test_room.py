"""A disk without room: one sentence, nothing half written, and all goes on once there is some.

Files that may not grow beyond a size stand for such a disk: this needs no rights, and each writer
meets it in its own way.
"""

import errno
import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
import torch
from accelerate import Accelerator

from kdphys.hub import load_weights
from tests._scripts import finished, words_of
from tests._tiny_run import SHORT, PlugPulledError
from tests.test_training import exported_set, small_data
from train.distill import DistillRun
from train.distill import main as distill
from train.export import ExportJob, untrained_run
from train.recordings import RecordingsJob, draw_folder, write_clips
from train.room import NoRoomError, room_for, written
from train.synthetic import SHARD, SyntheticConfig, SyntheticJob, write_dataset


def told_of(room: int, script: str, *words: object) -> str:
    """The last line of a script that fails as no file may have more bytes than `room`."""
    done = finished(script, *words, room=room)
    assert done.returncode == 1, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def sentence(path: Path) -> str:
    return (
        f"There is no room for {path}: make some on its disk, then run the same command again. "
        "What was there is whole, and a run goes on from it."
    )


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the log, to which an interrupted run adds lines."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "log.jsonl"
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> DistillRun:
    """A run that was never short of room."""
    folder = tmp_path_factory.mktemp("room")
    data = small_data(folder / "data")
    job = DistillRun((data,), data, None, folder / "whole", schedule=SHORT)
    distill(job)
    return job


@pytest.fixture(scope="module")
def begun(whole: DistillRun) -> Path:
    """The folder of the same run, which ended after its first checkpoint."""
    out = whole.out.with_name("begun")
    save = Accelerator.save_state

    def killed(self: Accelerator, folder: str) -> None:
        if folder.endswith("-4"):
            raise PlugPulledError
        save(self, folder)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Accelerator, "save_state", killed)
        with pytest.raises(PlugPulledError):
            distill(replace(whole, out=out))
    return out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("room", "wanting"),
    [
        (None, "log.jsonl"),  # in the middle of its next line
        (100_000, "checkpoint-4"),  # in its network, which safetensors writes
        (700_000, "checkpoint-4"),  # in its optimizer, which torch writes
    ],
)
def test_a_run_without_room_goes_on_to_the_very_same_weights_once_there_is_some(
    whole, begun, tmp_path, room, wanting
):
    job = replace(whole, out=tmp_path / "run")
    copytree(begun, job.out)
    lines = (begun / "log.jsonl").read_text().splitlines(keepends=True)
    told_again = [line for line in lines if json.loads(line)["step"] >= 2]  # from its checkpoint on
    room = room or len("".join(lines)) - len("".join(told_again)) + 40
    assert told_of(room, "distill", *words_of(job)) == sentence(job.out / wanting)
    assert contents(job.out) == contents(begun)
    assert not [path for path in job.out.glob("checkpoint-*") if path.name != "checkpoint-2"]
    lines = [json.loads(line) for line in (job.out / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] >= 1
    distill(job)
    assert contents(job.out)["model.safetensors"] == contents(whole.out)["model.safetensors"]


@pytest.mark.slow
def test_weights_are_as_they_were_where_there_is_no_room_for_new_ones(whole, tmp_path):
    job = replace(whole, out=tmp_path / "run")
    copytree(whole.out, job.out)
    said = told_of(100_000, "distill", *words_of(job))
    assert said == sentence(job.out / "model.safetensors")
    assert contents(job.out) == contents(whole.out)


@pytest.mark.slow
def test_hints_for_which_there_is_no_room_are_worked_out_again(whole, tmp_path):
    teacher = tmp_path / "teacher"
    untrained_run(ExportJob(run=teacher, model="teacher"))
    job = replace(whole, teacher=teacher, out=tmp_path / "runs" / "run")
    said = told_of(100_000, "distill", *words_of(job))
    assert "There is no room for " in said
    assert "hints-" in said
    assert contents(job.out.parent) == {}
    distill(job)
    assert "run/model.safetensors" in contents(job.out.parent)


@pytest.mark.slow
def test_an_export_without_room_leaves_the_weights_that_were_there(tmp_path):
    run, out = tmp_path / "run", exported_set(tmp_path / "weights", "old")
    untrained_run(ExportJob(run=run))
    before = contents(out)
    said = told_of(100_000, "export", "--run", run, "--out", out)
    assert said == sentence(out)
    assert contents(out) == before
    assert load_weights(out).config["model"] == "old"
    assert {*tmp_path.iterdir()} == {run, out}


@pytest.mark.slow
def test_clips_without_room_are_drawn_once_there_is_some(tmp_path):
    tiny = SyntheticConfig(seconds=2.0, size=8, side=32, fps=15.0)
    job = SyntheticJob(out=tmp_path, clips=SHARD, workers=1, config=tiny)
    write_dataset(job)
    begun = contents(tmp_path)
    clips = ("--out", tmp_path, "--clips", SHARD + 1, "--workers", 1)
    kind = ("--config.seconds", 2, "--config.size", 8, "--config.side", 32, "--config.fps", 15)
    assert told_of(10_000, "synthetic", *clips, *kind) == sentence(tmp_path / "0001.npz")
    left = contents(tmp_path)
    assert {*left} == {"0000.npz", "manifest.json"}
    assert left["0000.npz"] == begun["0000.npz"]
    write_dataset(replace(job, clips=SHARD + 1))
    assert {*contents(tmp_path)} == {"0000.npz", "0001.npz", "manifest.json"}
    assert left.items() <= contents(tmp_path).items()


@pytest.mark.slow
def test_clips_of_recordings_without_room_are_cut_once_there_is_some(tmp_path):
    root, out = tmp_path / "root", tmp_path / "out"
    draw_folder(root, ("anna",), 11.0)
    draw_folder(root, ("ben",), 21.0)  # two clips
    where = ("--root", root, "--out", out, "--test-share", 0)
    assert told_of(2_000_000, "recordings", *where) == sentence(out / "train" / "0001.npz")
    left = contents(out)
    assert {*left} == {"train/0000.npz", "train/manifest.json"}
    write_clips(RecordingsJob(root=root, out=out, test_share=0))
    assert {*contents(out)} == {*left, "train/0001.npz"}
    assert left.items() <= contents(out).items()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_told_from_other_troubles():
    full = Path("/dev/full")
    with pytest.raises(NoRoomError, match="There is no room for here"), room_for(Path("here")):
        full.write_text("more")
    with pytest.raises(NoRoomError, match="There is no room for here"), room_for(Path("here")):
        torch.save({}, full)
    for other in (PermissionError(errno.EACCES, "denied"), RuntimeError("a bug")):
        with pytest.raises(type(other)), room_for(Path("here")):
            raise other


def test_what_is_written_takes_the_place_of_what_was_there_at_the_end(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("one")

    def write(text: str, *, to_its_end: bool = True) -> None:
        with written(path) as file:
            file.write_text(text)
            assert path.read_text() == "one"
            if not to_its_end:
                raise PlugPulledError

    with pytest.raises(PlugPulledError):
        write("an", to_its_end=False)
    assert contents(tmp_path) == {"run.json": b"one"}
    write("another")
    assert contents(tmp_path) == {"run.json": b"another"}
