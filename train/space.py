"""Lay out the page as a Hugging Face Space: `python train/space.py --out build/space`.

A Gradio Space installs requirements.txt and runs app.py; its settings are the front matter of
README.md. With `--push OWNER/NAME` the same files go to the Hub in one commit; without, nothing is
sent.
"""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd

from train.push import PushError, send
from train.script import run_script

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
WANTED = (
    "app.py", "requirements.txt", "README.md", "LICENSE", "SECURITY.md", "kdphys", "webapp",
    "weights", "docs", "CONTRIBUTING.md", "train/LOG.md",  # README.md leads to the last two
)  # fmt: skip
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.safetensors")
MARK = ".laid-out"
FRONT_MATTER = ("sdk: gradio", "sdk_version:", "python_version:", "app_file: app.py")


@dataclass(frozen=True)
class SpaceJob:
    """Lay out a Space, and push it if asked."""

    out: Path = Path("build/space")
    """Folder for its files; one that is there must be empty, or one that this command wrote."""
    push: str | None = None
    """Space on the Hub, as OWNER/NAME; made, and public, if it is not there. Needs a token."""


def main(job: SpaceJob) -> None:
    """Do as asked."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of each request
    files = lay_out(job.out)
    size_mb = sum(file.stat().st_size for file in files) / 1e6
    print(f"{job.out} holds {len(files)} files, {size_mb:.1f} MB")
    if job.push is None:
        print("Nothing was sent. Try it there with `python app.py`, or add --push OWNER/NAME.")
        return
    added = [CommitOperationAdd(str(file.relative_to(job.out)), file) for file in files]
    commit = send(added, job.push, "Lay out the page", kind="space")
    print(f"{job.push} is at commit {commit}")


def lay_out(out: Path) -> list[Path]:
    """Copy what a Space needs.

    Args:
        out: Folder for it.

    Returns:
        Its files, sorted.

    Raises:
        PushError: The folder holds something else, or README.md is no Space's.
    """
    copied = [ROOT / name for name in WANTED if (ROOT / name).is_dir()]
    if any(out.resolve().is_relative_to(folder) for folder in copied):
        raise PushError(f"{out} would be copied into itself: give a folder beside those it copies.")
    if out.exists() and any(out.iterdir()):
        if not (out / MARK).exists() or ROOT.is_relative_to(out.resolve()):
            raise PushError(f"{out} holds other files: give a folder that is empty or new.")
        shutil.rmtree(out)
    head = (ROOT / "README.md").read_text().split("---")[1]
    missing = [line for line in FRONT_MATTER if line not in head]
    if missing:
        raise PushError(f"README.md must begin with a Space's settings: it lacks {missing[0]}.")
    out.mkdir(parents=True, exist_ok=True)
    for name in WANTED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, out / name, ignore=LEFT_OUT)
        else:
            (out / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, out / name)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    (out / MARK).write_text("Written by train/space.py, which may replace all of this folder.\n")
    return files


if __name__ == "__main__":
    run_script(main, SpaceJob)
