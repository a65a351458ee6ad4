"""How long a server waits for a request, and for whom it stops waiting first.

uvicorn waits for ever for what a connection was opened for, and keeps as many that say nothing as
the system allows; then it hears nobody. Here a request's head comes soon, and each piece of its
body soon after the one before, or the connection ends; and who comes when all places are taken gets
that of whoever was waited for longest.
"""

import asyncio
import math
import resource

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE_S = 20.0
MOST_CONNECTIONS = 2_000  # or half as many as files may be open
MOST_FILES = 4_096
ANNOUNCED = 128  # connections that the system accepts before the server has looked at them
NO_LIMIT = resource.RLIM_INFINITY
AWAITED = (h11.IDLE, h11.SEND_BODY)  # what comes next is the visitor's to say


class Connection(H11Protocol):
    """A connection that ends when what it is to bring does not come."""

    silent_since_s: float = math.inf
    """Since when something is waited for, on the loop's clock; infinite while nothing is."""
    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request; where all places are taken, someone leaves."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > most_connections():
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        self._stop_waiting()

    def handle_events(self) -> None:
        """Do what came, and wait for what is to come."""
        before = self.conn.their_state
        super().handle_events()
        now = self.conn.their_state
        if before is now is h11.IDLE and self.silent_since_s < math.inf:
            return  # a head that has not ended gets no time for each of its letters
        self._stop_waiting()
        if now in AWAITED and self in self.connections:  # a live socket has left them
            self._wait()

    def _wait(self) -> None:
        self.silent_since_s = self.loop.time()
        self._end = self.loop.call_later(PATIENCE_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._end:
            self._end.cancel()
        self.silent_since_s = math.inf

    def _give_up(self) -> None:
        if self.flow.read_paused:  # it is the server that is slow
            self._wait()
        else:
            self._leave()

    def _leave(self) -> None:
        self._stop_waiting()  # so that nobody else takes this one's place too
        self.transport.abort()

    def _make_room(self) -> None:
        """End the connection that was waited for longest; this one, where all others are heard."""
        all_of_them = (one for one in self.connections if isinstance(one, Connection))
        min(all_of_them, key=lambda one: one.silent_since_s)._leave()


def most_connections() -> int:
    """How many may be open at once, so that files can be opened too."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_CONNECTIONS if files == NO_LIMIT else min(MOST_CONNECTIONS, files // 2)


def allow_more_files() -> None:
    """Let this process open as many files as it may, up to `MOST_FILES`."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == NO_LIMIT else min(MOST_FILES, most)
    if files != NO_LIMIT and files < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
