"""The server's own folder: all that visitors send lies in it, and nothing outlives its time there.

Nor does it fill the disk: Gradio leaves there what it could write of an upload before the disk was
full, and so keeps all others out; here an upload is broken off before, which Gradio cleans up.

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

from starlette.formparsers import MultiPartException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kdphys.leftovers import LOCK, temporary_folder
from webapp import texts
from webapp.bounds import UPLOAD

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
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder before the folder
        with suppress(OSError):  # gone meanwhile, or a folder that is not empty
            if path == folder / LOCK or path.lstat().st_ctime > latest_s:
                continue
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()


def leaving_room(app: ASGIApp, folder: Path) -> ASGIApp:
    """Break uploads to `app` off, with a sentence, while less than `SPARE_MB` are free."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        async def next_part() -> Message:
            if shutil.disk_usage(folder).free < SPARE_MB * 2**20:
                raise MultiPartException(texts.NO_ROOM)  # as if what comes could not be understood
            return await receive()

        is_upload = scope["type"] == "http" and scope["path"] == UPLOAD
        await app(scope, next_part if is_upload else receive, send)

    return answer


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
