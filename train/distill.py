"""Teach the student to follow the teacher: `python train/distill.py --teacher runs/teacher`.

The student learns from the label, from the teacher's wave (negative Pearson and DILATE) and from
where the teacher looks: attention-guided 3D-to-2D feature transfer, the teacher's maps at the
student's own frame rate, so that every student frame has a teacher map. That much is the idea of
KDPhys (arXiv 2601.00714), which does not publish its recipe: layers, weights and the gate that
keeps a wrong teacher from being copied are ours.
"""

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
import tyro
from safetensors.torch import load_file
from torch import Tensor, nn

from kdphys.losses import attention_transfer, dilate, negative_pearson, standardise
from kdphys.models.student import Student, StudentConfig
from kdphys.models.teacher import Teacher, TeacherConfig
from train.datasets import Batch, read_store, read_stores
from train.loop import (
    LabelWeights,
    Run,
    Schedule,
    aligned,
    bf16_is_native,
    label_loss,
    train,
)
from train.processes import join
from train.smoke import SMOKE_SCHEDULE, smoke_data
from train.teacher import config_json, read_config

WARM_UP = 30  # frames at the start of a clip, when the student knows nothing yet, that do not count

EVEN = 0.1  # correlation by which a student must be ahead of its teacher to follow it a quarter


@dataclass(frozen=True)
class DistillWeights:
    """How much each thing that the teacher says counts."""

    wave: float = 0.5
    """Negative Pearson against the teacher's wave."""
    dilate: float = 0.02
    """DILATE against the teacher's wave."""
    attention: float = 0.5
    """Attention transfer between the last maps of one grid size."""
    alpha: float = 0.5
    """Share of DILATE's shape term; the rest is its time term."""
    gamma: float = 0.1
    """Softness of DILATE's alignment."""
    tolerance_s: float = 0.1
    """Delay that costs 1 in DILATE's time term."""
    dilate_frames: int = 120
    """Length of the piece of each wave that DILATE compares, at half the frame rate."""


@dataclass(frozen=True)
class DistillRun:
    """Distill the teacher into the student."""

    data: tuple[Path, ...] = (Path("data/train"),)
    """Folders of clips to learn from, written by train/synthetic.py or train/recordings.py."""
    check: Path = Path("data/check")
    """Clips to validate on."""
    teacher: Path | None = Path("runs/teacher")
    """Folder with the teacher's model.safetensors and config.json; none learns from labels only."""
    out: Path = Path("runs/student")
    """Folder of the run; a stopped run in it is resumed."""
    start: Path | None = None
    """Folder of a finished run, or of weights, to go on from with its model's configuration."""
    most: int | None = None
    """Use no more than this many clips."""
    model: StudentConfig = field(default_factory=StudentConfig)
    label: LabelWeights = field(default_factory=LabelWeights)
    distill: DistillWeights = field(default_factory=DistillWeights)
    schedule: Schedule = field(default_factory=lambda: Schedule(rate=3e-3))
    smoke: bool = False
    """A few steps on a few clips with an untrained teacher, to see that it runs to its end."""


