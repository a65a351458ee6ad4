"""The page as a tool for other programs, by the Model Context Protocol and Gradio's own switch."""

import ast
import asyncio
import base64
from pathlib import Path

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent

from tests._page import ROOT, served

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

EXAMPLE = ROOT / "docs" / "examples" / "synthetic_face_72bpm.mp4"


async def ask(address: str) -> tuple[list[str], dict]:
    """Names of the tools, and what one of them says of an example."""
    async with (
        streamable_http_client(f"{address}/gradio_api/mcp/") as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        tools = await session.list_tools()
        video = "data:video/mp4;base64," + base64.b64encode(EXAMPLE.read_bytes()).decode()
        answer = await session.call_tool("measure_video", {"video": video, "model": "student"})
    assert not answer.isError, answer.content
    (content,) = answer.content
    assert isinstance(content, TextContent)
    record = ast.literal_eval(content.text)  # Gradio writes a dictionary as Python does
    return [tool.name for tool in tools.tools], record


def test_a_program_finds_the_tools_and_measures_a_video(tmp_path: Path):
    with served(tmp_path / "log.txt", GRADIO_MCP_SERVER="true") as address:
        tools, record = asyncio.run(ask(address))
    assert sorted(tools) == ["compare_video", "measure_video"]
    assert record["heart_rate_bpm"] == pytest.approx(72, abs=3)  # as the project promises
