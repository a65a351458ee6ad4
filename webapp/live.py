"""The live socket: pictures come from a visitor's camera, the pulse goes back.

Each visitor has a meter of their own. A lost socket may come back within `KEPT_S` and goes on with
it; nothing else is kept, and nothing is written to a disk.
"""

import asyncio
import json
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import TypeVar, TypeVarTuple
from urllib.parse import SplitResult, urlsplit

import anyio
import numpy as np
from anyio import to_thread
from fastapi import WebSocket, WebSocketDisconnect
from numpy.typing import NDArray

from kdphys import LiveMeter
from kdphys.face import FaceBox, FaceFinder
from kdphys.runtime import FPS
from kdphys.stream import compare_crops
from kdphys.view import View, follow, whole
from kdphys.vitals import Reading, Vitals
from webapp import texts
from webapp.address import who_asks
from webapp.wire import Hello, Shot, WireError, read_batch, read_text

logger = logging.getLogger(__name__)

Given = TypeVarTuple("Given")
Found = TypeVar("Found")

MOST_VISITORS = 12
MOST_OF_ONE_ADDRESS = 8  # of them, where visitors have addresses of their own
MOST_WAIT_S = 0.5  # of the latest batches for a processor: above, nobody more is let in
EVERY_S = 0.5  # between two readings
KEPT_S = 30.0  # a visit whose socket was lost is kept for this long
SILENT_S = 20.0  # a browser that says nothing for this long is gone
SEAT_S = 10.0  # and has its place among the visitors for this long
MOST_KEPT = 3  # visits that are kept, for each visitor that there may be
MOST_STRANGERS, MOST_OF_ONE = 64, 16  # sockets that have not greeted, in all and of one address
MOST_FPS, BURST_S = 90.0, 4.0  # more pictures a second, for this long, are a flood
MOST_ASKS, ASKS_S = 50, 10.0  # more requests in words, in this time, no hand makes
AHEAD_S = 4.0  # by which stamps may run ahead of the server's clock
LEAST_STEP_S = 1e-3  # between two stamps; cameras leave ten times as much
COMPARE_S, COMPARED_S = 3.0, 5.0  # between two comparisons; of crops that one needs
AT_ONCE = 2  # batches that are worked on at the same time
PORTS = {"http": 80, "https": 443}  # that an address need not name
# Close codes of RFC 6455 and its registry.
POLICY, TRY_LATER, WRONG, BROKEN = 1008, 1013, 1003, 1011


