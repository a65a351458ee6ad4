"""Which operator over time, and which input size: `python train/operators.py` writes a table.

The student's stages over time are dilated causal convolutions. This puts others in their place,
under the same budget and before the same layers over space, trains each on labels alone with the
same clips and steps, and weighs accuracy against the time of a frame, measured in the same run.

* shifted: some channels come one step late, others two (a causal temporal shift with a cache, after
  Lin et al. 2019, arXiv 1811.08383), then a layer without time of its own.
* recurrent: damped oscillators, each of its own frequency and decay, driven by the signal (a
  diagonal linear recurrence after Orvieto et al. 2023, arXiv 2303.06349).
"""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from kdphys.models.student import Student, StudentConfig, StudentState
from kdphys.ort import onnxruntime
from train.aside import aside
from train.benchmark import markdown_table
from train.datasets import Batch, read_store
from train.distill import WARM_UP
from train.export import export_onnx, macs_per_frame
from train.loop import WEIGHTS, LabelWeights, Run, Schedule, check, label_loss, train
from train.origin import origin
from train.script import run_script
from train.smoke import SMOKE_SCHEDULE, smoke_data
from train.study import Study, check_arms, common_settings, open_study, short_digest

logger = logging.getLogger(__name__)

TIMED_FRAMES = 1000
FREQUENCIES_HZ, DECAY_S = (0.0, 4.0), (0.15, 6.0)


