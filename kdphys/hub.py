"""Weights: found in `weights/` beside the library or on the Hugging Face Hub, and checked.

A model is a folder with model.onnx, config.json and manifest.json; the manifest names the sha256
of the others. Nothing is unpickled, and a file that is not the one the manifest names is refused.
What comes from the Hub is pinned to a commit and kept in the Hub's own cache, so that it is fetched
once and opens without a network.
"""

import hashlib
import json
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from kdphys.errors import HubUnreachableError, WeightsError

logger = logging.getLogger(__name__)

HERE = Path(__file__).resolve().parent
INSTALLED = HERE / "weights"
SHIPPED = INSTALLED if INSTALLED.exists() else HERE.parent / "weights"
COME_WITH_KDPHYS = ("student", "teacher")
FILES = ("model.onnx", "config.json")
REINSTALL = "install the weights again"
EXPORT_AGAIN = "export it again, or name another folder"
DIGITS = 12  # of a digest, that name weights
COMMIT = re.compile("[0-9a-f]{40}")
SERVER_ERROR, TOO_MANY_REQUESTS = 500, 429


@dataclass(frozen=True)
class Weights:
    """A network's files, checked."""

    onnx: Path
    config: dict[str, object]
    """The model's configuration, as in config.json."""
    manifest: dict[str, object]
    """Digest of each file, parameters, cost, calibration, training run."""
    digest: str
    """Of the manifest, and so of all that a reading rests on: its first 12 hexadecimal digits."""


def load_weights(
    name: str | Path, revision: str | None = None, fallback: str | Path | None = None
) -> Weights:
    """Find a model's weights and check them.

    Args:
        name: "student" or "teacher" for those that come with KDPhys, a folder, or, with a
            revision, a repository on the Hub such as "owner/name".
        revision: Full hash of a commit on the Hub, so that what is loaded can't change.
        fallback: Weights taken instead, with a logged warning, where the Hub does not answer and
            its cache lacks that commit; none unless given. Damaged weights are never replaced.

    Returns:
        The checked files.

    Raises:
        HubUnreachableError: The Hub does not answer, and there is no fallback.
        WeightsError: A file is missing or is not the one that the manifest names, or the Hub has
            no such repository or commit. A damaged file is deleted from the Hub's cache.
    """
    if revision is None:
        folder = _find_folder(str(name))
        return _read(folder, REINSTALL if folder.parent == SHIPPED else EXPORT_AGAIN)
    try:
        folder = _fetch(str(name), revision)
    except HubUnreachableError as error:
        if fallback is None:
            raise
        logger.warning("%s Using the weights %s instead, which may be others.", error, fallback)
        return load_weights(fallback)
    try:
        return _read(folder, "it has been deleted, so load the model again")
    except WeightsError:
        for file in ("manifest.json", *FILES):  # a damaged manifest looks like damaged files
            _delete(folder / file)
        raise


def load_named(name: str) -> Weights:
    """Find the weights of a network by the name that it is measured with, and check them.

    Args:
        name: "student" or "teacher", a folder, or a repository on the Hub at a commit,
            "owner/name@commit".

    Returns:
        The checked files.

    Raises:
        WeightsError: As for `load_weights`.
    """
    repository, at, commit = name.partition("@")
    is_on_hub = at and not is_folder(name)
    return load_weights(repository, commit) if is_on_hub else load_weights(name)


def is_folder(name: str) -> bool:
    """Tell whether a model's name is that of a folder on this machine.

    Raises:
        WeightsError: It can't be told, as where it lies in a folder that is closed to this user.
    """
    try:
        return Path(name).is_dir()
    except OSError as error:
        raise WeightsError(
            f"{name} can't be opened ({error.strerror}): name a folder that you may read."
        ) from error


def check_against_manifest(path: Path) -> None:
    """Check a file of weights against the manifest beside it; a run has none before its export.

    Args:
        path: The file.

    Raises:
        WeightsError: It is missing, or is not the one that the manifest names.
    """
    manifest = path.parent / "manifest.json"
    if manifest.exists():
        digests = _digests(_read_json(manifest, EXPORT_AGAIN), manifest)
        _check(path, digests.get(path.name), EXPORT_AGAIN)


