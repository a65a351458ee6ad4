"""The server's own folder: all that visitors send lies in it, and nothing outlives its time there.

Gradio deletes only what it has heard of, which a broken-off upload and a video inside a request
are not; here age alone counts. To be imported before Gradio, which reads but once where its files
go.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from kdphys.leftovers import LOCK, temporary_folder

KEPT_S = 840.0  # files older than this go at the next look
LOOK_EVERY_S = 60.0
SPARE_MB = 200.0  # that uploads leave free
PREFIX = "kdphys-"


@contextmanager
def own_folder() -> Iterator[Path]:
    """Make a folder for all temporary files of this process; it is removed at the end."""
    place = tempfile.gettempdir()
    with temporary_folder(Path(place), PREFIX) as folder:
        tempfile.tempdir = os.environ["GRADIO_TEMP_DIR"] = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = place
            del os.environ["GRADIO_TEMP_DIR"]


def remove_old(folder: Path, kept_s: float) -> None:
    """Remove files that were written longer ago than `kept_s`, and folders that stood empty so."""
    latest_s = time.time() - kept_s
    for place, folders, files in os.walk(folder, topdown=False):  # without what is gone meanwhile
        for name in (*files, *folders):
            path = Path(place, name)
            with suppress(OSError):  # gone meanwhile, or a folder that is not empty
                if path == folder / LOCK or path.lstat().st_ctime > latest_s:
                    continue
                if name in folders and not path.is_symlink():
                    path.rmdir()
                else:
                    path.unlink()


def room(folder: Path) -> float:
    """Bytes that may be written to a folder, so that its disk keeps `SPARE_MB` free; or below 0."""
    return shutil.disk_usage(folder).free - SPARE_MB * 2**20


def has_room(folder: Path) -> bool:
    """Whether more may be written to a folder."""
    return room(folder) >= 0


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
