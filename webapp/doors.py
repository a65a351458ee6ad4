"""Doors of Gradio that stay shut: for a visitor the server fetches nothing.

Gradio would fetch whatever public web address a request names, a file of any size, and would hand
the web to whoever asks for it under the address of a file. It would also cut the recording of a
screen for anyone.
"""

from typing import Any
from urllib.parse import unquote

import gradio as gr
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from gradio.block_function import BlockFunction
from gradio.state_holder import SessionState
from gradio_client.utils import is_file_obj_with_meta, is_http_url_like, traverse

from webapp import texts

UPLOADS = "/gradio_api/file="  # below it a server of Gradio shows what was uploaded
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
            gr.Error: A web address was given, or a file itself.
        """
        here = traverse(inputs, _here, is_file_obj_with_meta)
        return await super().preprocess_data(block_fn, here, state, explicit_call)


@router.api_route("/file=http{rest:path}", methods=["GET", "HEAD"])
@router.api_route("/file/http{rest:path}", methods=["GET", "HEAD"])
def fetch_nothing() -> PlainTextResponse:
    """Refuse to show what lies elsewhere."""
    return PlainTextResponse(texts.NOT_FETCHED, 403)


@router.post("/process_recording")
def cut_nothing() -> PlainTextResponse:
    """Refuse to cut a recording of a screen."""
    return PlainTextResponse(texts.NOT_CUT, 403)


def _here(file: dict[str, Any]) -> dict[str, Any]:
    """A file on this server, as its path; Gradio checks that it may be read.

    Programs may name what they uploaded by the address at which it is shown.
    """
    address = file["path"]
    if address.startswith("data:"):  # no name of a file, and not to stand in the server's log
        raise gr.Error(texts.NOT_UPLOADED, duration=None, print_exception=False)
    if not is_http_url_like(address):
        return file
    _, is_upload, path = address.partition(UPLOADS)
    if not is_upload:
        raise gr.Error(texts.NOT_FETCHED, duration=None, print_exception=False)
    return file | {"path": unquote(path)}
