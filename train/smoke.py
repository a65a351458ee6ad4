"""A data set and a schedule small enough to run a training script to its end in a minute."""

from pathlib import Path

from train.loop import Schedule
from train.synthetic import SyntheticConfig, SyntheticJob, write_dataset

# One thread, as two of so little work wait for each other where the cores are busy.
SMOKE_SCHEDULE = Schedule(steps=4, batch=2, frames=96, save_every=2, check_every=4, threads=1)


def smoke_data(out: Path) -> Path:
    """Write four short clips under `out` and return their folder."""
    folder = out / "data"
    write_dataset(SyntheticJob(out=folder, clips=4, workers=1, config=SyntheticConfig(seconds=4.0)))
    return folder
