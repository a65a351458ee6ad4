"""Training scripts, run as a person runs them."""

from dataclasses import asdict
from pathlib import Path
from subprocess import CompletedProcess

from tests import _warm
from train.distill import DistillRun

ROOT = Path(__file__).parent.parent
# Two minutes on two idle cores are promised; other work may run beside the tests.
BOUND_S = 280


def finished(name: str, *words: object, room: int | None = None) -> CompletedProcess[str]:
    """Run a script to its end; no file may have more bytes than `room`, if that is given."""
    return _warm.run(ROOT / "train" / f"{name}.py", [*map(str, words)], BOUND_S, room=room)


def words_of(job: DistillRun) -> list[str]:
    """The command line that asks for a distillation."""
    folders = {"data": job.data[0], "check": job.check, "teacher": job.teacher, "out": job.out}
    plan = {f"schedule.{name}": value for name, value in asdict(job.schedule).items()}
    return [str(word) for name, value in (folders | plan).items() for word in (f"--{name}", value)]
