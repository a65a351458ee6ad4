"""What each part of the distillation is worth: `python train/ablate.py` writes a table.

Every arm is a student trained with the same clips, batches and steps, but for what it learns from,
with several seeds each; the teacher stands beside them. They are scored on clips of 30 s of people,
pulses and seeds that training never saw, and on clips without a pulse. A run that is finished is
not done again, so a stopped command goes on.
"""

import json
import logging
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import tyro

from kdphys.hub import load_weights
from kdphys.models.student import StudentConfig
from kdphys.runtime import Model, StudentModel, TeacherModel
from train import distill
from train.benchmark import markdown_table
from train.datasets import ClipStore
from train.distill import DistillRun, DistillWeights
from train.evaluate import raw_bpm, unseen_clips, wave_of
from train.export import ExportJob
from train.export import main as export
from train.loop import Schedule
from train.smoke import SMOKE_SCHEDULE, smoke_data
from train.synthetic import SyntheticConfig

logger = logging.getLogger(__name__)

NOTHING = DistillWeights(wave=0.0, dilate=0.0, attention=0.0, traits=0.0)
FULL = DistillWeights()
USUAL, LARGER = StudentConfig(), StudentConfig(widths=(16, 32, 40), temporal=60)
ARMS: Mapping[str, tuple[DistillWeights | None, StudentConfig]] = {
    "labels alone": (None, USUAL),
    "+ wave": (replace(NOTHING, wave=FULL.wave), USUAL),
    "+ wave by DILATE": (replace(NOTHING, dilate=FULL.dilate), USUAL),
    "+ where it looks": (replace(NOTHING, attention=FULL.attention), USUAL),
    "+ its features": (replace(NOTHING, traits=FULL.traits), USUAL),
    "all": (FULL, USUAL),
    "all, larger student": (FULL, LARGER),
}


@dataclass(frozen=True)
class AblationJob:
    """Train and score every arm."""

    data: Path = Path("data/train")
    """Clips to learn from."""
    check: Path = Path("data/check")
    """Clips to validate on."""
    test: Path = Path("data/test")
    """Test clips, as train/evaluate.py draws them."""
    teacher: Path = Path("runs/teacher")
    """The teacher's run."""
    runs: Path = Path("runs/ablation")
    """Where the runs are kept."""
    out: Path = Path("docs/results")
    """Folder for ablation.md and ablation.json."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of weights, batches and variations."""
    arms: tuple[str, ...] = tuple(ARMS)
    """Which arms."""
    clips: int = 100
    """Test clips with a pulse."""
    negatives: int = 60
    """Test clips without."""
    faces: Path | None = None
    """Folder of portraits, as for train/evaluate.py."""
    pulses: Path | None = None
    """Folder of pulse recordings, as for train/evaluate.py."""
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=1000, rate=3e-3))
    """How long each student learns; its seed is replaced."""
    smoke: bool = False
    """Two arms of a few steps, to see that it runs to its end."""


def main(job: AblationJob) -> None:
    """Train what is missing, score all, write the table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    seconds = 30.0
    if job.smoke:
        folder = smoke_data(job.runs)
        job = replace(
            job, data=folder, check=folder, test=job.runs / "test", seeds=(0,), clips=2,
            negatives=1, arms=("labels alone",), schedule=SMOKE_SCHEDULE,
        )  # fmt: skip
        seconds = 8.0
    config = SyntheticConfig(
        seconds=seconds,
        difficulty=1.0,
        negatives=0.0,
        faces=job.faces,
        pulses=job.pulses,
        people="test",
    )
    pulsing, silent = unseen_clips(job.test, job.clips, job.negatives, config)
    table: dict[str, list[dict[str, float]]] = {}
    for name in job.arms:
        table[name] = []
        for seed in job.seeds:
            model = StudentModel(load_weights(trained(job, name, seed)))
            table[name].append(score_arm(model, pulsing, silent))
            logger.info("%s, seed %d: %s", name, seed, table[name][-1])
    if not job.smoke:
        weights = job.runs / "teacher"
        export(ExportJob(run=job.teacher, model="teacher", out=weights))
        table["teacher"] = [score_arm(TeacherModel(load_weights(weights)), pulsing, silent)]
    job.out.mkdir(parents=True, exist_ok=True)
    (job.out / "ablation.json").write_text(json.dumps(table, indent=1) + "\n")
    (job.out / "ablation.md").write_text(_page(table, job))


def trained(job: AblationJob, name: str, seed: int) -> Path:
    """Train one arm with one seed, unless that is done; return the folder of its weights."""
    run = job.runs / f"{_slug(name)}-{seed}"
    out = run / "weights"
    weights, model = ARMS[name]
    if not (out / "manifest.json").exists():
        distill.main(
            DistillRun(
                data=(job.data,),
                check=job.check,
                teacher=job.teacher if weights else None,
                out=run,
                model=model,
                distill=weights or NOTHING,
                schedule=replace(job.schedule, seed=seed),
            )
        )
        export(ExportJob(run=run, model="student", out=out))
    return out


def score_arm(model: Model, pulsing: ClipStore, silent: ClipStore) -> dict[str, float]:
    """Score a model whatever its confidence, which is fitted later.

    Returns:
        Mean and median error in bpm, the share of clips within 3 bpm, and the root mean square of
        the wave with and without a pulse.
    """
    waves = [wave_of(model, pulsing.clip(index)) for index in range(len(pulsing))]
    errors = np.abs(np.array([raw_bpm(wave) for wave in waves]) - pulsing.bpm)
    quiet = [wave_of(model, silent.clip(index)).std() for index in range(len(silent))]
    return {
        "MAE": round(float(errors.mean()), 2),
        "median": round(float(np.median(errors)), 3),
        "within 3": round(float((errors <= 3).mean()), 3),
        "rms with a pulse": round(float(np.mean([wave.std() for wave in waves])), 3),
        "rms without": round(float(np.mean(quiet)), 3),
    }


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")


def _page(table: Mapping[str, list[dict[str, float]]], job: AblationJob) -> str:
    columns = list(next(iter(table.values()))[0])
    lines = [
        "# What each part of the distillation is worth",
        "",
        f"Made by `python train/ablate.py` on {platform.machine()}: {job.schedule.steps} steps of",
        f"{job.schedule.batch} clips; {job.clips} test clips of 30 s at difficulty 1 and",
        f"{job.negatives} without a pulse; mean ± standard deviation over seeds {job.seeds}.",
        "Errors in bpm, whatever the confidence.",
        "",
    ]
    cells = []
    for name, rows in table.items():
        line = [name]
        for column in columns:
            values = np.array([row[column] for row in rows])
            spread = f" ± {values.std(ddof=1):.3g}" if len(values) > 1 else ""
            line.append(f"{values.mean():.3g}{spread}")
        cells.append(line)
    return "\n".join([*lines, *markdown_table(["learned from", *columns], cells)]) + "\n"


if __name__ == "__main__":
    main(tyro.cli(AblationJob))
