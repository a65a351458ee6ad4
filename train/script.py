"""How a training script is run from the command line."""

from collections.abc import Callable
from typing import TypeVar

import tyro

from kdphys.errors import KDPhysError

Job = TypeVar("Job")


class JobError(KDPhysError, ValueError):
    """What a script was asked for can't be done; the text says what to change."""


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
