"""The mean of the weights of several runs: `python train/soup.py --runs A B --out C`.

Runs that went on from the same weights mostly end in one valley of the loss, so that the mean of
their weights is a network too: as accurate as each of them, and surer on pictures unlike those that
they learned from (Wortsman et al., 2022, arXiv 2203.05482), the more so with the weights from which
they went on among them (Wortsman et al., 2022, arXiv 2109.01903).
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from kdphys.hub import sha256
from train.card import all_learned, count_clips, recipes_of, taught_by
from train.loop import WEIGHTS, is_of_smoke, read_weights, record_in, write_weights
from train.room import written
from train.script import JobError, run_script
from train.teacher import config_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SoupJob:
    """Average the weights of runs."""

    runs: tuple[Path, ...]
    """Folders of finished runs, or of weights, of one model; one that is named twice counts
    twice."""
    out: Path = Path("runs/soup")
    """Folder to write, for train/export.py."""

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError("runs must name at least one folder")


def main(job: SoupJob) -> None:
    """Average as asked."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    configs = {config_text(run) for run in job.runs}
    if len({json.dumps(json.loads(config), sort_keys=True) for config in configs}) > 1:
        raise JobError("The runs are of models with different configurations; name runs of one.")
    if smoke := [str(run) for run in job.runs if is_of_smoke(record_in(run))]:
        raise JobError(f"{' and '.join(smoke)} learned nothing, as a smoke test: name other runs.")
    averaged = mean_of([read_weights(run) for run in job.runs])
    job.out.mkdir(parents=True, exist_ok=True)
    write_weights(averaged, job.out)
    with written(job.out / "config.json") as file:
        file.write_text(configs.pop())
    with written(job.out / "run.json") as file:
        file.write_text(json.dumps(record_of(job.runs), indent=1) + "\n")
    logger.info("wrote %s, the mean of %d runs", job.out, len(job.runs))


def mean_of(weights: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Average weights, running means and variances too.

    Args:
        weights: Of each network, by name; the same names and shapes in all.

    Returns:
        Their mean; of whole numbers, such as how many batches came, the last.
    """
    return {
        name: torch.stack([one[name] for one in weights]).mean(0)
        if last.is_floating_point()
        else last
        for name, last in weights[-1].items()
    }


def record_of(runs: Sequence[Path]) -> dict[str, object]:
    """Say of what the mean is: each run's own record, and all clips that any of them saw."""
    records = [record_in(run) for run in runs]
    seen = [learned for record in records for learned in all_learned(record)]
    return {
        "mean_of": [
            {"sha256": sha256(run / WEIGHTS), "run": record}
            for run, record in zip(runs, records, strict=True)
        ],
        "data": recipes_of(seen),
        "taught_by": taught_by(seen),
        "clips": count_clips(seen),
    }


if __name__ == "__main__":
    run_script(main, SoupJob)