class SharedFinder(FaceFinder):
    """One face finder for all visitors, in turn: MediaPipe's graphs take one picture at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = RLock()  # `find` looks again at what it found

    def find(self, rgb: NDArray[np.uint8]) -> list[FaceBox]:
        """As `FaceFinder.find`."""
        with self._turn:
            return super().find(rgb)

    def follow(self, rgb: NDArray[np.uint8], box: FaceBox) -> FaceBox | None:
        """As `FaceFinder.follow`."""
        with self._turn:
            return super().follow(rgb, box)


@dataclass
class Lately:
    """How much came in the last seconds."""

    within_s: float
    _came: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, count: int, now_s: float) -> int:
        """Note that so many came; tell how many did lately, with these."""
        self._came.append((now_s, count))
        while self._came[0][0] < now_s - self.within_s:
            self._came.popleft()
        return sum(count for _, count in self._came)


@dataclass
class Visit:
    """What is known of one visitor."""

    hello: Hello
    meter: LiveMeter
    view: View
    who: str = ""
    """Whom it belongs to, as far as the latest socket's address tells."""
    left_s: float | None = None
    """When its socket was lost; None while it is open."""
    late: int = 0
    """Pictures that were left out: their stamps were not after those before or ran ahead of the
    clock, or they showed what had not been asked for lately."""
    turn: int = 0
    """How often a socket took it over; the latest one has it."""
    pictures: Lately = field(default_factory=lambda: Lately(BURST_S))
    asks: Lately = field(default_factory=lambda: Lately(ASKS_S))
    _asked: deque[View] = field(default_factory=lambda: deque(maxlen=16))
    _busy: RLock = field(default_factory=RLock)
    _latest_s: float = -np.inf
    _clock: tuple[float, float] | None = None
    _compared: tuple[float, dict[str, object]] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a picture was looked at."""
        return self._latest_s > -np.inf

    def take(self, shots: list[Shot]) -> dict[str, object]:
        """Look at pictures; say what came of it."""
        with self._busy:
            return self._take(shots)

    def _take(self, shots: list[Shot]) -> dict[str, object]:
        if self.view in self._asked:
            self._asked.remove(self.view)
        self._asked.append(self.view)  # the latest stand last, so what is in use is not dropped
        vitals = None
        for shot in shots:
            if not self._is_due(shot):
                self.late += 1
                continue
            self._latest_s = shot.time_s
            vitals = self.meter.push(shot.rgb, shot.time_s, shot.view) or vitals
        box = self.meter.faces.box
        self.view = follow(self.view, box, self.hello.width, self.hello.height)
        samples = self.meter.take()
        said: dict[str, object] = {
            "view": _place(self.view),
            "box": box and [round(edge, 1) for edge in (box.x0, box.y0, box.x1, box.y1)],
            "hint": self.meter.hint,
            "step": samples.first_step,
            "wave": [None if np.isnan(x) else round(float(x), 4) for x in samples.wave],
            "time_s": shots[-1].time_s,
            "late": self.late,
        }
        if vitals:
            said["vitals"] = told(vitals)
            said["network_ms"] = self.meter.network_ms
        return said

    def _is_due(self, shot: Shot) -> bool:
        """Tell whether a picture is to be looked at.

        A view of any size could bring a box of any size, and a stamp far ahead seconds of work.
        """
        now_s = time.monotonic()
        ahead_s = shot.time_s - now_s
        if self._clock is None:
            self._clock = ahead_s, now_s
        # It follows, no faster than time: a first picture that came late, or a server that slept.
        clock_s, set_s = self._clock
        clock_s = max(clock_s, min(ahead_s, clock_s + now_s - set_s))
        self._clock = clock_s, now_s
        in_order = shot.time_s >= self._latest_s + LEAST_STEP_S
        return in_order and ahead_s <= clock_s + AHEAD_S and shot.view in self._asked

    def compare(self) -> dict[str, object]:
        """Show the last seconds to student and teacher; say what each read and how long it took."""
        now_s = time.monotonic()
        if self._compared and now_s - self._compared[0] < COMPARE_S:
            return self._compared[1]
        with self._busy:
            meter = self.meter
            crops, distrust, places = meter.recent_crops(), meter.distrust, meter.recent_places()
        if len(crops) < COMPARED_S * FPS:
            return {"compared": None, "reason": texts.LIVE_TOO_SOON}
        rows = {
            name: {
                "ms": row.ms_per_frame,
                "macs": row.facts.macs_per_frame,
                "parameters": row.facts.parameters,
                **_reading(row.heart_rate),
            }
            for name, row in compare_crops(crops, distrust=distrust, places=places).items()
        }
        said: dict[str, object] = {"compared": rows, "seconds": round(len(crops) / FPS, 1)}
        self._compared = now_s, said
        return said


def told(vitals: Vitals) -> dict[str, object]:
    """Vitals as the page takes them."""
    return {
        "heart_rate": _reading(vitals.heart_rate),
        "rmssd": _reading(vitals.rmssd),
        "sdnn": _reading(vitals.sdnn),
        "respiration": _reading(vitals.respiration),
    }


def _reading(reading: Reading) -> dict[str, object]:
    value = None if reading.value is None else round(reading.value, 1)
    return {
        "value": value,
        "unit": reading.unit,
        "quality": round(reading.quality, 3),
        "reason": reading.reason,
        "is_early": reading.is_early,
    }


class RefusedError(Exception):
    """A visitor who can't be served now; says why."""


