"""Temporary folders that do not stay for ever where their process is killed: the next one looks."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

LOCK = "kdphys.lock"


@contextmanager
def temporary_folder(place: Path, prefix: str) -> Iterator[Path]:
    """Make a folder of this process's own; it is removed at the end.

    Those that killed processes left are removed first: a lock in each is held by its process, and
    by nobody once that is dead.

    Args:
        place: Folder in which it is made.
        prefix: How its name begins, and the names of those that may have been left.
    """
    remove_left(place, prefix)
    with TemporaryDirectory(prefix=prefix, dir=place) as name, _lock(Path(name)):
        yield Path(name)


def remove_left(place: Path, prefix: str) -> None:
    """Remove the folders in `place` that are ours and whose process is dead."""
    for lock in place.glob(f"{prefix}*/{LOCK}"):
        with suppress(OSError):  # held, or removed by another just now
            if lock.parent.lstat().st_uid != os.getuid():
                continue
            with lock.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.parent)


@contextmanager
def _lock(folder: Path) -> Iterator[IO[str]]:
    """Hold the lock of a folder, which is held already when it appears there."""
    fresh = folder / "lock"
    with fresh.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fresh.rename(folder / LOCK)
        yield file
