"""Doors of Gradio that stay shut: for a visitor the server fetches nothing.

Gradio would fetch whatever public web address a request names, a file of any size, and would hand
the web to whoever asks for it under the address of a file. It would also cut the recording of a
screen for anyone, start its queue anew for anyone, and show at any path that ends as that of its
tools a page with that path in its script. It would keep all that a page was shown, and write it to
the disk for whoever asks for a link to that.

Below the path at which a proxy shows the page it answers as without it, and so past all that looks
at paths; here that path is taken off first.

And what it does not understand it would answer as a failure of its own, with a page in the log.
"""

import re
from errno import ENAMETOOLONG
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

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
from webapp.folder import KEPT_S

UPLOADS = "/gradio_api/file="  # below it a server of Gradio shows what was uploaded
PIECE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
# Where something else stands in the place of a file, or the name of one that nobody uploaded.
NO_FILE = (ValidationError, InvalidPathError, AttributeError, RecursionError)
TOOLS = "/gradio_api/mcp"
TOOL_CALLS = tuple(f"{TOOLS}{end}" for end in ("", "/", "/http", "/http/"))
TOOLS_SCHEMA = f"{TOOLS}/schema"
CALL = "/gradio_api/call/"
router = APIRouter(prefix="/gradio_api", include_in_schema=False)
site = APIRouter(include_in_schema=False)


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
            gr.Error: A web address was given, or a file itself, or what is no file, or too little;
                or what the page does by itself was asked for.
        """
        if block_fn.fn is None:
            raise gr.Error(texts.NO_FUNCTION, duration=None, print_exception=False)
        if len(inputs) < len(block_fn.inputs):
            said = texts.TOO_FEW.format(needed=len(block_fn.inputs), given=len(inputs))
            raise gr.Error(said, duration=None, print_exception=False)
        if state:  # Gradio would keep what a closed page was shown for an hour
            vars(state)["STATE_TTL_WHEN_CLOSED"] = int(KEPT_S)  # of which its type says 1 or 3600
        try:
            here = traverse(inputs, _here, is_file_obj_with_meta)
            return await super().preprocess_data(block_fn, here, state, explicit_call)
        except NO_FILE as error:
            raise gr.Error(texts.NO_FILE, duration=None, print_exception=False) from error
        except gr.Error as error:
            error.print_exception = False  # it says what was wrong, as of a model that is none
            raise
        finally:
            _forget(state)

    async def postprocess_data(
        self, block_fn: BlockFunction, predictions: list[Any] | dict, state: SessionState | None
    ) -> list[Any]:
        """As Gradio does, and forget what was shown, which it would keep for links to a session."""
        try:
            return await super().postprocess_data(block_fn, predictions, state)
        finally:
            _forget(state)


class Functions(dict[int, BlockFunction]):
    """What a page can be asked, by number."""

    def __missing__(self, number: int) -> BlockFunction:
        """Say so as Gradio does where a name is unknown, which `no_function` answers."""
        raise FnIndexInferError(number)


def no_function(_request: Request, _error: Exception) -> PlainTextResponse:
    """Answer who asks for what the page can't be asked."""
    return PlainTextResponse(texts.NO_FUNCTION, 404)


def no_call(request: Request, error: Exception) -> PlainTextResponse:
    """Answer who asks for what the page can't be asked, or with other words than it takes.

    Raises:
        Exception: The error itself, where it is another one.
    """
    if f"{CALL}v2/" not in request.url.path:
        raise error
    if isinstance(error, KeyError):
        return PlainTextResponse(texts.NO_FUNCTION, 404)
    return PlainTextResponse(texts.WRONG_WORDS.format(why=error), 422)


class Doors:
    """Everything a server answers to, by one path each; of a file it shows one piece at a time.

    Args:
        app: What answers.
        root_path: Path below which a proxy shows the page, or its address there.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app = app
        self._before = unquote(urlsplit(root_path).path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say why not."""
        if scope["type"] in ("http", "websocket"):
            scope = self._below(scope)
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif _is_beside_tools(scope["path"]):
            await PlainTextResponse(texts.NO_TOOLS_HERE, 404)(scope, receive, send)
        elif not _is_one_piece(Headers(scope=scope).get("range")):
            await PlainTextResponse(texts.ONE_PIECE, 416)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _below(self, scope: Scope) -> Scope:
        """A request without the path at which a proxy shows the page, however often it is there."""
        path = scope["path"]
        while self._before and f"{path}/".startswith(f"{self._before}/"):
            path = path[len(self._before) :] or "/"
        if path == scope["path"]:
            return scope
        return {**scope, "path": path, "raw_path": quote(path).encode()}


@router.api_route("/file=http{rest:path}", methods=["GET", "HEAD"])
@router.api_route("/file/http{rest:path}", methods=["GET", "HEAD"])
def fetch_nothing() -> PlainTextResponse:
    """Refuse to show what lies elsewhere."""
    return PlainTextResponse(texts.NOT_FETCHED, 403)


@router.post("/process_recording")
def cut_nothing() -> PlainTextResponse:
    """Refuse to cut a recording of a screen."""
    return PlainTextResponse(texts.NOT_CUT, 403)


@router.get("/startup-events")
@router.get("/deep_link")
@router.post("/component_server")
@router.post("/component_server/")
@site.get("/pwa_icon/{size}")
@site.get("/monitoring/{rest:path}")
def nothing_here() -> PlainTextResponse:
    """Refuse what is Gradio's own.

    To start anew, to write down what a visitor was shown, to ask its parts, to watch its visitors.
    """
    return PlainTextResponse(texts.NOTHING_HERE, 404)


def _forget(state: SessionState | None) -> None:
    """Keep nothing that a page was shown: pictures of a face have no time limit there."""
    if state:
        state.config_values.clear()


def _is_beside_tools(path: str) -> bool:
    """Whether a path is below that of the tools and none of theirs."""
    return path.startswith(f"{TOOLS}/") and path not in (*TOOL_CALLS, TOOLS_SCHEMA)


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
