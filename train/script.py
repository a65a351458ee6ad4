"""How a training script is run from the command line."""

from collections.abc import Callable
from typing import TypeVar

import tyro

from kdphys.errors import KDPhysError

Job = TypeVar("Job")


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
