"""Whether anyone still waits for an answer: who has closed the page is not measured on.

Gradio tells each visitor and each program how far their request has come over a stream of their
own, takes what waits in its queue out of it when that stream is closed, and lets what has begun run
to its end, though the answer then goes nowhere. For who calls a tool by the Model Context Protocol
it asks itself, with the headers of the call, and keeps that stream open though the caller left.
"""

from collections.abc import Callable
from secrets import token_hex
from threading import Event

from gradio.context import LocalContext
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from webapp.bounds import TOOLS

CALLS = tuple(f"{TOOLS}{end}" for end in ("", "/", "/http", "/http/"))
NAME = "x-kdphys-call"  # header with the name of a call
STAYS = "kdphys.stays"  # where a request has what tells whether its caller is still there
ENDED = Event()
"""Whether the server has stopped: then nobody is told anything."""


def awaited() -> Callable[[], bool]:
    """Make what tells whether the answer to the request of this moment can still be told."""
    page, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    if page is None or event_id is None:  # no request: Python itself asks
        return lambda: True
    event = page._queue.event_ids_to_events.get(event_id)
    if event is None:
        return lambda: True
    stays = event.request.scope.get(STAYS, lambda: True)
    return lambda: event.alive and stays() and not ENDED.is_set()


class Calls:
    """Everything a server answers to, of which each call of a tool ends when its caller leaves.

    What the server asks itself for a caller comes from the caller's address.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._open: dict[str, tuple[str, int] | None] = {}  # where callers are, by their calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name a call, until its answer was sent or its line is closed, or know a named one."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = MutableHeaders(scope=scope)
        if scope["path"] not in CALLS:
            name = headers.get(NAME)
            if name is not None:
                scope[STAYS] = lambda: name in self._open
                scope["client"] = self._open.get(name, scope["client"])
            await self.app(scope, receive, send)
            return
        headers[NAME] = name = token_hex()
        self._open[name] = scope["client"]
        try:
            await self.app(scope, receive, send)
        finally:
            del self._open[name]
