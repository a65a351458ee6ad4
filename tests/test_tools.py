"""The page as a tool for other programs, by the Model Context Protocol and Gradio's own switch."""

import asyncio
import base64
import json
from pathlib import Path

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent, Tool

from kdphys.pipeline import NOT_MEDICAL
from tests._page import ROOT, changed_app, served
from webapp import texts

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

CROWDED = """
from webapp import folder
folder.SPARE_MB = 1e12  # as if the disk were nearly full
"""
EXAMPLE = ROOT / "docs" / "examples" / "synthetic_face_72bpm.mp4"


async def ask(address: str, *videos: str) -> tuple[list[Tool], list[CallToolResult]]:
    """The tools, and what one of them says of each video."""
    async with (
        streamable_http_client(f"{address}/gradio_api/mcp/") as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        tools = await session.list_tools()
        answers = [
            await session.call_tool("measure_video", {"video": video, "model": "student"})
            for video in videos
        ]
    return tools.tools, answers


def text_of(answer: CallToolResult) -> str:
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return content.text


def data_address(video: Path) -> str:
    return "data:video/mp4;base64," + base64.b64encode(video.read_bytes()).decode()


def test_a_program_finds_the_tools_and_measures_a_video(tmp_path: Path):
    with served(tmp_path / "log.txt", GRADIO_MCP_SERVER="true") as address:
        file = (EXAMPLE.name, EXAMPLE.read_bytes())
        sent = httpx.post(f"{address}/gradio_api/upload", files={"files": file})
        uploaded = f"{address}/gradio_api/file={sent.json()[0]}"  # as `gradio upload-mcp` says it
        videos = (data_address(EXAMPLE), uploaded)
        refused = {
            "https://example.com/face.mp4": texts.NOT_FETCHED,
            "/etc/passwd": texts.NO_ADDRESS.format(given="/etc/passwd"),
            "": texts.NO_ADDRESS.format(given=""),
            "data:video/mp4;base64,!!!not base64!!!": texts.BROKEN_DATA,
            "data:video/mp4;base64,": texts.BROKEN_DATA,
            "data:video/mp4;base64,AAAAA": texts.BROKEN_DATA,
            "data:video/mp4,AAAAAAAA": texts.BROKEN_DATA,
        }
        tools, (by_data, by_upload, *others) = asyncio.run(ask(address, *videos, *refused))
    assert sorted(tool.name for tool in tools) == ["compare_video", "measure_video"]
    for tool in tools:
        assert NOT_MEDICAL in (tool.description or "")
        for told in tool.inputSchema["properties"].values():
            assert told["description"].endswith(".")
            assert "url" not in str(told)
    for answer in (by_data, by_upload):
        record = json.loads(text_of(answer))
        assert record == answer.structuredContent
        assert record["note"] == NOT_MEDICAL
        assert record["heart_rate_bpm"] == pytest.approx(72, abs=3)  # as the project promises
    for answer, said in zip(others, refused.values(), strict=True):
        assert answer.isError
        assert said in text_of(answer)


def test_a_program_hears_that_there_is_no_room_for_its_video(tmp_path: Path):
    """It heard of Errno 28, or of a client error at an address that it had not asked."""
    (tmp_path / "app").mkdir()
    app = changed_app(tmp_path / "app", CROWDED)
    with served(tmp_path / "log.txt", app, GRADIO_MCP_SERVER="true") as address:
        _, (answer,) = asyncio.run(ask(address, data_address(EXAMPLE)))
    assert answer.isError
    assert text_of(answer) == texts.NO_ROOM
