"""Where figures come from: machine, day, commit and versions, for every file of docs/results/."""

import platform
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from kdphys.bench import machine_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "numpy", "scipy", "onnxruntime", "opencv-contrib-python", "av", "mediapipe", "torch",
    "accelerate",
)  # fmt: skip
TOLD = ("numpy", "onnxruntime", "torch")  # in a sentence
RESULTS = "docs"  # what scripts write there makes no other code


@dataclass(frozen=True)
class Origin:
    """Where figures come from."""

    machine: str
    """Model of the processor and number of cores."""
    date: str
    """Day in UTC, as 2026-01-31."""
    commit: str | None
    """Short hash, with "-dirty" where the code differs from it; None outside a checkout."""
    python: str
    versions: dict[str, str]
    """Of packages."""

    def __str__(self) -> str:
        """Say it as a part of a sentence: "made on ..."."""
        packages = ", ".join(f"{name} {self.versions[name]}" for name in TOLD)
        commit = f"commit {self.commit}" if self.commit else "no commit"
        return f"{self.machine}; {self.date}, {commit}; Python {self.python}, {packages}"


def origin() -> Origin:
    """Describe what is made here and now."""
    return Origin(
        machine=machine_name(),
        date=datetime.now(UTC).date().isoformat(),
        commit=_commit(),
        python=platform.python_version(),
        versions={name: version(name) for name in PACKAGES},
    )


def _commit() -> str | None:
    head = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", f":!{RESULTS}")
    return f"{head}-dirty" if head and changed else head


def _git(*words: str) -> str | None:
    """What git says, None where it says nothing or there is none."""
    if shutil.which("git") is None:
        return None
    done = subprocess.run(
        ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or None
