"""Where smoke tests write: never where finished work lies."""

from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

ASIDE = Path("runs/smoke")

Job = TypeVar("Job")


def aside(job: Job, *names: str) -> Job:
    """Put a job's folders under `ASIDE`, where they are the usual ones.

    Args:
        job: A dataclass.
        names: Its fields that name folders to write to.

    Returns:
        The same job; folders that were chosen are as they were.
    """
    usual = {field.name: field.default for field in fields(job)}  # pyright: ignore[reportArgumentType]
    moved = {
        name: ASIDE / getattr(job, name) for name in names if getattr(job, name) == usual[name]
    }
    return replace(job, **moved)  # pyright: ignore[reportArgumentType]
