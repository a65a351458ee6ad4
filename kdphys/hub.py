"""Weights: found in `weights/` beside the library or on the Hugging Face Hub, and checked.

A model is a folder with model.onnx, config.json and manifest.json; the manifest names the sha256
of the others. Nothing is unpickled, and a file that is not the one the manifest names is refused.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from kdphys.errors import WeightsError

SHIPPED = Path(__file__).resolve().parent.parent / "weights"
FILES = ("model.onnx", "config.json")


@dataclass(frozen=True)
class Weights:
    """A network's files, checked."""

    onnx: Path
    config: dict[str, object]
    """The model's configuration, as in config.json."""
    manifest: dict[str, object]
    """Digest of each file, parameters, cost, calibration, training run."""


def load_weights(name: str | Path, revision: str | None = None) -> Weights:
    """Find a model's weights and check them.

    Args:
        name: "student" or "teacher" for those that come with KDPhys, a folder, or a repository on
            the Hub such as "owner/name".
        revision: Commit on the Hub; needed there, so that what is loaded can't change.

    Returns:
        The checked files.

    Raises:
        WeightsError: A file is missing or is not the one that the manifest names.
    """
    folder = Path(name)
    if (SHIPPED / str(name) / "manifest.json").exists():
        folder = SHIPPED / str(name)
    elif not folder.is_dir():
        folder = _download(str(name), revision)
    manifest = _read_json(folder / "manifest.json")
    digests = manifest.get("sha256")
    if not isinstance(digests, dict):
        raise WeightsError(f"{folder / 'manifest.json'} names no sha256; export the model again.")
    for file in FILES:
        _check(folder / file, digests.get(file))
    return Weights(folder / "model.onnx", _read_json(folder / "config.json"), manifest)


def sha256(path: Path) -> str:
    """Digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(repository: str, revision: str | None) -> Path:
    """Fetch a model's files from the Hub and return their folder."""
    if repository.count("/") != 1:
        raise WeightsError(
            f"There are no weights at {repository}; give a folder with manifest.json, 'student', "
            "'teacher', or a repository on the Hub as owner/name."
        )
    if revision is None:
        raise WeightsError(f"{repository} needs a revision: give the commit that you trust.")
    # Imported here, as it takes longer than the rest and few need it.
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        paths = [
            hf_hub_download(repository, file, revision=revision)
            for file in ("manifest.json", *FILES)
        ]
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise WeightsError(
            f"{repository} at {revision} could not be fetched from the Hub; check name, revision "
            "and connection, or use the weights that come with KDPhys."
        ) from error
    return Path(paths[0]).parent


def _read_json(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} is missing or damaged; install the weights again.") from error
    if not isinstance(found, dict):
        raise WeightsError(f"{path} holds no record; install the weights again.")
    return found


def _check(path: Path, wanted: object) -> None:
    if not path.exists():
        raise WeightsError(f"{path} is missing; install the weights again.")
    found = sha256(path)
    if found != wanted:
        raise WeightsError(
            f"{path} has sha256 {found[:12]}…, the manifest names {str(wanted)[:12]}…: the file is "
            "damaged or was replaced; install the weights again."
        )
