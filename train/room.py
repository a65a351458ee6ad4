"""Where a disk has no room: what was begun is removed, and a sentence says what to do."""

import errno
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from kdphys.errors import KDPhysError
from train.script import JobError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What torch and safetensors say where others raise an OSError.
SIGNS = ("inline_container", "iostream error", *(f"(os error {number})" for number in FULL))


class NoRoomError(KDPhysError):
    """The disk has no room for what was to be written."""


@contextmanager
def held(folder: Path, busy: str | None = None) -> Iterator[None]:
    """Hold a folder against other commands that ask for it; it is free again when this one ends.

    On a file system that can't lock, nothing is held.

    Args:
        folder: It is made if it is not there.
        busy: What to say where another command holds it; None waits until it is free.

    Raises:
        JobError: Another command holds it, and this one is not to wait.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except OSError as error:
            if busy and isinstance(error, BlockingIOError):
                raise JobError(busy) from error
        yield
    finally:
        os.close(place)


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Say in a sentence that there is no room for what the block writes.

    Args:
        path: What it writes, for the sentence.

    Raises:
        NoRoomError: There is no room for it.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not _is_for_want_of_room(error):
            raise
        raise NoRoomError(
            f"There is no room for {path}: make some on its disk, then run the same command again. "
            "What was there is whole, and a run goes on from it."
        ) from error


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Give a file beside `path` to write to, which then takes its place: whole or not at all.

    Raises:
        NoRoomError: There is no room for it.
    """
    unfinished = path.with_name(f"{path.name}.part")
    with room_for(path):
        try:
            yield unfinished
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz as `np.savez` does, which complains once more where the disk is full.

    Raises:
        NoRoomError: There is no room for it; what was there is as it was.
    """
    with written(path) as file, ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as part:
                np.lib.format.write_array(part, array)


def _is_for_want_of_room(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in FULL
    return any(sign in str(error) for sign in SIGNS)
