"""Doors of Gradio that stay shut: for a visitor the server fetches nothing.

Gradio would fetch whatever public web address a request names, a file of any size, and would hand
the web to whoever asks for it under the address of a file. It would also cut the recording of a
screen for anyone.

And what it does not understand it would answer as a failure of its own, with a page in the log.
"""

import re
from errno import ENAMETOOLONG
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import gradio as gr
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from gradio.block_function import BlockFunction
from gradio.exceptions import InvalidPathError
from gradio.route_utils import FnIndexInferError
from gradio.state_holder import SessionState
from gradio_client.utils import is_file_obj_with_meta, is_http_url_like, traverse
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from webapp import texts

UPLOADS = "/gradio_api/file="  # below it a server of Gradio shows what was uploaded
PIECE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
# Where something else stands in the place of a file, or the name of one that nobody uploaded.
NO_FILE = (ValidationError, InvalidPathError, AttributeError, RecursionError)
router = APIRouter(prefix="/gradio_api", include_in_schema=False)


class Page(gr.Blocks):
    """A page for files that lie on its server."""

    async def preprocess_data(
        self,
        block_fn: BlockFunction,
        inputs: list[Any],
        state: SessionState | None,
        explicit_call: bool = False,
    ) -> list[Any]:
        """As Gradio does, after every file that a request names was seen to lie here.

        Raises:
            gr.Error: A web address was given, or a file itself, or what is no file, or too little.
        """
        if len(inputs) < len(block_fn.inputs):
            said = texts.TOO_FEW.format(needed=len(block_fn.inputs), given=len(inputs))
            raise gr.Error(said, duration=None, print_exception=False)
        try:
            here = traverse(inputs, _here, is_file_obj_with_meta)
            return await super().preprocess_data(block_fn, here, state, explicit_call)
        except NO_FILE as error:
            raise gr.Error(texts.NO_FILE, duration=None, print_exception=False) from error
        except gr.Error as error:
            error.print_exception = False  # it says what was wrong, as of a model that is none
            raise


class Functions(dict[int, BlockFunction]):
    """What a page can be asked, by number."""

    def __missing__(self, number: int) -> BlockFunction:
        """Say so as Gradio does where a name is unknown, which `no_function` answers."""
        raise FnIndexInferError(number)


def no_function(_request: Request, _error: Exception) -> PlainTextResponse:
    """Answer who asks for what the page can't be asked."""
    return PlainTextResponse(texts.NO_FUNCTION, 404)


class Pieces:
    """Everything a server answers to; of a file it shows one piece at a time."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say why not."""
        if scope["type"] == "http" and not _is_one_piece(Headers(scope=scope).get("range")):
            await PlainTextResponse(texts.ONE_PIECE, 416)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


@router.api_route("/file=http{rest:path}", methods=["GET", "HEAD"])
@router.api_route("/file/http{rest:path}", methods=["GET", "HEAD"])
def fetch_nothing() -> PlainTextResponse:
    """Refuse to show what lies elsewhere."""
    return PlainTextResponse(texts.NOT_FETCHED, 403)


@router.post("/process_recording")
def cut_nothing() -> PlainTextResponse:
    """Refuse to cut a recording of a screen."""
    return PlainTextResponse(texts.NOT_CUT, 403)


def _is_one_piece(asked: str | None) -> bool:
    """Whether the whole is asked for, or from one byte to a later one, or to the end."""
    if asked is None:
        return True
    piece = PIECE.fullmatch(asked.strip())
    if piece is None:
        return False
    first, last = piece.groups()
    return bool(first or last) and (not (first and last) or int(first) <= int(last))


def _here(file: dict[str, Any]) -> dict[str, Any]:
    """A file on this server, as its path; Gradio checks that it may be read.

    Programs may name what they uploaded by the address at which it is shown.
    """
    address = file["path"]
    if address.startswith("data:"):  # no name of a file, and not to stand in the server's log
        raise gr.Error(texts.NOT_UPLOADED, duration=None, print_exception=False)
    if not is_http_url_like(address):
        return file | {"path": _named(address)}
    _, is_upload, path = address.partition(UPLOADS)
    if not is_upload:
        raise gr.Error(texts.NOT_FETCHED, duration=None, print_exception=False)
    return file | {"path": _named(unquote(path))}


def _named(path: str) -> str:
    """A path that may be a file's; whether there is one is seen by Gradio.

    Raises:
        gr.Error: The system has no such names: it is too long, or has letters that none has.
    """
    try:
        Path(path).stat()
    except (OSError, ValueError) as error:
        if getattr(error, "errno", ENAMETOOLONG) == ENAMETOOLONG:  # all else would tell of folders
            raise gr.Error(texts.NO_FILE, duration=None, print_exception=False) from error
    return path
