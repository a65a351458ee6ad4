"""Put finished weights, or other files, on the Hugging Face Hub, in one commit.

The token is the one that huggingface_hub finds: HF_TOKEN, or what `hf auth login` keeps.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

from httpx2 import HTTPError
from huggingface_hub import CommitOperationAdd, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from kdphys.errors import KDPhysError
from kdphys.hub import sha256
from train.card import model_card

SIGNED = ("model.safetensors", "model.onnx", "config.json")  # by their sha256 in the manifest
REFUSALS = (401, 403, 404)


class PushError(KDPhysError):
    """Weights can't be published as they are, or the Hub does not take them."""


def push(folder: Path, repository: str) -> str:
    """Publish weights; nothing is sent before all of them have been checked.

    Args:
        folder: As `train/export.py` writes it.
        repository: On the Hub, as owner/name; made, and public, if it is not there.

    Returns:
        Hash of the commit.

    Raises:
        PushError: A file is missing or is not the one that the manifest names, there is no token,
            or the Hub refuses or does not answer.
    """
    manifest = check(folder)
    card = model_card(manifest, repository)
    files = [CommitOperationAdd(name, folder / name) for name in (*SIGNED, "manifest.json")]
    files.append(CommitOperationAdd("README.md", card.encode()))
    return send(files, repository, f"Publish {manifest.get('name', 'weights')}")


def send(
    files: Sequence[CommitOperationAdd],
    repository: str,
    message: str,
    kind: Literal["model", "space"] = "model",
) -> str:
    """Put files on the Hub in one commit.

    Args:
        files: What the commit adds or replaces.
        repository: As owner/name; made, and public, if it is not there.
        message: Of the commit.
        kind: What the repository is.

    Returns:
        Hash of the commit.

    Raises:
        PushError: There is no token, or the Hub refuses or does not answer.
    """
    if get_token() is None:
        raise PushError(
            "There is no token for the Hub: set HF_TOKEN to one that may write, or run "
            "`hf auth login`."
        )
    api, sdk = HfApi(), "gradio" if kind == "space" else None
    try:
        api.create_repo(repository, repo_type=kind, space_sdk=sdk, exist_ok=True)
        commit = api.create_commit(repository, files, commit_message=message, repo_type=kind)
    except (HTTPError, OSError, ValueError) as error:
        raise _explain(error, repository) from error
    return commit.oid


def check(folder: Path) -> dict[str, object]:
    """Read the manifest of weights that are whole.

    Raises:
        PushError: A file is missing or is not the one that the manifest names.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        digests = cast(dict[str, str], manifest["sha256"])
        found = {name: sha256(folder / name) for name in SIGNED}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PushError(
            f"{folder} holds no finished weights ({error}); export them with "
            "`python train/export.py`."
        ) from error
    wrong = [name for name in SIGNED if found[name] != digests.get(name)]
    if wrong:
        raise PushError(
            f"Nothing was pushed: {' and '.join(wrong)} in {folder} differ from what manifest.json "
            "names by sha256; export the model again."
        )
    return manifest


def _explain(error: Exception, repository: str) -> PushError:
    """Say in one sentence why the Hub did not take it."""
    match error:
        case HFValidationError():
            return PushError(f"{repository} is no name for the Hub; give owner/name.")
        case HfHubHTTPError(response=response) if response.status_code in REFUSALS:
            return PushError(
                f"The Hub does not let this token write to {repository} ({response.status_code}): "
                "check the name, and give a token with write access by HF_TOKEN or "
                "`hf auth login`."
            )
        case HfHubHTTPError(response=response):
            return PushError(
                f"The Hub did not take {repository} ({response.status_code}, "
                f"{error.server_message or response.reason_phrase}); try again later."
            )
        case HTTPError() | OSError():
            return PushError(
                f"The Hub could not be reached, so {repository} was not pushed; check the "
                "connection and try again."
            )
    return PushError(f"The Hub did not take {repository}: {' '.join(str(error).split())}")
