"""What several commands of one study found, kept in one JSON file.

A study trains for hours. Its rows are written as soon as they are known, by arm and seed, and a
later command adds those that are missing; rows that were found otherwise are never mixed with them.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from scipy import stats

from train.datasets import read_manifest
from train.loop import Schedule, without_folders
from train.origin import origin
from train.room import held, written
from train.script import JobError

Row = dict[str, float]

logger = logging.getLogger(__name__)


@dataclass
class Study:
    """Rows of one file, by arm and seed."""

    path: Path
    """Its file, JSON."""
    settings: Mapping[str, object]
    """What all rows have in common, as JSON has it."""
    arms: dict[str, dict[str, Row]] = field(default_factory=dict)
    """What was found, by arm, then by seed."""
    origins: dict[str, dict[str, str]] = field(default_factory=dict)
    """Where each row comes from, by arm, then by seed; older rows have none."""

    def row(self, arm: str, seed: int) -> Row | None:
        """What an arm found with a seed; None where that is not known yet."""
        return self.arms.get(arm, {}).get(str(seed))

    def keep(self, arm: str, seed: int, row: Row) -> None:
        """Add a row, and save the study."""
        self.save({arm: {str(seed): row}})

    def save(self, more: Mapping[str, Mapping[str, Row]] = MappingProxyType({})) -> None:
        """Write the file, with what another command added meanwhile.

        Rows of other settings that it holds are set aside first.

        Args:
            more: Rows to add, by arm and seed.
        """
        with held(self.path.parent):
            there = open_study(self.path, self.settings)
            for arm, rows in more.items():
                there.arms.setdefault(arm, {}).update(rows)
                there.origins.setdefault(arm, {}).update(dict.fromkeys(rows, str(origin())))
            _set_others_aside(self.path, self.settings)
            self.arms, self.origins = there.arms, there.origins
            _write(self)

    def lines(self, arm: str) -> tuple[int, dict[str, str]]:
        """How many seeds an arm has, and mean ± standard deviation of each figure over them."""
        rows = list(self.arms[arm].values())
        shown = {}
        for name in rows[0]:
            values = np.array([row[name] for row in rows])
            spread = f" ± {values.std(ddof=1):.2g}" if len(values) > 1 else ""
            shown[name] = f"{values.mean():.3g}{spread}"
        return len(rows), shown

    def made_on(self) -> str:
        """Say where the rows come from."""
        told = Counter(
            self.origins.get(arm, {}).get(seed, "a machine that was not noted")
            for arm, rows in self.arms.items()
            for seed in rows
        )
        return ", and ".join(f"{where} ({count} rows)" for where, count in told.items())

    def gains(self, arm: str, over: str) -> dict[str, np.ndarray]:
        """By how much each figure of an arm is above that of another with the same seed.

        Returns:
            By figure, one value for each seed that both have. Shape (N,).
        """
        one, other = self.arms.get(arm, {}), self.arms.get(over, {})
        seeds = sorted(one.keys() & other.keys(), key=int)
        names = next(iter(one.values()), {})
        return {
            name: np.array([one[seed][name] - other[seed][name] for seed in seeds])
            for name in names
        }


def check_arms(asked: Sequence[str], there: Collection[str]) -> None:
    """Check that arms of a study are known, before anything is drawn for them.

    Raises:
        ValueError: One is not.
    """
    if strange := [name for name in asked if name not in there]:
        raise ValueError(f"arms has no {strange[0]!r}; there are: {', '.join(there)}")


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a mean (Student 1908, doi 10.1093/biomet/6.1.1).

    Args:
        values: At least two. Shape (N,).
    """
    reach = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - reach), float(values.mean() + reach)


def open_study(path: Path, settings: Mapping[str, object]) -> Study:
    """Read a study, with rows that were set aside; it is empty where there are none.

    Raises:
        JobError: A file is damaged, or no study.
    """
    study = Study(path, json.loads(json.dumps(settings, default=str)))
    for file in (_aside(path, study.settings), path):  # where both have a row, the latter counts
        found = _read(file)
        if found and found.settings == study.settings:
            for arm, rows in found.arms.items():
                study.arms.setdefault(arm, {}).update(rows)
            for arm, told in found.origins.items():
                study.origins.setdefault(arm, {}).update(told)
    return study


def _read(path: Path) -> Study | None:
    """What one file holds; None where there is none.

    Raises:
        JobError: It is damaged, or no study.
    """
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text())
        study = Study(path, found["settings"], found["arms"], found.get("origins", {}))
        tables = (study.settings, *study.arms.values(), *study.origins.values())
        if not all(isinstance(table, dict) for table in tables):
            raise TypeError("rows are no tables")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise JobError(
            f"{path} is damaged, or no study ({error!r}): move it away, or take it from the "
            "project's history again."
        ) from error
    return study


def _write(study: Study) -> None:
    kept = {"settings": study.settings, "arms": study.arms, "origins": study.origins}
    with written(study.path) as file:
        file.write_text(json.dumps(kept, indent=1) + "\n")


def _aside(path: Path, settings: object) -> Path:
    """Where rows that were found with some settings make room for those of others."""
    return path.with_stem(f"{path.stem}-{short_digest(settings)}")


def _set_others_aside(path: Path, settings: Mapping[str, object]) -> None:
    """Keep rows that were found with other settings under a name of their own too."""
    others = _read(path)
    if others and others.settings != settings:
        aside = replace(open_study(path, others.settings), path=_aside(path, others.settings))
        _write(aside)
        logger.info("%s was found with other settings: it is in %s now", path, aside.path)


def short_digest(settings: object) -> str:
    """Name settings, so that runs made with others lie elsewhere."""
    text = json.dumps(settings, default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def common_settings(data: Path, schedule: Schedule) -> dict[str, object]:
    """What clips a study's networks learn from, and how long.

    Args:
        data: Folder of clips, with a manifest.
        schedule: The schedule of every run; the seed is each row's own.
    """
    recipe = without_folders(read_manifest(data))
    names = ("steps", "batch", "frames", "rate", "average_from", "average_every")
    plan = {name: getattr(schedule, name) for name in names}
    return {"data": recipe, "schedule": plan}
