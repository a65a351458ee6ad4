"""What each part of the distillation is worth: `python train/ablate.py` writes a table.

Every arm is a student trained with the same clips, batches and steps, but for what it learns from,
with several seeds each; the teacher stands beside them. They are scored on clips of 30 s of people,
pulses and seeds that training never saw, on clips without a pulse, and with `--real CLIP` on a real
clip at several speeds. A finished run is not done again, nor a row of docs/results/ablation.json,
so a stopped command goes on.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdphys.hub import load_weights, sha256
from kdphys.metrics import mae
from kdphys.models.student import StudentConfig
from kdphys.runtime import FPS, Model, StudentModel, TeacherModel
from kdphys.video import read_frames
from train import distill
from train.aside import aside
from train.benchmark import markdown_table
from train.datasets import ClipStore
from train.distill import DistillRun, DistillWeights
from train.evaluate import SPEEDS, STUDY_SEED, check_real, unseen_clips
from train.export import ExportJob
from train.export import main as export
from train.loop import WEIGHTS, LabelWeights, Schedule
from train.recordings import face_stretches
from train.scores import RULES, raw_bpm, score, wave_of
from train.script import run_script
from train.smoke import SMOKE_SCHEDULE, smoke_data
from train.study import (
    Study,
    check_arms,
    common_settings,
    mean_interval,
    open_study,
    short_digest,
)
from train.synthetic import SyntheticConfig

logger = logging.getLogger(__name__)

REAL_S = 20.0
FULL = DistillWeights()
NOTHING = replace(FULL, wave=0.0, dilate=0.0, attention=0.0, traits=0.0)
BASE = "labels alone"
USUAL, LARGER = StudentConfig(), StudentConfig(widths=(16, 32, 40), temporal=60)
MISTIMED_S = 0.25


@dataclass(frozen=True)
class Arm:
    """What a student learns from."""

    teacher: DistillWeights | None = None
    """How it follows the teacher; none learns on labels alone."""
    model: StudentConfig = USUAL
    mistime_s: float = 0.0
    """By how much the labels are early or late at most."""
    slack_s: float = 0.0
    """By how much the loss forgives that."""
    alike: bool = False
    """Whether its teacher learned from such labels by such a loss too, not from exact ones."""


ARMS: Mapping[str, Arm] = {
    BASE: Arm(),
    "+ wave": Arm(replace(NOTHING, wave=FULL.wave)),
    "+ wave by DILATE": Arm(replace(NOTHING, dilate=FULL.dilate)),
    "+ where it looks": Arm(replace(NOTHING, attention=FULL.attention)),
    "+ its features": Arm(replace(NOTHING, traits=FULL.traits)),
    "all": Arm(FULL),
    "all but DILATE": Arm(replace(FULL, dilate=0.0)),
    "all, to the end": Arm(replace(FULL, until=None)),
    "all, larger student": Arm(FULL, LARGER),
    "labels alone, mistimed": Arm(mistime_s=MISTIMED_S),
    "all, mistimed labels": Arm(FULL, mistime_s=MISTIMED_S, slack_s=MISTIMED_S),
    "labels alone, mistimed and forgiven": Arm(mistime_s=MISTIMED_S, slack_s=MISTIMED_S),
    "all, mistimed for the teacher too": Arm(FULL, USUAL, MISTIMED_S, MISTIMED_S, alike=True),
}


@dataclass(frozen=True)
class AblationJob:
    """Train and score every arm."""

    data: Path = Path("data/train")
    """Clips to learn from."""
    check: Path = Path("data/check")
    """Clips to validate on."""
    test: Path = Path("data/study")
    """Clips to score on: as those of train/evaluate.py, and others, as something is chosen by
    them."""
    teacher: Path = Path("weights/teacher")
    """The teacher's exported weights."""
    mistimed_teacher: Path = Path("runs/teacher-mistimed")
    """A teacher that learned from mistimed labels, a run's folder; arms that need one are left out
    where it is not there: train/teacher.py --mistime-s 0.25 --label.slack-s 0.25 --out FOLDER."""
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
    real: Path | None = None
    """Real clip to read at several speeds; left out unless given."""
    real_bpm: float | None = None
    """Its heart rate at its own speed."""
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=600, rate=3e-3))
    """How long each student learns; its seed is replaced."""
    smoke: bool = False
    """One arm of a few steps, to see that it runs to its end."""

    def __post_init__(self) -> None:
        """Check that a real clip comes with its rate."""
        check_real(self.real, self.real_bpm)
        check_arms(self.arms, ARMS)