def sha256(path: Path) -> str:
    """Digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(folder: Path, remedy: str) -> Weights:
    """Check the files in a folder; `remedy` says what to do about one that is wrong."""
    manifest = _read_json(folder / "manifest.json", remedy)
    digests = _digests(manifest, folder / "manifest.json")
    for file in FILES:
        _check(folder / file, digests.get(file), remedy)
    config = _read_json(folder / "config.json", remedy)
    digest = sha256(folder / "manifest.json")[:DIGITS]
    return Weights(folder / "model.onnx", config, manifest, digest)


def _find_folder(name: str) -> Path:
    """The folder of weights that are on this machine."""
    if name in COME_WITH_KDPHYS:
        return SHIPPED / name
    if is_folder(name):
        return Path(name)
    if name.count("/") == 1:
        raise WeightsError(f"{name} needs a revision: give the commit that you trust.")
    raise WeightsError(
        f"There are no weights at {name}; give a folder with manifest.json, 'student', "
        "'teacher', or a repository on the Hub as owner/name."
    )


def _fetch(repository: str, revision: str) -> Path:
    """Fetch what is not in the cache of a model's files on the Hub; return their folder."""
    if not COMMIT.fullmatch(revision):
        raise WeightsError(
            f"{revision} is no full commit hash, and the branch or tag it may be can change: give "
            f"the 40 characters of the commit of {repository} that you trust."
        )
    # Imported here, as they take longer than the rest and few need them.
    from httpx2 import HTTPError
    from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError, XetDownloadError
    from huggingface_hub.file_download import get_hf_file_metadata

    files = ("manifest.json", *FILES)
    try:
        cached = [try_to_load_from_cache(repository, file, revision=revision) for file in files]
        if not all(isinstance(path, str) for path in cached):
            # Fails at once where the Hub is down; a download alone tries for half a minute.
            get_hf_file_metadata(hf_hub_url(repository, files[0], revision=revision))
        paths = [hf_hub_download(repository, file, revision=revision) for file in files]
    except (HTTPError, OSError, HFValidationError, XetDownloadError, UnicodeError) as error:
        raise _explain(error, repository, revision) from error
    folder = Path(paths[0]).parent
    if folder.name != revision:
        raise WeightsError(
            f"The Hub gave commit {folder.name} of {repository} where {revision} was asked for; "
            "check what stands between you and the Hub, such as a mirror in HF_ENDPOINT."
        )
    return folder


def _explain(error: Exception, repository: str, revision: str) -> WeightsError:
    """Say in one sentence why the Hub gave no files."""
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    match error:
        case UnicodeEncodeError(encoding="ascii"):  # as what is sent with a request must be
            return WeightsError(
                "The token for the Hub holds letters that no token has: copy it again into "
                "HF_TOKEN or `hf auth login`, or unset HF_TOKEN."
            )
        case HFValidationError() | UnicodeError():
            return WeightsError(f"{repository} is no name on the Hub; give owner/name.")
        case RepositoryNotFoundError():
            return WeightsError(
                f"The Hub has no model {repository}, or it is private: check the name, or log in "
                "with `hf auth login`."
            )
        case RevisionNotFoundError():
            return WeightsError(
                f"{repository} has no commit {revision}: copy the hash from its history on the Hub."
            )
        case RemoteEntryNotFoundError():
            return WeightsError(
                f"{repository} at {revision} lacks one of manifest.json, {', '.join(FILES)}: push "
                "it with `python train/export.py --push`."
            )
        case HfHubHTTPError(response=response) if (
            response.status_code < SERVER_ERROR and response.status_code != TOO_MANY_REQUESTS
        ):
            return WeightsError(
                f"The Hub refused to give {repository} ({response.status_code}): log in with "
                "`hf auth login`, or set HF_TOKEN to a token that may read it."
            )
        case OSError(errno=int()) if not isinstance(error, ConnectionError):
            return WeightsError(
                f"{repository} can't be kept in the Hub's cache ({error.strerror}): make room, or "
                "set HF_HOME to a folder that can be written."
            )
    return HubUnreachableError(
        f"{repository} at {revision} could not be fetched from the Hub and is not in its cache; "
        "check the connection, or use the weights that come with KDPhys."
    )


def _delete(path: Path) -> None:
    """Remove a file from the Hub's cache with all that its links lead to."""
    try:
        while path.is_symlink():
            target = path.parent / path.readlink()
            path.unlink()
            path = target
        path.unlink(missing_ok=True)
    except OSError as error:
        raise WeightsError(
            f"{path} is damaged and can't be deleted ({error.strerror}): delete it by hand, then "
            "load the model again."
        ) from error


def _read_json(path: Path, remedy: str) -> dict[str, object]:
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise _unreadable(path, error, remedy) from error
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is damaged; {remedy}.") from error
    if not isinstance(found, dict):
        raise WeightsError(f"{path} holds no record; {remedy}.")
    return found


def _digests(manifest: dict[str, object], path: Path) -> dict[str, object]:
    """What a manifest says of each file; `path` is where it lies."""
    digests = manifest.get("sha256")
    if not isinstance(digests, dict):
        raise WeightsError(f"{path} names no sha256; export the model again.")
    return digests


def _check(path: Path, wanted: object, remedy: str) -> None:
    try:
        found = sha256(path)
    except OSError as error:
        raise _unreadable(path, error, remedy) from error
    if found != wanted:
        raise WeightsError(
            f"{path} has sha256 {found[:12]}…, the manifest names {str(wanted)[:12]}…: the file is "
            f"damaged or was replaced; {remedy}."
        )


def _unreadable(path: Path, error: OSError, remedy: str) -> WeightsError:
    is_missing = isinstance(error, FileNotFoundError)
    found = "is missing" if is_missing else f"can't be read ({error.strerror})"
    return WeightsError(f"{path} {found}; {remedy}.")
