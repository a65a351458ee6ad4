"""The page as a tool for other programs, by the Model Context Protocol, as far as Gradio leaves it.

Gradio writes a video that comes inside a call to the disk before anyone else hears of the call, and
would answer with the error of a disk that is full. It then asks the server itself, at whatever
address the first call of all names as its host.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from webapp import texts
from webapp.folder import has_room

if TYPE_CHECKING:
    from mcp import types


def mind_the_room(page: gr.Blocks, folder: Path) -> None:
    """Refuse videos inside calls with a sentence while the disk has no room for them.

    Args:
        page: What was mounted; nothing is changed where it offers no tools.
        folder: Where such videos would be kept.
    """
    if page.mcp_server_obj is None:
        return
    from mcp import types  # not installed where no tools are offered

    answers = page.mcp_server_obj.mcp_server.request_handlers
    answer = answers[types.CallToolRequest]

    async def answer_in_room(call: "types.CallToolRequest") -> "types.ServerResult":
        if _brings_a_file(call.params.arguments or {}) and not has_room(folder):
            said = types.TextContent(type="text", text=texts.NO_ROOM)
            return types.ServerResult(types.CallToolResult(content=[said], isError=True))
        return await answer(call)

    answers[types.CallToolRequest] = answer_in_room


def ask_here(page: gr.Blocks, host: str, port: int) -> None:
    """Ask this server for who calls a tool, wherever a call says that it is.

    Args:
        page: What was mounted; nothing is changed where it offers no tools.
        host: Address of this machine at which the server listens.
        port: Its port.
    """
    if page.mcp_server_obj is None:
        return
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    page.mcp_server_obj._local_url = f"http://{f'[{near}]' if ':' in near else near}:{port}/"


def _brings_a_file(given: dict[str, Any]) -> bool:
    return any(isinstance(value, str) and value.startswith("data:") for value in given.values())