class Visits:
    """All visitors of one server.

    Args:
        most: That may be there at once.
        most_of_one: Of them, of one address that tells who it is.
    """

    def __init__(self, most: int = MOST_VISITORS, most_of_one: int = MOST_OF_ONE_ADDRESS) -> None:
        self.most, self.most_of_one = most, most_of_one
        self._all: dict[str, Visit] = {}
        self._finder: SharedFinder | None = None
        self._lock, self._loading = RLock(), RLock()
        self._turns = anyio.CapacityLimiter(AT_ONCE)
        self._waits: deque[float] = deque([0.0], maxlen=50)
        self._strangers: Counter[str] = Counter()

    def is_crowded(self, who: str) -> bool:
        """Tell whether too many sockets have not greeted yet, in all or of one address."""
        strangers, most_of_one = self._strangers, MOST_OF_ONE if who else MOST_STRANGERS
        return strangers.total() >= MOST_STRANGERS or strangers[who] >= most_of_one

    @contextmanager
    def stranger(self, who: str) -> Iterator[None]:
        """Count a socket until it has greeted."""
        self._strangers[who] += 1
        try:
            yield
        finally:
            self._strangers -= Counter([who])

    @property
    def open(self) -> int:
        """How many have an open socket."""
        with self._lock:
            return sum(visit.left_s is None for visit in self._all.values())

    @property
    def known(self) -> int:
        """How many are remembered, open or lost."""
        with self._lock:
            return len(self._all)

    def admit(self, hello: Hello, who: str = "") -> tuple[Visit, int]:
        """Let a visitor in, or back in; gives the visit and the turn that is the socket's.

        Args:
            hello: What the socket said first.
            who: Whom it belongs to, by its address.

        Raises:
            RefusedError: There are too many, in all or of one address.
        """
        meter = self.new_meter()
        with self._lock:
            self.forget()
            known = self._all.get(hello.visit)
            seated = self._seated()
            if not any(visit is known for visit in seated):  # who has a place keeps it
                self._check_room(seated, known, who)
            if known and (known.hello.width, known.hello.height) == (hello.width, hello.height):
                known.who, known.left_s = who, None
                known.turn += 1
                return known, known.turn
            if known:
                known.turn += 1  # another camera: the old socket is not to go on
            visit = Visit(hello, meter, whole(hello.width, hello.height), who)
            self._all[hello.visit] = visit
            return visit, visit.turn

    def _seated(self) -> list[Visit]:
        """Those who have a place: their sockets are open, or were lost just now."""
        now_s = time.monotonic()
        return [
            visit
            for visit in self._all.values()
            if visit.left_s is None or now_s - visit.left_s < SEAT_S
        ]

    def _check_room(self, seated: list[Visit], known: Visit | None, who: str) -> None:
        """See that one more would not slow the others down, nor leave them too few places.

        Raises:
            RefusedError: It would.
        """
        waits = len(seated) > 0 and float(np.median(self._waits)) > MOST_WAIT_S
        if len(seated) >= self.most:
            raise RefusedError(texts.LIVE_BUSY.format(visitors=len(seated)))
        if waits and known is None:
            raise RefusedError(texts.LIVE_SLOW)
        alike = sum(visit.who == who for visit in seated)
        if who and alike >= self.most_of_one:
            raise RefusedError(texts.LIVE_BUSY_OF_ONE.format(visitors=alike))

    def new_meter(self) -> LiveMeter:
        """A meter that shares the face finder; the first one loads it, which takes seconds."""
        with self._loading:
            self._finder = self._finder or SharedFinder()
        return LiveMeter(every_s=EVERY_S, finder=self._finder)

    def leave(self, visit: Visit, turn: int) -> None:
        """Note that a socket was lost, unless another one has taken its visit over."""
        with self._lock:
            if visit.turn == turn:
                visit.left_s = time.monotonic()
                if not visit.has_begun:  # no place is kept for who only knocked
                    self.end(visit)

    def end(self, visit: Visit) -> None:
        """Forget a visit: whoever it was has left for good."""
        with self._lock:
            if self._all.get(visit.hello.visit) is visit:
                del self._all[visit.hello.visit]

    def forget(self) -> None:
        """Forget visits whose socket was lost too long ago, and the oldest of too many."""
        now_s = time.monotonic()
        with self._lock:
            lost = {name: v.left_s for name, v in self._all.items() if v.left_s is not None}
            spare = len(self._all) - MOST_KEPT * self.most
            for place, (name, left_s) in enumerate(sorted(lost.items(), key=lambda one: one[1])):
                if place < spare or now_s - left_s > KEPT_S:
                    del self._all[name]

    async def work(self, task: Callable[[*Given], Found], *given: *Given) -> Found:
        """Do a piece of work in a thread, when it is its turn."""
        came_s = time.monotonic()
        async with self._turns:
            self._waits.append(time.monotonic() - came_s)
            return await to_thread.run_sync(task, *given)


async def serve_socket(socket: WebSocket, visits: Visits, root_path: str = "") -> None:
    """Serve one browser until it leaves, or says what it should not.

    Args:
        socket: Not accepted yet.
        visits: Who is being measured.
        root_path: Path below which a proxy shows the page, or its address there.
    """
    who = who_asks(socket.scope)
    if visits.is_crowded(who):
        await socket.close(TRY_LATER, texts.LIVE_CROWDED)
    elif _is_own_page(socket, root_path):
        await _serve_page(socket, visits, who)
    else:
        await socket.accept()  # or a browser would tell its page nothing
        await _close(socket, POLICY, texts.LIVE_ORIGIN)


async def _serve_page(socket: WebSocket, visits: Visits, who: str) -> None:
    """Serve a page of this server, at an address, until it leaves."""
    visit: Visit | None = None
    turn = 0
    try:
        with visits.stranger(who):
            await socket.accept()
            hello = await _first_words(socket)
        visit, turn = await visits.work(visits.admit, hello, who)
        await _say(socket, {"welcome": True, "resumed": turn > 0, "view": _place(visit.view)})
        await _serve(socket, visits, visit, turn)
    except WireError as error:
        await _close(socket, WRONG, str(error))
    except RefusedError as error:
        await _close(socket, TRY_LATER, str(error))
    except TimeoutError:
        await _close(socket, POLICY, texts.LIVE_SILENT.format(seconds=SILENT_S), again=True)
    except WebSocketDisconnect:
        logger.debug("a visitor left")
    except Exception:
        logger.exception("a live visit failed")
        await _close(socket, BROKEN, texts.LIVE_BROKEN)
    finally:
        if visit:
            visits.leave(visit, turn)
            asyncio.get_running_loop().call_later(KEPT_S + 1, visits.forget)