class Distillation:
    """The loss of a student that has a teacher; call it with the model to run and a batch.

    Args:
        config: Weights of the parts.
        student: The student itself, whose maps are read while the model runs.
        teacher: Whom to follow; none for labels alone.
    """

    def __init__(self, config: DistillRun, student: Student, teacher: Teacher | None) -> None:
        self.config = config
        self.teacher = teacher.eval().requires_grad_(requires_grad=False) if teacher else None
        self.maps = torch.empty(0)
        student.stages[-1].register_forward_hook(self._keep_maps)

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Weigh label, imitation and transfer; each part of shape (B,)."""
        lag = self.config.model.lag
        said = model(batch.clip)
        parts = label_loss(said, batch, lag, WARM_UP, self.config.label)
        if self.teacher is None:
            return parts
        maps = self.maps.unflatten(0, batch.clip.shape[:2]).float()  #            (B, T, C, H, W)
        device, quick = batch.clip.device.type, bf16_is_native()
        with torch.no_grad(), torch.autocast(device, torch.bfloat16, enabled=quick):
            taught, teacher_maps, _ = self.teacher.describe(batch.clip)
        taught, teacher_maps = taught.float(), teacher_maps.transpose(1, 2).float()
        own, true = aligned(said.detach(), batch.wave, lag, WARM_UP)
        gate = batch.alive * trust(taught, batch.wave, 1 - negative_pearson(own, true))
        follow, lead = aligned(said, taught, lag, WARM_UP)
        weights = self.config.distill
        looks = attention_transfer(maps, teacher_maps)
        parts["wave"] = weights.wave * gate * negative_pearson(follow, lead)
        parts["dilate"] = weights.dilate * gate * self._dilate(follow, lead)
        parts["attention"] = weights.attention * gate * looks
        return parts

    def _keep_maps(self, _module: nn.Module, _inputs: tuple[Tensor, ...], maps: Tensor) -> None:
        self.maps = maps

    def _dilate(self, follow: Tensor, lead: Tensor) -> Tensor:
        """DILATE at half the frame rate: the pulse has nothing above 7 Hz to lose. Shape (B,)."""
        weights = self.config.distill
        if weights.dilate == 0:
            return follow.new_zeros(len(follow))
        frames = min(weights.dilate_frames, follow.shape[1]) // 2 * 2
        pieces = [
            standardise(wave[:, -frames:].unflatten(1, (-1, 2)).mean(2)) for wave in (follow, lead)
        ]
        tolerance = weights.tolerance_s * self.config.model.fps / 2
        parts = dilate(*pieces, tolerance=tolerance, gamma=weights.gamma)
        return parts.total(weights.alpha)


def trust(taught: Tensor, true: Tensor, own: Tensor) -> Tensor:
    """How far to follow the teacher on each clip.

    Args:
        taught: The teacher's wave. Shape (B, T).
        true: The label. Shape (B, T).
        own: Correlation of the student's own wave with the label. Shape (B,).

    Returns:
        The teacher's correlation with the label, times a share that falls from 1 to 0 where the
        student is the better one. Shape (B,), in [0, 1].
    """
    likeness = 1 - negative_pearson(taught, true)
    return likeness.clamp(0, 1) * torch.sigmoid((likeness - own) / EVEN)


def read_teacher(folder: Path) -> Teacher:
    """Load a trained teacher.

    Raises:
        FileNotFoundError: The folder holds no weights.
    """
    if not (folder / "model.safetensors").exists():
        raise FileNotFoundError(
            f"{folder} holds no model.safetensors; train a teacher first with "
            f"python train/teacher.py --out {folder}, or pass --teacher None to use labels alone"
        )
    teacher = Teacher(read_config(TeacherConfig, folder))
    teacher.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    return teacher


def main(config: DistillRun) -> None:
    """Distill as configured."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    process = join()
    torch.manual_seed(config.schedule.seed)
    if config.smoke:
        with process.main_process_first():
            folder = smoke_data(config.out)
        config = replace(
            config, data=(folder,), check=folder, teacher=None, schedule=SMOKE_SCHEDULE
        )
        teacher = Teacher()
    else:
        teacher = read_teacher(config.teacher) if config.teacher else None
    if config.start:
        config = replace(config, model=read_config(StudentConfig, config.start))
    student = Student(config.model)
    train(
        Run(
            model=student,
            loss=Distillation(config, student, teacher.to(process.device) if teacher else None),
            store=read_stores(config.data, config.most),
            check=read_store(config.check),
            schedule=config.schedule,
            out=config.out,
            config=config,
            start=config.start,
            lag=config.model.lag,
        )
    )
    if process.is_main_process:
        (config.out / "config.json").write_text(config_json(config.model))


if __name__ == "__main__":
    main(tyro.cli(DistillRun))
