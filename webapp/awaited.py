"""Whether anyone still waits for an answer: who has closed the page is not measured on.

Gradio tells each visitor and each program how far their request has come over a stream of their
own, takes what waits in its queue out of it when that stream is closed, and lets what has begun run
to its end, though the answer then goes nowhere; so too where that stream was never opened. For who
calls a tool by the Model Context Protocol it asks itself, with the headers of the call, and keeps
that stream open though the caller left.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex
from threading import Event
from time import monotonic
from urllib.parse import parse_qs

from gradio.context import LocalContext
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from webapp.doors import CALL, TOOL_CALLS

NAME = "x-kdphys-call"  # header with the name of a call
STAYS = "kdphys.stays"  # where a request has what tells whether its caller is still there
HEARD = "kdphys.heard"  # where it has what tells whether anyone listens to a session or an event
TOLD = "/gradio_api/queue/data"
LISTENS_WITHIN_S = 15.0  # after asking; a program does so at once, a person by hand soon
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
    scope = event.request.scope
    stays, heard = (scope.get(name, lambda *_: True) for name in (STAYS, HEARD))
    listens_by = event.enqueue_time + LISTENS_WITHIN_S

    def is_awaited() -> bool:
        listens = monotonic() < listens_by or heard(event.session_hash, event_id)
        return event.alive and listens and stays() and not ENDED.is_set()

    return is_awaited


class Calls:
    """Everything a server answers to, which knows who listens to what it was asked.

    Each call of a tool ends when its caller leaves. What the server asks itself for a caller comes
    from the caller's address.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._open: dict[str, tuple[str, int] | None] = {}  # where callers are, by their calls
        self._listening: Counter[str] = Counter()  # streams that are open, by session or event

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name a call, until its answer was sent or its line is closed, or know a named one."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = MutableHeaders(scope=scope)
        if scope["path"] not in TOOL_CALLS:
            name = headers.get(NAME)
            if name is not None:
                scope[STAYS] = lambda: name in self._open
                scope["client"] = self._open.get(name, scope["client"])
            scope[HEARD] = self._heard
            with self._counted(_listens_to(scope)):
                await self.app(scope, receive, send)
            return
        headers[NAME] = name = token_hex()
        self._open[name] = scope["client"]
        try:
            await self.app(scope, receive, send)
        finally:
            del self._open[name]

    def _heard(self, *names: str) -> bool:
        """Whether anyone listens to one of these."""
        return any(name in self._listening for name in names)

    @contextmanager
    def _counted(self, name: str | None) -> Iterator[None]:
        """Someone listens meanwhile, if there is a name to listen to."""
        if name is None:
            yield
            return
        self._listening[name] += 1
        try:
            yield
        finally:
            self._listening[name] -= 1
            if not self._listening[name]:
                del self._listening[name]


def _listens_to(scope: Scope) -> str | None:
    """Session or event whose progress a request asks for."""
    if scope.get("method") != "GET":
        return None
    if scope["path"] == TOLD:
        return parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [None])[-1]
    if scope["path"].startswith(CALL):
        return scope["path"].rpartition("/")[2]
    return None
