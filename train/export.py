"""Turn a finished run into weights that the page loads: `python train/export.py`.

Writes model.safetensors, model.onnx, config.json, manifest.json and a model card. Files are written
beside the old ones and moved over them at the end, so that a broken export leaves nothing half
written; the ONNX network is checked against torch before. `--push OWNER/NAME` publishes them on the
Hugging Face Hub, `--push OWNER/NAME --push-only` those that were exported before.
"""

import json
import logging
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.utils.flop_counter import FlopCounterMode

from kdphys.hub import sha256
from kdphys.leftovers import temporary_folder
from kdphys.models.student import Student, StudentConfig, StudentState
from kdphys.models.teacher import Teacher, TeacherConfig
from kdphys.ort import onnxruntime
from train.aside import aside
from train.card import METRICS, model_card, training_of
from train.loop import (
    WEIGHTS,
    fill,
    is_of_smoke,
    read_record,
    record_in,
    write_weights,
)
from train.noted import FITTED
from train.push import push
from train.room import room_for
from train.script import JobError, run_script
from train.smoke import SMOKE_SCHEDULE
from train.teacher import config_json, read_config

logger = logging.getLogger(__name__)

AGREE = 1e-4  # largest difference between torch and ONNX that is accepted
COUNTED_FRAMES = 60
PREFIX = "export-"  # of folders in which files are written before they are moved
FILES = ("model.onnx", WEIGHTS, "config.json", "README.md", "manifest.json")  # as they are moved


@dataclass(frozen=True)
class ExportJob:
    """Export one trained model."""

    run: Path = Path("runs/student")
    """Folder with model.safetensors, config.json and run.json."""
    model: Literal["student", "teacher"] = "student"
    """Which of the two it is."""
    out: Path | None = None
    """Folder to write; weights/<model> unless given."""
    sources: str = ""
    """Where portraits and pulse recordings that the clips took from came from, and under which
    licence: a sentence for the model card."""
    smoke: bool = False
    """Export an untrained model, to see that it runs to its end."""
    push: str | None = None
    """Repository on the Hugging Face Hub, OWNER/NAME, to publish the weights in; made, and public,
    if it is not there. Needs a token: HF_TOKEN, or `hf auth login`."""
    push_only: bool = False
    """Publish the weights in --out as they are; export nothing."""

    def __post_init__(self) -> None:
        if self.push_only and self.push is None:
            raise ValueError("push_only=True must come with push=OWNER/NAME")
        if self.smoke and self.push is not None:
            raise ValueError("smoke=True must come without push: its model is untrained")


class StreamingStudent(nn.Module):
    """The student with its state as plain tensors, as ONNX wants it."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student

    def forward(self, clip: Tensor, frames: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        """Go on from a state: the wave, the state after it, and the maps (B, T, C, H, W)."""
        seen = self.student.describe(clip, StudentState(frames, features))
        return seen.wave, seen.state.frames, seen.state.features, seen.maps


class DescribedTeacher(nn.Module):
    """The teacher with what its student was to look at."""

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.teacher = teacher

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """The wave, and the early maps (B, C, T, H, W)."""
        seen = self.teacher.describe(clip)
        return seen.wave, seen.maps


def main(job: ExportJob) -> None:
    """Export and publish as asked."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of each request
    out = job.out or Path("weights") / job.model
    if job.smoke:
        job = aside(job, "run")
        out = job.out or job.run / "weights"
        untrained_run(job)
    if not job.push_only:
        _check_worth(job, out)
        export(job, out)
    if job.push is None:
        return
    commit = push(out, job.push)
    print(f"{job.push} is at commit {commit}")
    print(f"python -m kdphys measure VIDEO --model {job.push} --revision {commit}")


def _check_worth(job: ExportJob, out: Path) -> None:
    """Check that what a smoke test left is not published, nor put in the place of real weights.

    Raises:
        JobError: It would be.
    """
    is_asked_for, told = job.smoke or (job.out and not job.push), job.run / "run.json"
    if not is_asked_for and told.exists() and is_of_smoke(read_record(told)):
        raise JobError(
            f"{job.run} learned nothing, as a smoke test, and is not put into {out}: name a run "
            "that was trained; or another folder with --out, to look at it."
        )


