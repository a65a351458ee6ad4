"""Training scripts, run as a person runs them."""

import resource
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

from train.distill import DistillRun

ROOT = Path(__file__).parent.parent
# Two minutes on two idle cores are promised; other work may run beside the tests.
BOUND_S = 280


def finished(
    name: str, *words: object, room: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script to its end; no file may have more bytes than `room`, if that is given."""
    bounded = room is not None
    limits = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (room, room)) if bounded else None
    return subprocess.run(
        [sys.executable, f"train/{name}.py", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=BOUND_S,
        preexec_fn=limits,
    )


def words_of(job: DistillRun) -> list[str]:
    """The command line that asks for a distillation."""
    folders = {"data": job.data[0], "check": job.check, "teacher": job.teacher, "out": job.out}
    plan = {f"schedule.{name}": value for name, value in asdict(job.schedule).items()}
    return [str(word) for name, value in (folders | plan).items() for word in (f"--{name}", value)]
