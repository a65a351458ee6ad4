"""Teach the student to follow the teacher: `python train/distill.py --teacher runs/teacher`.

The student learns from the label, from the teacher's wave (negative Pearson and DILATE) and from
attention-guided 3D-to-2D feature transfer: where the teacher looks in every frame, and the features
that its attention over space and time gathered, both at the student's own frame rate. That much is
the idea of KDPhys (arXiv 2601.00714), which does not publish its recipe: layers, weights and the
gate that keeps a wrong teacher from being copied are ours.
"""

import logging
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from kdphys.losses import (
    Dilate,
    attention_transfer,
    dilate,
    feature_transfer,
    negative_pearson,
    standardise,
)
from kdphys.models.student import Student, StudentConfig
from kdphys.models.teacher import Teacher, TeacherConfig
from train.aside import aside
from train.datasets import Batch, mistimed, read_store, read_stores
from train.hints import Hints, read_hints, work_out
from train.loop import (
    WEIGHTS,
    LabelWeights,
    Run,
    Schedule,
    aligned,
    check_size,
    fill,
    label_loss,
    train,
)
from train.processes import join
from train.recordings import Dataset
from train.room import written
from train.script import run_script
from train.smoke import SMOKE_SCHEDULE, smoke_data
from train.sources import folders_of, usual_data
from train.teacher import config_json, read_config

# Frames at the start, when the student knows nothing yet: only where it looks counts then.
WARM_UP = 30
FROM_THE_TEACHER = ("wave", "dilate_shape", "dilate_time", "attention", "traits")  # what is learned

EVEN = 0.1  # correlation by which a student must be ahead of its teacher to follow it a quarter


@dataclass(frozen=True)
class DistillWeights:
    """How much each thing that the teacher says counts."""

    wave: float = 1.0
    """Negative Pearson against the teacher's wave."""
    dilate: float = 0.02
    """DILATE against the teacher's wave."""
    attention: float = 2.0
    """Attention transfer between the last maps of one grid size."""
    traits: float = 0.3
    """Squared distance of the features after attention and time, through a linear layer."""
    alpha: float = 0.5
    """Share of DILATE's shape term; the rest is its time term."""
    gamma: float = 0.1
    """Softness of DILATE's alignment."""
    tolerance_s: float = 0.1
    """Delay that costs 1 in DILATE's time term."""
    dilate_frames: int = 120
    """Length of the piece of each wave that DILATE compares, at half the frame rate."""
    until: float | None = 0.6
    """Share of the schedule after which the teacher has no more say: its parts fade until then
    along a cosine. None lets it have its full say to the end."""

    def __post_init__(self) -> None:
        """Check that the teacher has a say at first."""
        if self.until is not None and not 0 < self.until <= 1:
            raise ValueError(
                f"until={self.until} must be over 0 and at most 1; a distillation without a "
                "teacher is asked for by teacher=None"
            )

    def say(self, done: float) -> float:
        """How much the teacher counts when a share of the schedule is done, in [0, 1]."""
        if self.until is None:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(done / self.until, 1.0)))


@dataclass(frozen=True)
class DistillRun:
    """Distill the teacher into the student."""

    data: tuple[Path, ...] = ()
    """Folders of clips to learn from, written by train/synthetic.py or train/recordings.py; if none
    is named, data/train, or `dataset` alone."""
    check: Path | None = None
    """Clips to validate on; if none is named, data/check, or the test side of `dataset` where that
    alone is learned from."""
    teacher: Path | None = Path("runs/teacher")
    """Folder with the teacher's model.safetensors and config.json; none learns from labels only."""
    out: Path = Path("runs/student")
    """Folder of the run; a stopped run in it is resumed."""
    start: Path | None = None
    """Folder of a finished run, or of weights, to go on from with its model's configuration."""
    look_ahead: int | None = None
    """Frames by which the wave is to come late, where not as many as `model` or `start` has."""
    most: int | None = None
    """Use no more than this many clips of each folder."""
    dataset: Dataset | None = None
    """Real data set to learn from: first cut into clips as by train/recordings.py, then learned
    from beside the folders of `data`, or alone where none is named."""
    root: Path | None = None
    """Where the data set lies."""
    cut_to: Path | None = None
    """Folder for the data set's clips, in train/ and test/; what is there is kept. data/NAME of the
    data set if none is named."""
    mistime_s: float = 0.0
    """Put each clip's label early or late by a random time up to this, as where the clocks of
    camera and contact sensor differ; for studies."""
    model: StudentConfig = field(default_factory=StudentConfig)
    label: LabelWeights = field(default_factory=LabelWeights)
    distill: DistillWeights = field(default_factory=DistillWeights)
    schedule: Schedule = field(default_factory=lambda: Schedule(rate=3e-3))
    smoke: bool = False
    """A few steps on a few clips with an untrained teacher, to see that it runs to its end."""

    def __post_init__(self) -> None:
        """Check that a data set comes with its root; name the usual folder where none is named."""
        object.__setattr__(self, "data", usual_data(self))
        if self.look_ahead is not None:
            replace(self.model, lag=self.look_ahead)  # says what is wrong with it


