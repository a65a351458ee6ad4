"""A reverse proxy that shows a server below a path of its own, as web hosts do."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import httpx2
import uvicorn
import websockets
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse

OWN = ("host", "content-length", "transfer-encoding", "connection", "content-encoding")
START_S = 30.0


@contextmanager
def proxied(target: str, prefix: str, port: int) -> Iterator[str]:
    """Pass what is asked for below `prefix` on to a server, which doesn't see the prefix.

    Args:
        target: Address of the server, "http://host:port".
        prefix: Path that the proxy takes away, "/like/this".
        port: Free port to listen on.

    Yields:
        The address of the server's first page behind the proxy.
    """
    server = uvicorn.Server(uvicorn.Config(_proxy(target, prefix), port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        began_s = time.monotonic()
        while not server.started:
            if not thread.is_alive() or time.monotonic() - began_s > START_S:
                raise RuntimeError("the proxy did not start")
            thread.join(0.05)
        yield f"http://127.0.0.1:{port}{prefix}/"
    finally:
        server.should_exit = True
        thread.join(20)


def _proxy(target: str, prefix: str) -> FastAPI:
    app = FastAPI()
    client = httpx2.AsyncClient(timeout=60)

    @app.websocket(prefix + "/{path:path}")
    async def _(browser: WebSocket, path: str) -> None:
        await browser.accept()
        address = f"{target.replace('http', 'ws')}/{path}"
        forwarded = {"x-forwarded-host": browser.headers["host"]}
        async with websockets.connect(
            address,
            origin=websockets.Origin(browser.headers["origin"]),
            additional_headers=forwarded,
            max_size=None,
        ) as server:
            await _pass_on(browser, server)

    @app.api_route(prefix + "/{path:path}", methods=["GET", "POST"])
    async def _(request: Request, path: str) -> StreamingResponse:
        headers = [(name, value) for name, value in request.headers.items() if name not in OWN]
        headers.append(("x-forwarded-host", request.headers["host"]))
        asked = client.build_request(
            request.method,
            f"{target}/{path}?{request.url.query}",
            headers=headers,
            content=await request.body(),
        )
        answer = await client.send(asked, stream=True)

        async def body() -> AsyncIterator[bytes]:
            try:
                async for piece in answer.aiter_bytes():
                    yield piece
            finally:
                await answer.aclose()

        kept = {name: value for name, value in answer.headers.items() if name not in OWN}
        return StreamingResponse(body(), answer.status_code, kept)

    return app


async def _pass_on(browser: WebSocket, server: websockets.ClientConnection) -> None:
    """Carry messages both ways until one side leaves."""

    async def up() -> None:
        while True:
            message = await browser.receive()
            if message["type"] == "websocket.disconnect":
                return
            await server.send(message.get("bytes") or message["text"])

    async def down() -> None:
        async for message in server:
            if isinstance(message, bytes):
                await browser.send_bytes(message)
            else:
                await browser.send_text(message)

    tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
    _, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    with suppress(WebSocketDisconnect, websockets.ConnectionClosed):
        await asyncio.gather(*tasks, return_exceptions=True)
