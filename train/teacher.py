"""Train the teacher on labels: `python train/teacher.py --data data/train --out runs/teacher`."""

import json
import logging
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from kdphys.hub import check_against_manifest
from kdphys.models.teacher import Teacher, TeacherConfig
from train.aside import aside
from train.datasets import Batch, mistimed, read_store, read_stores
from train.loop import (
    LabelWeights,
    Run,
    Schedule,
    check_size,
    check_there,
    label_loss,
    read_record,
    train,
)
from train.processes import join
from train.recordings import Dataset
from train.room import written
from train.script import JobError, run_script
from train.smoke import SMOKE_SCHEDULE, smoke_data
from train.sources import folders_of, usual_data

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config")
WARM_UP = 15  # frames at the start that do not count


@dataclass(frozen=True)
class TeacherRun:
    """Train the 3D teacher."""

    data: tuple[Path, ...] = ()
    """Folders of clips to learn from, written by train/synthetic.py or train/recordings.py; if none
    is named, data/train, or `dataset` alone."""
    check: Path | None = None
    """Clips to validate on; if none is named, data/check, or the test side of `dataset` where that
    alone is learned from."""
    out: Path = Path("runs/teacher")
    """Folder of the run; a stopped run in it is resumed."""
    start: Path | None = None
    """Folder of a finished run, or of weights, to go on from with its model's configuration."""
    most: int | None = None
    """Use no more than this many clips of each folder."""
    dataset: Dataset | None = None
    """Real data set to learn from: first cut into clips as by train/recordings.py, then learned
    from beside the folders of `data`, or alone where none is named."""
    root: Path | None = None
    """Where the data set lies."""
    cut_to: Path | None = None
    """Folder for the data set's clips, in train/ and test/; what is there is kept. data/NAME of the
    data set if none is named."""
    mistime_s: float = 0.0
    """As for train/distill.py; for studies."""
    model: TeacherConfig = field(default_factory=TeacherConfig)
    label: LabelWeights = field(default_factory=LabelWeights)
    schedule: Schedule = field(default_factory=Schedule)
    smoke: bool = False
    """A few steps on a few clips, to see that it runs to its end."""

    def __post_init__(self) -> None:
        """Check that a data set comes with its root; name the usual folder where none is named."""
        object.__setattr__(self, "data", usual_data(self))


def main(config: TeacherRun) -> None:
    """Train as configured."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    process = join()
    torch.manual_seed(config.schedule.seed)
    if config.smoke:
        config = aside(config, "out")
        with process.main_process_first():
            folder = smoke_data(config.out)
        config = replace(config, dataset=None, root=None, cut_to=None)
        config = replace(config, data=(folder,), check=folder, schedule=SMOKE_SCHEDULE)
    if config.start:
        config = replace(config, model=read_config(TeacherConfig, config.start))
    data, check = folders_of(config, process)
    config = replace(config, data=data, check=check)
    teacher = Teacher(config.model)
    store, checked = read_stores(data, config.most), read_store(check)
    check_size(config.model.size, store, checked)
    if config.mistime_s:
        store = mistimed(store, config.mistime_s)

    def loss(model: nn.Module, batch: Batch, _done: float) -> dict:
        return label_loss(model(batch.clip), batch, 0, WARM_UP, config.label)

    train(
        Run(
            model=teacher,
            loss=loss,
            store=store,
            check=checked,
            schedule=config.schedule,
            out=config.out,
            config=config,
            start=config.start,
            warm_up=WARM_UP,
            slack_s=config.label.slack_s,
        )
    )
    if process.is_main_process:
        with written(config.out / "config.json") as file:
            file.write_text(config_json(config.model))


def config_json(model: "DataclassInstance") -> str:
    """Text of a model's config.json."""
    return json.dumps(asdict(model), indent=1) + "\n"


def read_config(kind: type[Config], folder: Path) -> Config:
    """Read a model's configuration from its folder's config.json.

    Raises:
        FileNotFoundError: The folder holds none.
        JobError: It is damaged, or of another kind of model.
        WeightsError: A manifest beside it names another.
    """
    path = folder / "config.json"
    check_against_manifest(path)
    check_there(path)
    facts = read_record(path)
    lists = {name: tuple(value) for name, value in facts.items() if isinstance(value, list)}
    try:
        return kind(**{**facts, **lists})
    except TypeError as error:
        wanted = kind.__name__.removesuffix("Config").lower()
        raise JobError(
            f"{path} is of no {wanted}: name the folder of a {wanted}'s run, or of its weights."
        ) from error


def config_text(folder: Path) -> str:
    """Text of the config.json in the folder of a run, or of weights.

    Raises:
        FileNotFoundError: The folder holds none.
    """
    path = folder / "config.json"
    check_there(path)
    return path.read_text()


if __name__ == "__main__":
    run_script(main, TeacherRun)
