"""How a training script is run from the command line, and shares its work among processes."""

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import tyro

from kdphys.errors import KDPhysError

Job = TypeVar("Job")
Item = TypeVar("Item")
Result = TypeVar("Result")


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


def in_processes(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    doing: str,
    kept: str = "",
) -> Iterator[Result]:
    """Do the same to each item and give the results in order.

    Args:
        work: What is done; it and the items must be such as can be sent to a process.
        items: What it is done to.
        workers: Processes; one is this one.
        doing: What a process did, in words, should it be killed.
        kept: What need not be done again then, in words.

    Raises:
        JobError: A process was killed.
    """
    if workers == 1:
        yield from map(work, items)
        return
    # A forked child of a process with threads can hang for ever, so each starts afresh.
    try:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            yield from pool.map(work, items)
    except BrokenProcessPool as error:
        raise JobError(
            f"A process that {doing} was ended from outside, as where memory is short: run the "
            f"same command again, with fewer --workers{kept}."
        ) from error


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
