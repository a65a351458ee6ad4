"""How a training script is run from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import tyro

from kdphys.errors import KDPhysError

Job = TypeVar("Job")


class JobError(KDPhysError, ValueError):
    """What a script was asked for can't be done; the text says what to change."""


def read_json(path: Path, cure: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Args:
        path: The file.
        cure: What to do where it is none, in words.

    Raises:
        FileNotFoundError: It is not there.
        JobError: It is damaged, or no object.
    """
    try:
        found = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise JobError(f"{path} is damaged ({error}): {cure}") from error
    if not isinstance(found, dict):
        raise JobError(f"{path} holds no record: {cure}")
    return found


def run_script(main: Callable[[Job], None], job: type[Job]) -> None:
    """Do what the command line asks; what its user can help ends it with a sentence.

    Args:
        main: What to do.
        job: A dataclass whose fields are the options.
    """
    try:
        main(tyro.cli(job))
    except KDPhysError as error:
        raise SystemExit(str(error)) from error
    except OSError as error:
        raise SystemExit(_sentence(error)) from error


def _sentence(error: OSError) -> str:
    """What can't be opened or written; without a file or a sentence, it is not the user's doing."""
    if error.errno is None and isinstance(error, FileNotFoundError):  # raised with a sentence
        return str(error)
    if error.filename is None:
        raise error
    return f"{error.filename} can't be opened or written ({error.strerror}): give another path."