@dataclass(frozen=True)
class Trials:
    """What every arm is scored on."""

    pulsing: ClipStore
    silent: ClipStore
    real: tuple[tuple[NDArray[np.uint8], float], ...]
    """Pieces of a real clip at several speeds, shape (T, S, S, 3), and their rates in bpm."""


def main(job: AblationJob) -> None:
    """Train what is missing, score all, write the table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    seconds = 30.0
    if job.smoke:
        job = aside(job, "runs", "out")
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
    pulsing, silent = unseen_clips(job.test, job.clips, job.negatives, config, STUDY_SEED)
    trials = Trials(pulsing, silent, replayed(job.real, job.real_bpm))
    found = open_study(job.out / "ablation.json", _settings(job, trials))
    for seed in job.seeds:
        for name in job.arms:
            if ARMS[name].alike and not (job.mistimed_teacher / WEIGHTS).exists():
                logger.info("%s: left out, as %s holds no teacher", name, job.mistimed_teacher)
                continue
            if found.row(name, seed) is None:
                model = StudentModel(load_weights(trained(job, name, seed)))
                found.keep(name, seed, score_arm(model, trials))
            logger.info("%s, seed %d: %s", name, seed, found.row(name, seed))
    if not job.smoke and found.row("teacher", 0) is None:
        found.keep("teacher", 0, score_arm(TeacherModel(load_weights(job.teacher)), trials))
    found.save()  # the page is of these rows, wherever they lay
    (job.out / "ablation.md").write_text(_page(found, job))


def _settings(job: AblationJob, trials: Trials) -> dict[str, object]:
    """What all rows of the table have in common."""
    own = {
        "teacher": sha256(job.teacher / WEIGHTS),
        "weights": {"label": asdict(LabelWeights()), "distill": asdict(FULL)},
        "clips": job.clips,
        "negatives": job.negatives,
        "rules": RULES,
        "test": [trials.pulsing.sha256, trials.silent.sha256],
        "real": [sha256(job.real), job.real_bpm] if job.real else None,
    }
    return common_settings(job.data, job.schedule) | own


def trained(job: AblationJob, name: str, seed: int) -> Path:
    """Train one arm with one seed, unless that is done; return the folder of its weights."""
    arm = ARMS[name]
    teacher = job.mistimed_teacher if arm.alike else job.teacher
    learned = (
        common_settings(job.data, job.schedule),
        asdict(arm),
        sha256(teacher / WEIGHTS) if arm.teacher else None,
    )
    run = job.runs / f"{_slug(name)}-{seed}-{short_digest(learned)}"
    out = run / "weights"
    if not (out / "manifest.json").exists():
        distill.main(
            DistillRun(
                data=(job.data,),
                check=job.check,
                teacher=teacher if arm.teacher else None,
                out=run,
                mistime_s=arm.mistime_s,
                model=arm.model,
                label=LabelWeights(slack_s=arm.slack_s),
                distill=arm.teacher or NOTHING,
                schedule=replace(job.schedule, seed=seed),
            )
        )
        export(ExportJob(run=run, model="student", out=out))
    return out


def replayed(path: Path | None, bpm: float | None) -> tuple[tuple[NDArray[np.uint8], float], ...]:
    """Half-overlapping pieces of 20 s of a real clip at several speeds, with their rates."""
    if path is None or bpm is None:
        return ()
    frames = round(REAL_S * FPS)
    return tuple(
        (stretch[start : start + frames], speed * bpm)
        for speed in SPEEDS
        for _, stretch in face_stretches(read_frames(path, speed))
        for start in range(0, len(stretch) - frames + 1, frames // 2)
    )


def score_arm(model: Model, trials: Trials) -> dict[str, float]:
    """Score a model, whose confidence is not fitted to it but the common default.

    Returns:
        Mean correlation of the waves with the labels, as they come and at the best shift of up to
        0.25 s; mean and median error in bpm and the share
        of clips within 3 bpm, whatever the confidence;
        share of clips with a reading, its mean error, and the share of clips without a pulse that
        get none; of the pieces of a real clip, the share within 3 bpm.
    """
    found, true = score(model, trials.pulsing), trials.pulsing.bpm.astype(np.float64)
    errors = np.abs(found.bpm - true)
    row = {
        "correlation": float(np.nanmean(found.likeness)),
        "shape": float(np.nanmean(found.shape)),
        "MAE": mae(found.bpm, true),
        "median": float(np.nanmedian(errors)),
        "within 3": float((errors <= 3).mean()),
        "readings": float(np.isfinite(found.given).mean()),
        "MAE of readings": mae(found.given, true),
        "none without a pulse": float(np.isnan(score(model, trials.silent).given).mean()),
    }
    if trials.real:
        misses = [abs(raw_bpm(wave_of(model, piece)) - bpm) for piece, bpm in trials.real]
        row["real within 3"] = float((np.array(misses) <= 3).mean())
    return {name: round(value, 3) for name, value in row.items()}


def _trained_on(job: AblationJob) -> str:
    """What the students learned on, as their runs say."""
    kept = (json.loads(name.read_text()) for name in job.runs.glob("*/run.json"))
    return " and ".join(sorted({run.get("device", "an unnamed machine") for run in kept}))


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-")


def _page(found: Study, job: AblationJob) -> str:
    lines = [
        "# What each part of the distillation is worth",
        "",
        f"Made by `python train/ablate.py` on {found.made_on()}, students trained on",
        f"{_trained_on(job)}.",
        "",
        f"{job.schedule.steps} steps of {job.schedule.batch} clips; {job.clips} test clips of 30 s",
        f"at difficulty 1 and {job.negatives} without a pulse; mean ± standard deviation over",
        "seeds. Errors in bpm; readings by the confidence that untrained networks get. Mistimed:",
        f"the label of each clip came early or late by up to {MISTIMED_S:g} s, as where a contact",
        "sensor's clock was not the camera's; forgiven: the loss takes each label at the shift, up",
        "to that, at which it fits best. The teacher learned from labels in time unless said",
        "otherwise. Shape is the correlation at the best such shift.",
        "",
    ]
    if job.real_bpm is not None:
        lines[-1:] = [
            f"Real: a clip of {job.real_bpm:g} bpm at speeds {SPEEDS}, pieces of 20 s.",
            "",
        ]
    cells, columns = [], []
    for name in (*ARMS, "teacher"):
        if name in found.arms:
            seeds, shown = found.lines(name)
            columns = list(shown)
            cells.append([name, str(seeds), *shown.values()])
    table = markdown_table(["learned from", "seeds", *columns], cells)
    return "\n".join([*lines, *table, *_gains(found)]) + "\n"


def _gains(found: Study) -> list[str]:
    """What arms gain over labels alone, seed by seed: both began alike and saw the same batches."""
    rows = []
    for name in ARMS:
        gains = found.gains(name, BASE)
        if name == BASE or len(gains.get("correlation", ())) < 2:
            continue
        cells = [name, str(len(gains["correlation"]))]
        for figure, sign in (("correlation", 1), ("MAE", -1)):
            better = sign * gains[figure]
            low, high = mean_interval(better)
            cells += [
                f"{better.mean():.3g} ({low:.3g} to {high:.3g})",
                f"{(better > 0).sum()} of {len(better)}",
            ]
        rows.append(cells)
    if not rows:
        return []
    gained = ("correlation gained", "by seed", "mean error lessened", "by seed")
    return [
        "",
        f"## Beside {BASE}, seed by seed",
        "",
        "Means, with their 95 % intervals, and with how many seeds there was a gain. Students of",
        "one seed begin with the same weights and see the same batches.",
        "",
        *markdown_table(["learned from", "seeds", *gained], rows),
    ]


if __name__ == "__main__":
    run_script(main, AblationJob)
