"""The server's own folder: all that visitors send lies in it, and nothing outlives its time there.

Gradio deletes only what it has heard of, which a broken-off upload and a video inside a request
are not; here age alone counts. To be imported before Gradio, which reads but once where its files
go.
"""

import asyncio
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import IO

KEPT_S = 840.0  # files older than this go at the next look
LOOK_EVERY_S = 60.0
PREFIX, LOCK = "kdphys-", "kdphys.lock"


@contextmanager
def own_folder() -> Iterator[Path]:
    """Make a folder for all temporary files of this process; it is removed at the end.

    Those that killed servers left are removed first: a lock in each is held by its server, and by
    nobody once that is dead.
    """
    place = tempfile.gettempdir()
    remove_left(Path(place))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, _lock(Path(name)):
        tempfile.tempdir = os.environ["GRADIO_TEMP_DIR"] = name
        try:
            yield Path(name)
        finally:
            tempfile.tempdir = place
            del os.environ["GRADIO_TEMP_DIR"]


def remove_left(place: Path) -> None:
    """Remove the folders in `place` that are ours and whose server is dead."""
    for lock in place.glob(f"{PREFIX}*/{LOCK}"):
        if lock.parent.lstat().st_uid != os.getuid():
            continue
        with suppress(OSError), lock.open() as file:  # held, or removed by another just now
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent)


def remove_old(folder: Path, kept_s: float) -> None:
    """Remove files that were written longer ago than `kept_s`, and folders that stood empty so."""
    latest_s = time.time() - kept_s
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder before the folder
        with suppress(OSError):  # gone meanwhile, or a folder that is not empty
            if path == folder / LOCK or path.lstat().st_ctime > latest_s:
                continue
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()


@asynccontextmanager
async def looked_after(folder: Path) -> AsyncIterator[None]:
    """Remove old files again and again."""

    async def go_on() -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await asyncio.to_thread(remove_old, folder, KEPT_S)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()


@contextmanager
def _lock(folder: Path) -> Iterator[IO[str]]:
    """Hold the lock of a folder, which is held already when it appears there."""
    fresh = folder / "lock"
    with fresh.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fresh.rename(folder / LOCK)
        yield file
