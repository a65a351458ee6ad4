"""Connections: what is announced and does not come is not waited for, and keeps nobody out."""

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from websockets.sync.client import connect

from webapp import patience
from webapp.patience import Connection, allow_more_files, most_connections

PATIENCE_S = 0.4
LONG_S = 30.0  # for what comes at once on a machine that does nothing else
HEAD = b"POST /echo HTTP/1.1\r\nHost: kdphys\r\nContent-Length: 8\r\n\r\n"
ASKED = b"GET / HTTP/1.1\r\nHost: kdphys\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nHost: kdphys\r\n\r\n"


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Say what was sent; below /slow and over a socket, later than anyone would be waited for."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(3 * PATIENCE_S)
        await send({"type": "websocket.send", "text": "later"})
        await send({"type": "websocket.close"})
        return
    body, goes_on = b"", True
    while goes_on:
        message = await receive()
        body += message.get("body", b"")
        goes_on = message.get("more_body", False)
    length = (b"content-length", str(len(body) + 2).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    if scope["path"] == "/slow":
        await asyncio.sleep(3 * PATIENCE_S)
    await send({"type": "http.response.body", "body": b"ok" + body})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server without patience."""
    monkeypatch.setattr(patience, "PATIENCE_S", PATIENCE_S)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(answer, http=Connection, lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(LONG_S)


def line(port: int) -> socket.socket:
    """A connection, on which nothing was said."""
    return socket.create_connection(("127.0.0.1", port), LONG_S)


def heard(connection: socket.socket) -> bytes:
    """What comes until the connection ends, or until an answer has come."""
    said = b""
    while not said.endswith((b"ok", b"okabcdefgh")):
        try:
            more = connection.recv(1000)
        except ConnectionResetError:
            return said
        if not more:
            return said
        said += more
    return said


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HTTP/1.1\r\nHost:", HEAD, HEAD + b"abc", ASKED + HEAD + b"abc"],
    ids=["silence", "half a head", "no body", "half a body", "half of the second"],
)
def test_what_is_announced_and_does_not_come_ends_the_connection(port, sent):
    with line(port) as connection:
        connection.sendall(sent)
        while connection.recv(1000):
            pass


def test_a_head_gets_no_time_for_each_of_its_letters(port):
    began_s = time.monotonic()
    with line(port) as connection:
        connection.settimeout(PATIENCE_S / 4)
        for letter in b"GET /" + b"x" * 1000:
            try:
                connection.sendall(bytes([letter]))
                if not connection.recv(1000):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            pytest.fail("it was heard to its end")
        assert time.monotonic() - began_s >= PATIENCE_S


@pytest.mark.slow
def test_a_slow_body_is_heard_to_its_end(port, monkeypatch):
    """It takes longer than the server waits for a piece, of which one may be late by 1.2 s."""
    monkeypatch.setattr(patience, "PATIENCE_S", 2.0)
    with line(port) as connection:
        connection.sendall(HEAD)
        for piece in (b"ab", b"cd", b"ef", b"gh"):
            threading.Event().wait(0.8)
            connection.sendall(piece)
        assert heard(connection).endswith(b"okabcdefgh")


@pytest.mark.slow
def test_an_answer_may_take_its_time(port):
    with line(port) as connection:
        connection.sendall(SLOW)
        assert heard(connection).endswith(b"ok")
        connection.sendall(ASKED)  # over the same connection
        assert heard(connection).endswith(b"ok")
    with connect(f"ws://127.0.0.1:{port}/") as live:
        assert live.recv(LONG_S) == "later"


def test_who_comes_gets_the_place_of_whoever_was_waited_for_longest(port, monkeypatch):
    monkeypatch.setattr(patience, "PATIENCE_S", LONG_S)
    monkeypatch.setattr(patience, "MOST_CONNECTIONS", 5)
    with ExitStack() as open_ones:
        first = open_ones.enter_context(line(port))
        first.sendall(SLOW)
        assert first.recv(9) == b"HTTP/1.1 "  # it was heard, so nobody waits for it
        silent = [open_ones.enter_context(line(port)) for _ in range(40)]
        for _ in range(3):
            with line(port) as asking:
                asking.sendall(ASKED)
                assert heard(asking).endswith(b"ok")
        assert [heard(one) for one in silent[:30]] == [b""] * 30
        assert heard(first).endswith(b"ok")


def test_a_server_may_open_as_many_files_as_the_system_lets_it():
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = patience.MOST_FILES if most == resource.RLIM_INFINITY else most
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (400, most))
        assert most_connections() == 200
        allow_more_files()
        found = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert found == (min(patience.MOST_FILES, allowed), most)
        assert most_connections() == min(patience.MOST_CONNECTIONS, found[0] // 2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    allow_more_files()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(files, patience.MOST_FILES)
