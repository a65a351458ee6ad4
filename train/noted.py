"""What was measured of weights, kept in the manifest beside them and told in their card."""

import json
from pathlib import Path

from kdphys.hub import Weights, load_weights
from train.card import METRICS, model_card
from train.room import written
from train.script import JobError

FITTED = ("calibration", "reliability")


def note(folder: Path, weights: Weights, found: dict[str, object]) -> None:
    """Write what was found into the manifest beside weights, and into their card.

    Metrics of readings with another confidence are left out.

    Args:
        folder: Where they lie.
        weights: Those that were measured.
        found: By the manifest's names.

    Raises:
        JobError: Others lie there by now.
        NoRoomError: The disk has no room; the manifest is as it was.
        WeightsError: Those that lie there by now are damaged.
    """
    now = load_weights(folder)
    if now.manifest["sha256"] != weights.manifest["sha256"]:
        raise JobError(
            f"The weights in {folder} were exported anew meanwhile, so nothing is written: run "
            "the same command again"
        )
    manifest = now.manifest | found
    if METRICS not in found and any(manifest.get(it) != now.manifest.get(it) for it in FITTED):
        manifest.pop(METRICS, None)
    with written(folder / "manifest.json") as file:
        file.write_text(json.dumps(manifest, indent=1) + "\n")
    with written(folder / "README.md") as file:
        file.write_text(model_card(manifest))
