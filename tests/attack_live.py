"""What a visitor notices while others attack: `python tests/attack_live.py [--out FILE]`.

A real server is asked by one well-behaved visitor, who sends a face in real time, while another
process does in turn:

* quiet, and again at the end: nothing.
* flood: four sockets greet, and send pictures as fast as they can.
* nonsense: eight sockets send what is no message, and come back.
* knocks: a thousand sockets greet and go, one after the other, over and over.
* silence: three hundred sockets are opened, and say nothing.

For each it prints the visitor's lag in ms (median, 95th percentile, largest), how many pictures
were answered, and after it the server's memory in MB, open files and threads.
"""

import argparse
import asyncio
import json
import multiprocessing
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from kdphys.view import whole
from tests._page import served
from tests.probe_live import keep, make_film, play_visitor, server_process
from train.origin import origin
from webapp.wire import Shot, write_batch

FLOODS, BABBLERS, KNOCKS, SILENT = 4, 8, 1000, 300
TOGETHER = 3  # pictures of a flood in one message
WIDE, HIGH = 320, 240
GONE = (OSError, TimeoutError, WebSocketException)
REST_S = 0.05  # before coming back

Attack = Callable[[str], Awaitable[None]]


async def keep_quiet(_address: str) -> None:
    """Do nothing."""
    await asyncio.sleep(3600)


async def flood(address: str) -> None:
    """Send pictures as fast as they go out."""
    view = whole(WIDE, HIGH)
    crop = np.full((view.pixels, view.pixels, 3), 128, np.uint8)

    async def pour(name: int) -> None:
        socket = await _greeted(address, f"flood-{name:04}")
        time_s = 0.0
        while True:
            shots = [Shot(time_s + step / 30, view, crop) for step in range(TOGETHER)]
            time_s += TOGETHER / 30
            await socket.send(write_batch(shots))

    await _over_and_over(pour, FLOODS)


async def talk_nonsense(address: str) -> None:
    """Send what is no message."""
    rng = np.random.default_rng(0)

    async def babble(name: int) -> None:
        socket = await _greeted(address, f"nonsense-{name}")
        await socket.send(rng.bytes(int(rng.integers(1, 100_000))) if name % 2 else "[" * 1000)
        await socket.recv()
        await socket.close()

    await _over_and_over(babble, BABBLERS)


async def knock(address: str) -> None:
    """Greet and go."""
    while True:
        for number in range(KNOCKS):
            with suppress(*GONE):
                await (await _greeted(address, f"knock-{number:04}")).close()


async def say_nothing(address: str) -> None:
    """Open many sockets, and say nothing on any."""

    async def stare(_name: int) -> None:
        async with connect(_live(address)) as socket:
            await socket.wait_closed()

    await _over_and_over(stare, SILENT)


ATTACKS: dict[str, Attack] = {
    "quiet": keep_quiet,
    "flood": flood,
    "nonsense": talk_nonsense,
    "knocks": knock,
    "silence": say_nothing,
    "quiet again": keep_quiet,
}


def attack(name: str, address: str) -> None:
    """Attack until killed; the target of a process."""
    asyncio.run(ATTACKS[name](address))  # type: ignore[arg-type]


def measure(name: str, address: str, seconds: float, server: psutil.Process) -> dict[str, object]:
    """What a visitor notices of one attack, and what it leaves of the server."""
    film = make_film(min(seconds, 20.0))
    enemy = multiprocessing.get_context("spawn").Process(target=attack, args=(name, address))
    enemy.start()
    try:
        lags = asyncio.run(play_visitor(address, film, seconds, list(ATTACKS).index(name)))
    finally:
        enemy.kill()
        enemy.join()
    return {
        "attack": name,
        "pictures": len(lags),
        "lag_ms": [round(float(np.percentile(lags, share)), 1) for share in (50, 95, 100)],
        "rss_mb": round(server.memory_info().rss / 2**20, 1),
        "files": server.num_fds(),
        "threads": server.num_threads(),
    }


def main(words: Sequence[str]) -> int:
    """Attack in turn."""
    parser = argparse.ArgumentParser(prog="python tests/attack_live.py")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each attack")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    given = parser.parse_args(words)
    rows = []
    with TemporaryDirectory() as folder, served(Path(folder) / "log.txt") as address:
        server = server_process()
        for name in ATTACKS:
            rows.append(measure(name, address, given.seconds, server))
            sys.stdout.write(json.dumps(rows[-1]) + "\n")
            sys.stdout.flush()
    found = {**asdict(origin()), "seconds": given.seconds, "attacks": rows}
    keep(found, given.out)
    return 0


def _live(address: str) -> str:
    return f"{address.replace('http', 'ws')}/live"


async def _greeted(address: str, name: str) -> ClientConnection:
    """A socket that the server has let in."""
    socket = await connect(_live(address), open_timeout=5)
    await socket.send(json.dumps({"width": WIDE, "height": HIGH, "visit": name}))
    await asyncio.wait_for(socket.recv(), 5)
    return socket


async def _over_and_over(act: Callable[[int], Awaitable[None]], count: int) -> None:
    """Do something in several places, and again when the server ends it."""

    async def again(name: int) -> None:
        while True:
            with suppress(*GONE):
                await act(name)
            await asyncio.sleep(REST_S)

    await asyncio.gather(*(again(name) for name in range(count)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
