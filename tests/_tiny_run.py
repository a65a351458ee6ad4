"""A training run of four steps on clips made by hand, also to be started in several processes.

`python -m torch.distributed.run --nproc_per_node 2 -m tests._tiny_run OUT [STOP_AT]`
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kdphys.models.student import Student
from train.datasets import Batch, ClipStore
from train.loop import LabelWeights, Run, Schedule, label_loss, train


@dataclass(frozen=True)
class TinyRun:
    """What stands in run.json."""

    schedule: Schedule
    name: str = "tiny"


def store_of_pulses(clips: int = 6, frames: int = 120) -> ClipStore:
    """Noisy skin-coloured clips whose green follows the wave; the last has no pulse."""
    rng = np.random.default_rng(0)
    bpm = np.append(rng.uniform(60, 150, clips - 1), 0).astype(np.float32)
    waves = np.sqrt(2) * np.sin(2 * np.pi * bpm[:, None] / 60 * np.arange(frames) / 30)
    light = np.array([150.0, 110.0, 90.0]) - 2.0 * waves[:, :, None] * np.array([0.3, 1.0, 0.5])
    noise = rng.standard_normal((clips, frames, 36, 36, 3)) * 2
    pixels = np.clip(light[:, :, None, None] + noise, 0, 255).astype(np.uint8)
    truths: tuple[dict[str, object], ...] = tuple({"bpm": float(rate) or None} for rate in bpm)
    return ClipStore((torch.from_numpy(pixels),), waves.astype(np.float32), bpm, truths, "f" * 64)


STORE = store_of_pulses()
SHORT = Schedule(
    steps=4,
    batch=2,
    frames=64,
    average_every=1,
    save_every=2,
    check_every=4,
    log_every=1,
    threads=1,
    precision="float32",  # bfloat16 rounds by more than the runs may differ
)


class PlugPulledError(Exception):
    """Someone pulled the plug."""


def train_student(
    out: Path,
    stop_at: int | None = None,
    schedule: Schedule = SHORT,
    start: Path | None = None,
    store: ClipStore = STORE,
    teacher: Path | None = None,
) -> Path:
    """Train a small run; the plug is pulled before step `stop_at`."""
    torch.manual_seed(1)
    calls = 0

    def loss(model: nn.Module, batch: Batch, _done: float) -> dict[str, Tensor]:
        nonlocal calls
        if calls == stop_at:
            raise PlugPulledError
        calls += 1
        return label_loss(model(batch.clip), batch, 12, 10, LabelWeights())

    train(
        Run(
            model=Student(),
            loss=loss,
            store=store,
            check=store,
            schedule=schedule,
            out=out,
            config=TinyRun(schedule),
            lag=12,
            start=start,
            teacher=teacher,
        )
    )
    return out / "model.safetensors"


if __name__ == "__main__":
    train_student(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
