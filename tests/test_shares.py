"""How much is kept of one address: uploads, videos in calls of tools, and sessions."""

import asyncio
import json
import shutil
from types import SimpleNamespace

import pytest
from starlette.formparsers import MultiPartException
from starlette.types import ASGIApp

from webapp import bounds, shares, texts
from webapp.address import Unnamed
from webapp.bounds import MOST_WORDS, Bounds
from webapp.doors import TOOL_CALLS
from webapp.folder import SPARE_MB
from webapp.shares import GONE_S, Sessions

MB = 2**20
HEAD = (
    b"--x\r\nContent-Disposition: form-data; name=files; filename=face.mp4\r\n"
    b"Content-Type: video/mp4\r\n\r\n"
)
END = b"\r\n--x--\r\n"
ONE, ANOTHER, HERE = "203.0.113.7", "198.51.100.4", "127.0.0.1"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that a test sets."""
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(shares.time, "monotonic", lambda: now.s)
    return now


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A disk of which 10 MB may be filled."""
    disk = SimpleNamespace(free=(SPARE_MB + 10) * MB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk)
    return disk


@pytest.fixture
def send(tmp_path, disk):
    """What uploads so many MB from an address, and gives why it was broken off, or ""."""

    async def keep(_scope, receive, _send):
        goes_on = True
        while goes_on:
            message = await receive()
            disk.free -= len(message["body"])
            goes_on = message["more_body"]

    def make(*, are_told_apart: bool = True):
        served = Bounds(keep, tmp_path, 500, has_tools=False)
        served = served if are_told_apart else Unnamed(served)
        return lambda megabytes, address: asyncio.run(upload(served, megabytes, address))

    return make


async def upload(served: ASGIApp, megabytes: int, address: str) -> str:
    """Upload; why it was broken off, or ""."""
    pieces = [HEAD, *[bytes(MB)] * megabytes, END]
    scope = {
        "type": "http", "method": "POST", "path": bounds.UPLOAD, "client": (address, 1),
        "headers": [(b"content-type", b"multipart/form-data; boundary=x")],
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def answer(said):
        pytest.fail(f"what keeps an upload said {said}")

    try:
        await served(scope, receive, answer)
    except MultiPartException as error:
        return error.message
    return ""


def test_an_address_keeps_no_more_than_it_leaves_to_others(send, clock, disk):
    upload = send()
    assert upload(2, ONE) == ""
    assert upload(2, ONE) == ""
    assert upload(9, ONE) == texts.NO_ROOM_FOR_ONE
    kept = (SPARE_MB + 10) * MB - disk.free
    assert 4.9 * MB < kept < 6.1 * MB  # Gradio removes what came of the last one
    assert upload(1, ONE) == texts.NO_ROOM_FOR_ONE
    assert upload(2, ANOTHER) == ""
    disk.free += kept  # the server has removed them
    assert upload(1, ONE) == ""
    clock.s += GONE_S + 1
    disk.free = (SPARE_MB + 3) * MB
    assert upload(1, ONE) == ""  # what it had is forgotten


@pytest.mark.parametrize(("address", "are_told_apart"), [(HERE, True), (ONE, False)])
def test_where_all_seem_to_come_from_one_address_the_disk_alone_bounds_them(
    send, address, are_told_apart
):
    upload = send(are_told_apart=are_told_apart)
    assert upload(7, address) == ""
    assert upload(9, address) == texts.NO_ROOM


def test_a_video_in_a_call_of_a_tool_counts_as_an_upload(tmp_path, disk, clock):
    """Ten calls a second filled the disk, and nobody else could upload."""
    kept = []

    async def keep(_scope, receive, _send):
        kept.append(len((await receive())["body"]))
        disk.free -= kept[-1]

    served = Bounds(keep, tmp_path, 500, has_tools=True)

    def call(address: str, size: int = 3 * MB) -> str:
        said = []
        words = json.dumps({"video": "x" * size}).encode()
        scope = {
            "type": "http", "method": "POST", "path": TOOL_CALLS[0], "client": (address, 1),
            "headers": [],
        }  # fmt: skip

        async def receive():
            return {"type": "http.request", "body": words, "more_body": False}

        async def send(message):
            said.append(message.get("body", b"").decode())

        asyncio.run(served(scope, receive, send))
        return "".join(said)

    assert [call(ONE), call(ONE)] == ["", ""]
    assert call(ONE) == texts.NO_ROOM_FOR_ONE  # it has 6 MB, and 4 are left
    assert call(ONE, 100) == ""  # which brings no video
    assert call(ANOTHER) == ""
    assert len(kept) == 4
    clock.s += GONE_S + 1
    assert call(ONE) == ""


@pytest.mark.parametrize(("has_tools", "is_heard"), [(True, True), (False, False)])
@pytest.mark.usefixtures("disk")
def test_only_where_there_are_tools_a_call_may_bring_a_video(tmp_path, has_tools, is_heard):
    said = []

    async def answer(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    served = Bounds(answer, tmp_path, 500, has_tools=has_tools)
    words = json.dumps({"video": "x" * MOST_WORDS}).encode()
    scope = {
        "type": "http", "method": "POST", "path": TOOL_CALLS[0], "client": (ONE, 1), "headers": [],
    }  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": words, "more_body": False}

    async def send(message):
        said.append(message.get("status"))

    asyncio.run(served(scope, receive, send))
    assert said[0] == (200 if is_heard else 413)


def test_sessions_that_were_asked_in_long_ago_do_not_count(clock):
    sessions = Sessions()
    assert not sessions.is_too_many(ONE, "a", 2)
    clock.s += GONE_S / 2
    assert not sessions.is_too_many(ONE, "b", 2)
    assert sessions.is_too_many(ONE, "c", 2)
    clock.s += 0.4 * GONE_S
    assert not sessions.is_too_many(ONE, "a", 2)  # and so is used until now
    assert not sessions.is_too_many(ANOTHER, "c", 2)
    clock.s += 0.7 * GONE_S
    assert not sessions.is_too_many(ONE, "c", 2)  # in the place of b
    assert sessions.is_too_many(ONE, "b", 2)
    clock.s += GONE_S + 1
    assert not sessions.is_too_many(ONE, "b", 2)
    assert len(sessions._asked_s) == len(sessions._count) == 1