class Pupil(nn.Module):
    """A student with the layer by which its features are compared with the teacher's.

    Only training needs it; the student alone is kept.
    """

    def __init__(self, student: Student, traits: int) -> None:
        super().__init__()
        self.student = student
        self.project = nn.Linear(student.config.temporal, traits)

    def forward(self, clip: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Wave (B, T), learned maps (B, T, C, H, W), features in the teacher's terms (B, D, T)."""
        seen = self.student.describe(clip)
        return seen.wave, seen.maps, self.project(seen.traits.transpose(1, 2)).transpose(1, 2)


class Distillation:
    """The loss of a student that has a teacher; call it with the pupil to run and a batch.

    Args:
        config: Weights of the parts.
        hints: What the teacher says about the clips; with none, on labels alone, the pupil is the
            student itself.
    """

    def __init__(self, config: DistillRun, hints: Hints | None) -> None:
        self.config = config
        self.hints = hints

    def __call__(self, pupil: nn.Module, batch: Batch, done: float = 0.0) -> dict[str, Tensor]:
        """Weigh label, imitation and transfer; each part of shape (B,)."""
        lag = self.config.model.lag
        if self.hints is None:
            return label_loss(pupil(batch.clip), batch, lag, WARM_UP, self.config.label)
        said, maps, traits = pupil(batch.clip)
        parts = label_loss(said, batch, lag, WARM_UP, self.config.label)
        weights = self.config.distill
        if weights.say(done) == 0:
            nothing = 0 * traits.float().mean((1, 2))  # several processes miss layers without use
            return {**parts, **dict.fromkeys(FROM_THE_TEACHER, nothing)}
        device = batch.clip.device
        taught, looks, wanted = (hint.to(device) for hint in self.hints.of(batch.cuts))
        own, true = aligned(said.detach(), batch.wave, lag, WARM_UP)
        slack = round(self.config.label.slack_s * self.config.model.fps)
        gate = batch.alive * trust(taught, batch.wave, likeness(own, true, slack), slack)
        gate = weights.say(done) * gate
        follow, lead = aligned(said, taught, lag, WARM_UP)
        frames = traits.shape[2]
        own_traits, wanted = traits[:, :, lag + WARM_UP :], wanted[:, :, WARM_UP : frames - lag]
        parts["wave"] = weights.wave * gate * negative_pearson(follow, lead)
        apart_by = self._dilate(follow, lead)
        parts["dilate_shape"] = weights.dilate * weights.alpha * gate * apart_by.shape
        parts["dilate_time"] = weights.dilate * (1 - weights.alpha) * gate * apart_by.time
        parts["attention"] = weights.attention * gate * attention_transfer(maps.float(), looks)
        parts["traits"] = weights.traits * gate * feature_transfer(own_traits.float(), wanted)
        return parts

    def _dilate(self, follow: Tensor, lead: Tensor) -> Dilate:
        """DILATE at half the frame rate: the pulse has nothing above 7 Hz to lose."""
        weights = self.config.distill
        if weights.dilate == 0:
            return Dilate(follow.new_zeros(len(follow)), follow.new_zeros(len(follow)))
        frames = min(weights.dilate_frames, follow.shape[1]) // 2 * 2
        pieces = [
            standardise(wave[:, -frames:].unflatten(1, (-1, 2)).mean(2)) for wave in (follow, lead)
        ]
        tolerance = weights.tolerance_s * self.config.model.fps / 2
        return dilate(*pieces, tolerance=tolerance, gamma=weights.gamma)


def trust(taught: Tensor, true: Tensor, own: Tensor, slack: int = 0) -> Tensor:
    """How far to follow the teacher on each clip.

    Args:
        taught: The teacher's wave. Shape (B, T).
        true: The label. Shape (B, T).
        own: Correlation of the student's own wave with the label. Shape (B,).
        slack: Frames by which the label may be early or late.

    Returns:
        The teacher's correlation with the label, times a share that falls from 1 to 0 where the
        student is the better one. Shape (B,), in [0, 1].
    """
    agreed = likeness(taught, true, slack)
    return agreed.clamp(0, 1) * torch.sigmoid((agreed - own) / EVEN)


def likeness(wave: Tensor, true: Tensor, slack: int = 0) -> Tensor:
    """Correlation of two waves at the best shift.

    Args:
        wave: Shape (B, T).
        true: Shape (B, T).
        slack: Most frames by which either may be shifted.

    Returns:
        Shape (B,), in [-1, 1].
    """
    frames = wave.shape[1]
    found = [
        1
        - negative_pearson(
            wave[:, max(shift, 0) : frames + min(shift, 0)],
            true[:, max(-shift, 0) : frames + min(-shift, 0)],
        )
        for shift in range(-slack, slack + 1)
    ]
    return torch.stack(found).amax(0)


def read_teacher(folder: Path) -> Teacher:
    """Load a trained teacher.

    Raises:
        FileNotFoundError: The folder holds no weights.
        JobError: They are of another network.
        WeightsError: A manifest beside them names others.
    """
    if not (folder / WEIGHTS).exists():
        raise FileNotFoundError(
            f"{folder} holds no model.safetensors; train a teacher first with "
            f"python train/teacher.py --out {folder}, or pass --teacher None to use labels alone"
        )
    teacher = Teacher(read_config(TeacherConfig, folder))
    fill(teacher, folder)
    return teacher


def main(config: DistillRun) -> None:
    """Distill as configured."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    process = join()
    if config.smoke:
        config = aside(config, "out")
        with process.main_process_first():
            folder = smoke_data(config.out)
        config = replace(config, dataset=None, root=None, cut_to=None)
        config = replace(
            config, data=(folder,), check=folder, teacher=None, schedule=SMOKE_SCHEDULE
        )
    if config.start:
        config = replace(config, model=read_config(StudentConfig, config.start))
    if config.look_ahead is not None:
        config = replace(config, model=replace(config.model, lag=config.look_ahead))
    teacher = read_teacher(config.teacher).eval() if config.teacher else None
    data, check = folders_of(config, process)
    config = replace(config, data=data, check=check)
    store, checked = read_stores(data, config.most), read_store(check)
    check_size(config.model.size, store, checked)
    hints = None
    if config.smoke:
        hints = work_out(Teacher().eval(), store)
    elif teacher and config.teacher:
        with process.main_process_first():
            hints = read_hints(
                teacher.to(process.device), config.teacher / WEIGHTS, store, config.out.parent
            )
    torch.manual_seed(config.schedule.seed)
    student = Student(config.model)
    if config.mistime_s:
        store = mistimed(store, config.mistime_s)
    train(
        Run(
            model=student,
            learner=Pupil(student, hints.traits.shape[2]) if hints else None,
            loss=Distillation(config, hints),
            store=store,
            check=checked,
            schedule=config.schedule,
            out=config.out,
            config=config,
            start=config.start,
            teacher=config.teacher,
            lag=config.model.lag,
            warm_up=WARM_UP,
            slack_s=config.label.slack_s,
        )
    )
    if process.is_main_process:
        with written(config.out / "config.json") as file:
            file.write_text(config_json(config.model))


if __name__ == "__main__":
    run_script(main, DistillRun)