class Shifted(nn.Module):
    """A layer over channels, a third of which are one step late, and a third two."""

    def __init__(self, width: int, step: int) -> None:
        super().__init__()
        self.step, self.remembers, self.third = step, 2 * step, width // 3
        self.mix = nn.Conv1d(width, 2 * width, 1, bias=False)
        self.norm = nn.BatchNorm1d(2 * width)
        self.out = nn.Conv1d(width, width, 1)

    def forward(self, signal: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """As the student's own stage."""
        padded = torch.cat([past, signal], 2)
        frames, third = signal.shape[2], self.third
        late = [
            padded[:, :third, :frames],
            padded[:, third : 2 * third, self.step : self.step + frames],
            signal[:, 2 * third :],
        ]
        said = self.out(F.glu(self.norm(self.mix(torch.cat(late, 1))), 1))
        return signal + said, padded[:, :, -self.remembers :]


class Recurrent(nn.Module):
    """Damped oscillators, as many as channels, and a gate on what they and the signal say."""

    def __init__(self, width: int, fps: float) -> None:
        super().__init__()
        self.remembers = 2  # the real and the imaginary part of each oscillator
        low, high = (math.log(1 / (fps * decay)) for decay in reversed(DECAY_S))
        turn = 2 * math.pi * FREQUENCIES_HZ[1] / fps
        self.log_decay = nn.Parameter(torch.empty(width).uniform_(low, high))
        self.turn = nn.Parameter(torch.empty(width).uniform_(0, turn))
        self.norm = nn.BatchNorm1d(width)
        self.drive = nn.Conv1d(width, 2 * width, 1, bias=False)
        self.mix = nn.Conv1d(3 * width, 2 * width, 1)
        self.out = nn.Conv1d(width, width, 1)

    def forward(self, signal: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """As the student's own stage; `past` holds the oscillators. Shape (B, C, 2)."""
        frames = signal.shape[2]
        clean = self.norm(signal)
        real, imaginary = self.drive(clean).chunk(2, 1)  #                        (B, C, T) each
        decay = torch.exp(self.log_decay)
        gain = torch.sqrt(1 - torch.exp(-2 * decay))
        index = torch.arange(frames, device=signal.device)
        ago = (index[:, None] - index).to(signal.dtype)  #                        (T, T)
        size = gain[:, None, None] * torch.exp(-decay[:, None, None] * ago.clamp_min(0))
        size = size * (ago >= 0)
        angle = self.turn[:, None, None] * ago
        cos, sin = size * angle.cos(), size * angle.sin()  #                      (C, T, T)
        first = (index + 1).to(signal.dtype)
        shrunk = torch.exp(-decay[:, None] * first)
        turned = self.turn[:, None] * first
        kept_cos, kept_sin = shrunk * turned.cos(), shrunk * turned.sin()  #      (C, T)
        was_real, was_imaginary = past[:, :, :1], past[:, :, 1:]

        def driven(kernel: Tensor, by: Tensor) -> Tensor:
            return (kernel @ by.permute(1, 2, 0)).permute(2, 0, 1)

        now_real = driven(cos, real) - driven(sin, imaginary)
        now_real = now_real + kept_cos * was_real - kept_sin * was_imaginary
        now_imaginary = driven(sin, real) + driven(cos, imaginary)
        now_imaginary = now_imaginary + kept_sin * was_real + kept_cos * was_imaginary
        said = self.out(F.glu(self.mix(torch.cat([now_real, now_imaginary, clean], 1)), 1))
        return signal + said, torch.stack([now_real[:, :, -1], now_imaginary[:, :, -1]], 2)


class Coarser(Student):
    """A student that sees the mean of some pixels as one, where the crops are larger than it."""

    def start(self, frame: Tensor) -> StudentState:
        """As the student's own."""
        return super().start(self._in_cells(frame))

    def run(self, clip: Tensor, state: StudentState) -> tuple[Tensor, StudentState]:
        """As the student's own."""
        cells = self._in_cells(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        return super().run(cells, state)

    def _in_cells(self, frames: Tensor) -> Tensor:
        return F.avg_pool2d(frames, frames.shape[3] // self.config.size)


def dilated(size: int) -> Student:
    """Build the student as it is, for crops of one size or cells of larger ones."""
    strides = (2, 2, 1) if size == 36 else (2, 1, 1)  # to maps of 9 x 9 either way
    return Coarser(StudentConfig(size=size, strides=strides))


def shifted(size: int) -> Student:
    """Build a student whose channels are shifted in time."""
    student = dilated(size)
    config = student.config
    student.times = nn.ModuleList(Shifted(config.temporal, step) for step in config.dilations)
    return student


def recurrent(size: int) -> Student:
    """Build a student of damped oscillators, three stages of them."""
    student = dilated(size)
    config = student.config
    student.times = nn.ModuleList(Recurrent(config.temporal, config.fps) for _ in range(3))
    return student


ARMS: Mapping[str, tuple[Callable[[int], Student], int]] = {
    "dilated, 36 x 36": (dilated, 36),
    "shifted, 36 x 36": (shifted, 36),
    "recurrent, 36 x 36": (recurrent, 36),
    "dilated, 18 x 18": (dilated, 18),
}


@dataclass(frozen=True)
class OperatorsJob:
    """Train and time students with other operators over time."""

    data: Path = Path("data/train")
    """Clips to learn from."""
    check: Path = Path("data/check")
    """Clips to be judged on; the choice is made on them, so they are not the test."""
    runs: Path = Path("runs/operators")
    """Where the runs are kept; a finished one is not done again."""
    out: Path = Path("docs/results")
    """Folder for operators.md and operators.json."""
    arms: tuple[str, ...] = tuple(ARMS)
    """Which of them."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of weights, batches and variations."""
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=1000, rate=3e-3))
    """How long each learns; its seed is replaced."""
    smoke: bool = False
    """A few steps of the last two, to see that it runs to its end."""

    def __post_init__(self) -> None:
        """Check that there are such arms."""
        check_arms(self.arms, ARMS)


def main(job: OperatorsJob) -> None:
    """Train, time, write the table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if job.smoke:
        job = aside(job, "runs", "out")
        folder = smoke_data(job.runs)
        job = replace(
            job, data=folder, check=folder, seeds=(0,), arms=job.arms[-2:], schedule=SMOKE_SCHEDULE
        )
    found = open_study(job.out / "operators.json", _settings(job))
    for name in job.arms:
        for seed in job.seeds:
            if found.row(name, seed) is None:
                found.keep(name, seed, _score(job, name, seed, found.settings))
            logger.info("%s, seed %d: %s", name, seed, found.row(name, seed))
    found.save()  # the page is of these rows, wherever they lay
    costs = {name: _cost(_build(name, 0)) for name in ARMS if name in found.arms}
    (job.out / "operators.md").write_text(_page(found, costs, job))


def _settings(job: OperatorsJob) -> dict[str, object]:
    """What all rows of the table have in common."""
    judged = {"check": read_store(job.check).sha256}
    return common_settings(job.data, job.schedule) | judged


def _build(name: str, seed: int) -> Student:
    torch.manual_seed(seed)
    build, size = ARMS[name]
    return build(size)


def _score(
    job: OperatorsJob, name: str, seed: int, settings: Mapping[str, object]
) -> dict[str, float]:
    """Train one arm with one seed, unless that is done, and score it."""
    run = job.runs / f"{name.replace(', ', '-').replace(' ', '')}-{seed}-{short_digest(settings)}"
    done = run / "score.json"
    if not done.exists():
        store, judge = read_store(job.data), read_store(job.check)
        student = _build(name, seed)
        lag = student.config.lag

        def loss(model: nn.Module, batch: Batch, _done: float) -> dict[str, Tensor]:
            return label_loss(model(batch.clip), batch, lag, WARM_UP, LabelWeights())

        schedule = replace(job.schedule, seed=seed)
        what = Run(student, loss, store, judge, schedule, run, replace(job), lag, warm_up=WARM_UP)
        train(what)
        student.load_state_dict(load_file(run / WEIGHTS), strict=True)  # the mean, not the last
        done.write_text(json.dumps(check(student, judge, lag)))
    return json.loads(done.read_text())


def _cost(student: Student) -> dict[str, float]:
    """Parameters, multiply-accumulates and milliseconds of a frame, one at a time, one thread."""
    student = student.eval()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    with TemporaryDirectory() as folder:
        name = Path(folder) / "student.onnx"
        export_onnx(student, name)
        network = onnxruntime.InferenceSession(name, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    side = student.config.size
    clip = rng.random((TIMED_FRAMES, 1, 1, 3, side, side), np.float32)
    frames, features = (part.numpy() for part in student.start(torch.from_numpy(clip[0, 0])))
    times = []
    for frame in clip:
        began = time.perf_counter()
        given = {"clip": frame, "frames": frames, "features": features}
        _, frames, features, _ = network.run(None, given)
        times.append(1000 * (time.perf_counter() - began))
    return {
        "parameters": sum(weight.numel() for weight in student.parameters()),
        "MMAC a frame": round(macs_per_frame(student) / 1e6, 3),
        "ms a frame": round(float(np.median(times[50:])), 4),
    }


def _page(found: Study, costs: Mapping[str, Mapping[str, float]], job: OperatorsJob) -> str:
    lines = [
        "# Operators over time and input sizes",
        "",
        f"Made by `python train/operators.py` on {found.made_on()}; timed on {origin()}.",
        "",
        f"{job.schedule.steps} steps on labels alone, mean ± standard deviation over seeds;",
        "validation clips of 10 s, plain spectral peak. Milliseconds: one frame at a time, one",
        "thread, all in one run.",
        "",
    ]
    cells = []
    for name, cost in costs.items():
        seeds, shown = found.lines(name)
        scores = [shown["mae_bpm"], shown["within_3"]]
        cells.append([name, str(seeds), *(f"{value:g}" for value in cost.values()), *scores])
    head = ["over time, input", "seeds", *next(iter(costs.values())), "mean error", "within 3 bpm"]
    return "\n".join([*lines, *markdown_table(head, cells)]) + "\n"


if __name__ == "__main__":
    run_script(main, OperatorsJob)