async def _first_words(socket: WebSocket) -> Hello:
    said = await _receive(socket)
    hello = read_text(said) if isinstance(said, str) else None
    if not isinstance(hello, Hello):
        raise WireError("The camera's size must come before its pictures.")
    return hello


async def _serve(socket: WebSocket, visits: Visits, visit: Visit, turn: int) -> None:
    """Answer what comes, for as long as the visit is this socket's."""
    comparing: asyncio.Task[None] | None = None
    while True:
        said = await _receive(socket)
        if visit.turn != turn:
            raise RefusedError(texts.LIVE_TWICE)
        asked = said if isinstance(said, bytes) else _asked(visit, said)
        if asked != "compare":
            await _answer(socket, visits, visit, asked)
        elif comparing is None or comparing.done():  # else an answer is on its way
            comparing = asyncio.create_task(_compare(socket, visits, visit))


def _asked(visit: Visit, said: str) -> str | Hello:
    """What a visitor asks for in words.

    Raises:
        WireError: It is nothing to ask for, or too much was asked.
    """
    if visit.asks.add(1, time.monotonic()) > MOST_ASKS:
        raise WireError(texts.LIVE_ASKS.format(most=MOST_ASKS, seconds=ASKS_S))
    return read_text(said)


async def _compare(socket: WebSocket, visits: Visits, visit: Visit) -> None:
    """Compare beside the pictures, which are not to wait for the teacher."""
    try:
        await _say(socket, await visits.work(visit.compare))
    except WebSocketDisconnect:
        logger.debug("a visitor left before hearing of a comparison")
    except Exception:
        logger.exception("a comparison failed")
        await _close(socket, BROKEN, texts.LIVE_BROKEN)


async def _answer(
    socket: WebSocket, visits: Visits, visit: Visit, asked: bytes | str | Hello
) -> None:
    """Answer a batch of pictures, or what was asked in words."""
    if isinstance(asked, bytes):
        shots = read_batch(asked)
        if visit.pictures.add(len(shots), time.monotonic()) > MOST_FPS * BURST_S:
            raise WireError(texts.LIVE_FLOOD.format(fps=MOST_FPS))
        await _say(socket, await visits.work(visit.take, shots))
        return
    if asked == "leave":
        visits.end(visit)
        await socket.close()
        raise WebSocketDisconnect
    raise WireError("The camera's size came twice; open another socket for another camera.")


async def _say(socket: WebSocket, words: dict[str, object]) -> None:
    """Send a message.

    Raises:
        WebSocketDisconnect: The socket is gone.
    """
    try:
        await socket.send_json(words)
    except RuntimeError as error:  # Starlette's word for it
        raise WebSocketDisconnect(1006) from error


async def _receive(socket: WebSocket) -> str | bytes:
    """Wait for the next message.

    Raises:
        TimeoutError: None came for too long.
        WebSocketDisconnect: The socket is closed.
    """
    async with asyncio.timeout(SILENT_S):
        message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    return message.get("bytes") or message.get("text") or ""


async def _close(socket: WebSocket, code: int, reason: str, *, again: bool = False) -> None:
    """Say why as a message, which has room for it, then close; `again` asks to come back."""
    try:
        await socket.send_text(json.dumps({"closed": reason, "again": again}))
        await socket.close(code, reason.encode()[:120].decode(errors="ignore"))
    except (WebSocketDisconnect, RuntimeError):
        logger.debug("a visitor left before hearing: %s", reason)


def _is_own_page(socket: WebSocket, root_path: str) -> bool:
    """Tell whether a page of this server opened the socket; programs name no page.

    It is the server's where its address is the one that was asked, as a proxy says, the first of
    several, or that at which the server was told that it is shown.
    """
    origin = socket.headers.get("origin")
    if origin is None:
        return True
    through, direct = (socket.headers.get(name, "") for name in ("x-forwarded-host", "host"))
    asked = through.partition(",")[0].strip() or direct
    try:
        page, shown = urlsplit(origin), urlsplit(root_path)
        if page.scheme not in PORTS:
            return False
        own = [urlsplit(f"{page.scheme}://{asked}")] + [shown] * (shown.scheme == page.scheme)
        return _host_and_port(page) in [_host_and_port(one) for one in own]
    except ValueError:  # it is no address
        return False


def _host_and_port(address: SplitResult) -> tuple[str | None, int | None]:
    return address.hostname, address.port or PORTS.get(address.scheme)


def _place(view: View) -> list[float]:
    return [view.x, view.y, view.side, view.pixels]