def export(job: ExportJob, out: Path) -> None:
    """Write a run's weights to `out`.

    Raises:
        FileNotFoundError: The run is not finished: a file of it is missing.
        JobError: A file of the run is damaged, or its weights are of no use.
        NoRoomError: The disk has no room for them; what was there is as it was.
        WeightsError: The weights are damaged, or a manifest beside them names others.
    """
    model = read_model(job.run, job.model)
    record = read_record(job.run / "run.json")
    with room_for(out), temporary_folder(_made(out.parent), PREFIX) as made:
        worst = export_onnx(model, made / "model.onnx")
        logger.info("torch and ONNX differ by %.1e at most", worst)
        shutil.copy(job.run / WEIGHTS, made)
        (made / "config.json").write_text(config_json(model.config))
        manifest = describe(model, job, record, made) | fitted(out, made)
        if "calibration" not in manifest:
            logger.info("its confidence is not fitted yet: run train/confidence.py")
        (made / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        (made / "README.md").write_text(model_card(manifest))
        move_over(made, _made(out))
    logger.info("wrote %s", out)


def move_over(made: Path, out: Path) -> None:
    """Move a model's files over those of another.

    The network comes first and the manifest last, so that what a kill leaves is the old model, the
    new one, or files that the old manifest does not name and that are refused.
    """
    for name in FILES:
        (made / name).replace(out / name)


def read_model(run: Path, kind: str) -> Student | Teacher:
    """Build a trained model from its run's folder.

    Raises:
        FileNotFoundError: A file is missing.
        JobError: Its configuration is damaged, or its weights hold what are no numbers or are of
            another network.
        WeightsError: Its weights are damaged, or a manifest beside them names others.
    """
    if kind == "student":
        model: Student | Teacher = Student(read_config(StudentConfig, run))
    else:
        model = Teacher(read_config(TeacherConfig, run))
    weights = fill(model, run)
    if not all(numbers.isfinite().all() for numbers in weights.values()):
        raise JobError(
            f"{run / WEIGHTS} holds values that are no numbers: name the folder of another run, or "
            "train it again."
        )
    return model.eval()


def export_onnx(model: Student | Teacher, path: Path) -> float:
    """Write the network as ONNX and compare it with torch.

    Args:
        model: In evaluation mode.
        path: File to write.

    Returns:
        The largest difference of the waves on a random clip.

    Raises:
        JobError: The two differ by more than 1e-4, or their waves are no numbers.
    """
    side = model.config.size
    clip = torch.rand(1, 32, 3, side, side)
    any_length = Dim("frames", min=2, max=1 << 16)
    if isinstance(model, Student):
        given = (clip, *model.start(clip[:, 0]))
        network: nn.Module = StreamingStudent(model).eval()
        names = (
            ["clip", "frames", "features"],
            ["wave", "next_frames", "next_features", "maps"],
        )
        shapes: tuple[object, ...] = ({1: any_length}, None, None)
    else:
        given, network = (clip,), DescribedTeacher(model).eval()
        names = (["clip"], ["wave", "maps"])
        shapes = ({1: 4 * Dim("quarter", min=2, max=1 << 14)},)
    with torch.no_grad():
        torch.onnx.export(
            network,
            given,
            str(path),
            input_names=names[0],
            output_names=names[1],
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        _strip(path)
        longer = torch.rand(1, 64, 3, side, side)
        given = (longer, *given[1:])
        wanted = network(*given)[0]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, dict(zip(names[0], (x.numpy() for x in given), strict=True)))[0]
    worst = float(np.abs(np.asarray(found) - wanted.numpy()).max())
    check_agreement(worst)
    return worst


def check_agreement(worst: float) -> None:
    """Refuse a network whose waves of torch and ONNX differ too much, or can't be compared.

    Raises:
        JobError: They do.
    """
    if not worst <= AGREE:  # nan is not
        found = "are no numbers" if math.isnan(worst) else f"differ by {worst:.1e}"
        raise JobError(
            f"The waves that torch and ONNX make {found}, and may differ by {AGREE:.0e} at most: "
            "name the folder of another run, or train it again."
        )


def _strip(path: Path) -> None:
    """Take from an ONNX file what only says how it was made, folders of this machine among it."""
    network = onnx.load(path)
    graph = network.graph
    for part in (network, graph, *graph.node, *graph.input, *graph.output, *graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    onnx.save(network, path)


def describe(
    model: Student | Teacher, job: ExportJob, record: dict[str, object], made: Path
) -> dict[str, object]:
    """Make the manifest: what the files are, what they cost, and where they come from."""
    files = ("model.onnx", "model.safetensors", "config.json")
    return {
        "name": f"kdphys-{job.model}",
        "model": job.model,
        "license": "MIT",
        "training": training_of(record),
        "sources": job.sources,
        "sha256": {file: sha256(made / file) for file in files},
        "cost": {
            "parameters": sum(weight.numel() for weight in model.parameters()),
            "macs_per_frame": macs_per_frame(model),
        },
        "run": without_places(record),
    }


def without_places(told: object) -> object:
    """Leave of each whole path of this machine its last part: weights are passed on, folders not.

    Args:
        told: What JSON holds.
    """
    if isinstance(told, dict):
        return {name: without_places(value) for name, value in told.items()}
    if isinstance(told, list):
        return [without_places(value) for value in told]
    if isinstance(told, str) and Path(told).is_absolute():
        return Path(told).name
    return told


def fitted(out: Path, made: Path) -> dict[str, object]:
    """What train/confidence.py has fitted to the same weights when they were exported before."""
    path = out / "manifest.json"
    try:
        before = json.loads(path.read_text()) if path.exists() else {}
    except ValueError:  # it is damaged, and this export is to mend that
        return {}
    digests = before.get("sha256") if isinstance(before, dict) else None
    known = digests.get("model.safetensors") if isinstance(digests, dict) else None
    if known != sha256(made / "model.safetensors"):
        return {}
    return {name: before[name] for name in (*FITTED, METRICS) if name in before}


def macs_per_frame(model: Student | Teacher) -> float:
    """Count multiply-accumulates for a frame of a long clip."""
    side = model.config.size
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.rand(1, COUNTED_FRAMES, 3, side, side))
    return counter.get_total_flops() / 2 / COUNTED_FRAMES


def untrained_run(job: ExportJob) -> None:
    """Write a run of an untrained model, for a smoke test.

    Raises:
        ValueError: The folder holds a trained one.
    """
    if (job.run / WEIGHTS).exists() and not is_of_smoke(record_in(job.run)):
        raise JobError(f"{job.run} holds trained weights; give another folder as --run")
    model = Student() if job.model == "student" else Teacher()
    _made(job.run)
    write_weights(model.state_dict(), job.run)
    (job.run / "config.json").write_text(config_json(model.config))
    record = {"config": {"schedule": str(SMOKE_SCHEDULE), "smoke": True}, "clips": 0}
    (job.run / "run.json").write_text(json.dumps(record))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    run_script(main, ExportJob)
