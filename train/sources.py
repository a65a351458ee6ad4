"""What a training run learns from: folders of clips, a real data set, or both.

`python train/teacher.py --dataset ubfc --root DIR` cuts the data set into clips as
train/recordings.py does, and learns from its train side alone; with `--data data/train` beside it,
from both.
"""

from pathlib import Path
from typing import Protocol

from accelerate import PartialState

from train.datasets import FPS, MANIFEST, frames_in, read_manifest
from train.loop import Schedule
from train.recordings import LEAST_CLIP_S, Dataset, RecordingsJob, holds_clips, write_clips
from train.script import JobError

DATA = (Path("data/train"),)
CHECK = Path("data/check")


class Learning(Protocol):
    """What a training run says of where its clips come from."""

    @property
    def data(self) -> tuple[Path, ...]:
        """Folders of clips to learn from."""
        ...

    @property
    def check(self) -> Path | None:
        """Clips to validate on, if they are named."""
        ...

    @property
    def dataset(self) -> Dataset | None:
        """Real data set to learn from."""
        ...

    @property
    def root(self) -> Path | None:
        """Where it lies."""
        ...

    @property
    def cut_to(self) -> Path | None:
        """Folder for its clips, if one is named."""
        ...

    @property
    def schedule(self) -> Schedule:
        """How long the clips must be at least."""
        ...


def usual_data(run: Learning) -> tuple[Path, ...]:
    """Folders of clips to learn from: those named, else the usual one where no data set is named.

    Raises:
        ValueError: A data set comes without its root, or the reverse.
    """
    if run.dataset is None and (run.root or run.cut_to):
        raise ValueError("root and cut_to belong to a data set: name it as dataset")
    if run.dataset and run.root is None:
        raise ValueError(f"dataset={run.dataset} needs root, the folder in which it lies")
    return run.data or (() if run.dataset else DATA)


def folders_of(run: Learning, process: PartialState) -> tuple[tuple[Path, ...], Path]:
    """Folders to learn from and to validate on; a data set is first cut into clips.

    What is already cut is kept. Of several processes one does it.

    Args:
        run: What to learn from.
        process: This one among those that were started together.

    Raises:
        FileNotFoundError: The data set, or a folder of clips, is not there.
        JobError: The data set gives no clip, or its folder holds clips of another command.
        NoRoomError: The disk has no room for a clip.
    """
    if run.dataset is None:
        return run.data, run.check or CHECK
    out = run.cut_to or Path("data") / run.dataset
    train, test = out / "train", out / "test"
    check = run.check or (CHECK if run.data else test)
    beside = [folder for folder in run.data if folder.parent != out]
    lengths_s = [frames_in(folder) / FPS for folder in beside]
    if check.parent != out:
        frames_in(check)  # is told to be missing before the data set is cut, not after
    seconds = lengths_s[0] if beside else _cut_s(out, run.schedule)
    if seconds < LEAST_CLIP_S:
        raise JobError(
            f"{beside[0] if beside else out} holds clips of {seconds:g} s, and recordings are cut "
            f"into clips of at least {LEAST_CLIP_S:g} s, to hold a heart rate; name another folder"
        )
    with process.main_process_first():
        if process.is_main_process:
            write_clips(RecordingsJob(run.dataset, run.root, out, seconds=seconds))
    for folder in {train, check} & {train, test}:
        if not holds_clips(folder):
            raise JobError(
                f"{folder} holds no clip: no recording of its people gave one, and the lines above "
                "say why; add recordings, or name other clips with --data and --check"
            )
    return (run.data if train in run.data else (*run.data, train)), check


def _cut_s(out: Path, schedule: Schedule) -> float:
    """Seconds of a data set's clips where nothing is beside them: as long as those that are cut."""
    usual = max(RecordingsJob.seconds, schedule.frames / FPS)
    if not (out / "train" / MANIFEST).exists():
        return usual
    there = read_manifest(out / "train").get("config", {}).get("seconds")
    return float(there) if isinstance(there, int | float) else usual
