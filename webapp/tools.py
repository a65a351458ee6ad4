"""The page as a tool for other programs, by the Model Context Protocol, as far as Gradio leaves it.

Gradio writes a video that comes inside a call to the disk before anyone else hears of the call, and
would answer with the error of a disk that is full. It takes what is no Base64 for an empty video,
promises to fetch web addresses, and would answer with a record as Python writes it. And it asks the
server itself, at whatever address the first call of all names as its host.
"""

import json
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from webapp import texts
from webapp.folder import has_room

if TYPE_CHECKING:
    from gradio.mcp import GradioMCPServer
    from mcp import types

MOST_SAID = 40  # letters of what came that are said again


def set_up(page: gr.Blocks, folder: Path) -> None:
    """Let tools say what they take, refuse what they can't with a sentence, and answer in JSON.

    Args:
        page: What was mounted; nothing is changed where it offers no tools.
        folder: Where videos inside calls would be kept; they are refused while it has no room.
    """
    if page.mcp_server_obj is None:
        return
    from mcp import types  # not installed where no tools are offered

    _take_addresses(page.mcp_server_obj)
    _give_json(page.mcp_server_obj)
    answers = page.mcp_server_obj.mcp_server.request_handlers
    answer = answers[types.CallToolRequest]

    async def answer_in_room(call: "types.CallToolRequest") -> "types.ServerResult":
        if _brings_a_file(call.params.arguments or {}) and not has_room(folder):
            said = types.TextContent(type="text", text=texts.NO_ROOM)
            return types.ServerResult(types.CallToolResult(content=[said], isError=True))
        return _with_record(await answer(call))

    answers[types.CallToolRequest] = answer_in_room


def _take_addresses(server: "GradioMCPServer") -> None:
    """Say of videos what `handlers` says of them, and look at what comes in place of one."""
    simplified, converted = server.simplify_filedata_schema, server.convert_strings_to_filedata

    def simplify(schema: dict[str, Any]) -> tuple[dict[str, Any], list[list[str | int]]]:
        simple, places = simplified(schema)
        for name, *_ in places:
            simple["properties"][name].pop("format")  # an address on the web
        return simple, places

    def convert(given: dict[str, Any], places: list[list[str | int]]) -> object:
        for name, *_ in places:
            _check_address(given.get(str(name)))
        return converted(given, places)

    server.simplify_filedata_schema = simplify
    server.convert_strings_to_filedata = convert  # type: ignore[assignment]


def _check_address(given: object) -> None:
    """Make sure that a video's address can be one; what it names is seen later.

    Raises:
        ValueError: It can't; Gradio tells it to who calls.
    """
    if not isinstance(given, str) or given.startswith(("http://", "https://")):
        return
    if not given.startswith("data:"):
        raise ValueError(texts.NO_ADDRESS.format(given=given[:MOST_SAID]))
    head, _, content = given.rpartition(",")
    try:
        is_whole = head.endswith(";base64") and b64decode("".join(content.split()), validate=True)
    except ValueError:
        is_whole = False
    if not is_whole:
        raise ValueError(texts.BROKEN_DATA)


def _give_json(server: "GradioMCPServer") -> None:
    """Write what a tool found as JSON."""
    from mcp import types

    def write(found: list[object], _address: str) -> "list[types.TextContent]":
        return [types.TextContent(type="text", text=json.dumps(record)) for record in found]

    server.postprocess_output_data = write  # type: ignore[assignment]


def _with_record(answer: "types.ServerResult") -> "types.ServerResult":
    """An answer with what it says in text as a record too."""
    from mcp import types

    match answer.root:
        case types.CallToolResult(isError=False, content=[types.TextContent(text=text)]) as said:
            said.structuredContent = json.loads(text)
    return answer


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
