"""What the live path delivers: `python tests/probe_live.py [--visitors N] [--seconds S] [--json]`.

With `--private` the page measures in its own browser, and the figures are those of that. `--out
FILE` keeps them as JSON, with machine, day and commit.

A real headless Chromium opens the page; its camera plays a synthetic face whose skin is modulated
by 0.5 % in green at a rate that steps from 70 to 90 bpm halfway, with the number of each picture
written into it in black and white. More visitors, if asked for, are socket clients that send the
same face in real time. Figures, all in one run:

* frames_per_s, lost_fraction: pictures that reached the network, of those that the camera played
  from the first picture of a followed face on.
* stamp_error_ms: 95th percentile of how far a picture's stamp is from the moment at which, by
  Chromium's own trace, its camera gave that picture out.
* uneven_ms: 95th percentile of how far those moments are from an even clock, which is how Chromium
  plays its film.
* snr_db: power of the modulation in the green that is sent, over what else lies at 0.7 to 4 Hz.
* lag_p95_ms: from a picture's capture to the answer to it in the page.
* trace_lag_p95_ms: how old the end of the trace is whenever the page draws it, from when its sample
  was filmed: that way, what the network looks ahead, and the wait for the next picture.
* first_correct_bpm_s: from the first picture to the first reading within 3 bpm; wrong_readings is
  how many were shown that were further off, but for the 12 s after a step.
* step_follow_s: from a step to the reading that is within 3 bpm of the new rate, and stays; the
  longest, where the film of at most two minutes begins anew and steps again.
* clients_lag_p95_ms: of the other visitors, from sending a picture to its answer.
* clients_unanswered: how many of their pictures got none within 10 s of the end.
* rss_mb, rss_growth_mb: memory of the server at the end, and its growth over the second half.
"""

import argparse
import asyncio
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import numpy as np
import psutil
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page
from scipy.ndimage import median_filter
from websockets.asyncio.client import connect

from kdphys.view import View
from tests._camera import FPS, NOTE_NUMBERS, film_rates, shown, write_y4m
from tests._films import Picture
from tests._page import FAKE_CAMERA, browser, served
from train.origin import origin
from webapp.wire import Shot, write_batch

RATES = (70.0, 90.0)
DEPTH = 0.005  # of green; red and blue follow it as blood has them
BLOOD = np.array([0.43, 1.0, 0.69])
NOISE = 1.0  # grey levels a pixel
READY_MS = 60_000
PATIENCE_S, POLL_S = 10.0, 0.05  # for the last answers
NEAR_BPM = 3.0
FOLLOWED_S = 8.0  # after a step, within which it is to be followed
GIVEN = "VideoCaptureDeviceClient::OnIncomingCapturedData"  # a picture, in Chromium's trace
TRACED = ["disabled-by-default-video_and_image_capture", "blink.user_timing"]
MARK = "kdphys-probe"
SAME_S = 5.0  # to both sides, over which pictures and what the camera gave out are told to belong
WATCH = """() => {
  const live = window.kdphysLive;
  const keep = live.averager.average.bind(live.averager);
  const draw = live.trace.draw.bind(live.trace);
  window.probe = [];
  window.probeDrawn = [];
  live.trace.draw = () => {
    draw();
    const { edge, latest } = live.trace;
    const last = Math.floor(Math.min(edge, latest));
    if (edge) window.probeDrawn.push([performance.now() / 1000, last]);
  };
  live.averager.average = (picture, view) => {
    const rgb = keep(picture, view);
    const side = view[3];
    let green = 0, count = 0;
    for (let row = Math.floor(0.3 * side); row < 0.7 * side; row++)
      for (let column = Math.floor(0.35 * side); column < 0.65 * side; column++, count++)
        green += rgb[3 * (row * side + column) + 1];
    window.probe.push([live.lastS, kdphysFilm.at(-1)[1], side, green / count]);
    return rgb;
  };
}"""

Array = NDArray[np.float64]


def make_film(seconds: float) -> list[Picture]:
    """One face whose colour swings at a rate that steps halfway."""
    face = film_rates([RATES[0]], 2.0)[0].astype(np.float32)
    high, wide = face.shape[:2]
    down, across = np.mgrid[:high, :wide]
    head = ((across - wide / 2) / (0.17 * wide)) ** 2 + ((down - 0.52 * high) / (0.3 * high)) ** 2
    skin = np.clip(1.5 - head, 0, 1)[..., None].astype(np.float32)
    frames = int(seconds * FPS)
    turns = np.cumsum(np.where(np.arange(frames) < frames / 2, *RATES)) / 60 / FPS
    noise = np.random.default_rng(0).normal(0, NOISE, (16, *face.shape)).astype(np.float32)
    film = []
    for number, turn in enumerate(turns):
        swing = DEPTH * np.sin(2 * np.pi * turn) * BLOOD
        lit = face * (1 - skin * swing.astype(np.float32)) + noise[number * 7 % 16]
        film.append(np.clip(np.rint(lit), 0, 255).astype(np.uint8))
    return film


async def play_visitor(
    address: str, film: Sequence[Picture], seconds: float, name: int
) -> list[float]:
    """One more visitor: sends the film in real time.

    Returns:
        How late each picture was answered, in ms; NaN where it was not.
    """
    high, wide = film[0].shape[:2]
    lags: list[float] = []
    async with connect(f"{address.replace('http', 'ws')}/live", max_size=None) as socket:
        greeting = {"width": wide, "height": high, "visit": f"probe-visitor-{name}"}
        await socket.send(json.dumps(greeting))
        welcome = json.loads(await socket.recv())
        if "closed" in welcome:
            raise RuntimeError(f"visitor {name} was not let in: {welcome['closed']}")
        view = View(*welcome["view"])
        began, sent = time.monotonic(), {}

        async def listen() -> None:
            nonlocal view
            async for message in socket:
                said = json.loads(message)
                view = View(*said["view"])
                lags.append(1000 * (time.monotonic() - sent.pop(round(said["time_s"], 6))))

        listening = asyncio.create_task(listen())
        for number in range(int(seconds * FPS)):
            due = began + (number + name / 9) / FPS
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            picture = film[number % len(film)]
            time_s = number / FPS
            shot = Shot(time_s, view, shown(picture, view))
            sent[round(time_s, 6)] = time.monotonic()
            await socket.send(write_batch([shot]))
        for _ in range(round(PATIENCE_S / POLL_S)):
            if not sent:
                break
            await asyncio.sleep(POLL_S)
        listening.cancel()
    return lags + [math.nan] * len(sent)


def play_visitors(address: str, film: Sequence[Picture], seconds: float, count: int) -> list[float]:
    """Play several visitors at once; gives all their lags in ms."""

    async def play() -> list[list[float]]:
        plays = (play_visitor(address, film, seconds, name) for name in range(count))
        return await asyncio.gather(*plays)

    return [lag for lags in asyncio.run(play()) for lag in lags]


def watch(page: Page, seconds: float, server: psutil.Process, *, private: bool) -> dict[str, float]:
    """Let the page run; gives the server's memory halfway and at the end in MB."""
    page.evaluate(NOTE_NUMBERS)
    page.evaluate(WATCH)
    page.locator('[data-live="private"]').set_checked(private)
    page.click('[data-live="start"]')
    page.wait_for_function("window.probe.length > 0", timeout=READY_MS)
    memory = []
    for _ in range(2):
        page.wait_for_timeout(500 * seconds)
        memory.append(server.memory_info().rss / 2**20)
    return {"rss_mb": memory[1], "rss_growth_mb": memory[1] - memory[0]}


@contextmanager
def traced(chromium: Browser, page: Page) -> Iterator[list[float]]:
    """Note when, by the page's clock, the camera gives out pictures; filled in at the end, in s."""
    chromium.start_tracing(categories=TRACED)
    marked_ms = page.evaluate(f"performance.mark('{MARK}').startTime")
    given_s: list[float] = []
    yield given_s
    events = json.loads(chromium.stop_tracing())["traceEvents"]
    marked_us = next(event["ts"] for event in events if event["name"] == MARK)
    given_us = sorted(e["ts"] for e in events if e["name"] == GIVEN and e["ph"] == "X")
    given_s += [(at - marked_us) / 1e6 + marked_ms / 1e3 for at in given_us]


def judge_stamps(stamps: Array, numbers: Array, given_s: Array) -> dict[str, float]:
    """Compare the stamps of numbered pictures, and an even clock, with when they were given out."""
    is_traced = (stamps > given_s[0]) & (stamps < given_s[-1])  # the camera goes on after it
    stamps, numbers = stamps[is_traced], numbers[is_traced]
    nearest = np.searchsorted(given_s, stamps + 0.5 / FPS) - 1
    # Chromium leaves out a picture now and then where its film begins anew.
    ahead = median_filter(nearest - numbers, 2 * round(SAME_S * FPS) + 1, mode="nearest")
    chosen = np.clip(numbers + ahead, 0, len(given_s) - 1).astype(int)
    even_s = np.polyval(np.polyfit(chosen, given_s[chosen], 1), chosen)
    return {
        "stamp_error_ms": float(np.percentile(1000 * np.abs(stamps - given_s[chosen]), 95)),
        "uneven_ms": float(np.percentile(1000 * np.abs(even_s - given_s[chosen]), 95)),
    }


def judge(page: Page, seconds: float, given_s: Array) -> dict[str, float | None]:
    """Work out the figures of what the page saw and showed."""
    seen = np.array(page.evaluate("window.probe"))
    stats = page.evaluate("kdphysLive.stats")
    followed = seen[seen[:, 2] == seen[-1, 2]]
    length = int(seconds * FPS)  # of the film, which begins anew at its end
    numbers = np.unwrap(followed[:, 1], period=length)
    played = numbers[-1] - numbers[0] + 1
    slope, start = np.polyfit(numbers, followed[:, 0], 1)
    first_s = seen[0, 0]
    figures = {
        "frames_per_s": (len(numbers) - 1) / (followed[-1, 0] - followed[0, 0]),
        "lost_fraction": 1 - (len(np.unique(numbers)) - stats["lost"]) / played,
        **judge_stamps(followed[:, 0], numbers, given_s),
        "snr_db": snr_db(followed, numbers, seconds),
        "lag_p95_ms": float(np.percentile(stats["lagsMs"], 95)),
        "trace_lag_p95_ms": trace_lag_ms(np.array(page.evaluate("window.probeDrawn")), first_s),
    }
    arrivals = [(at, bpm) for at, bpm, _ in stats["arrivals"] if bpm is not None]
    half = seconds * FPS / 2
    steps = 1 + int((played - FOLLOWED_S * FPS) / half)  # with time to follow the last one
    steps_s = [start + slope * half * step - first_s for step in range(1, steps + 1)]
    wrong, firsts = 0, []
    for step, (since_s, until_s) in enumerate(pairwise([0.0, *steps_s])):
        true = RATES[step % 2]
        read = [
            (at, abs(bpm - true) <= NEAR_BPM) for at, bpm in arrivals if since_s <= at < until_s
        ]
        off = [at for at, near in read if not near]
        wrong += sum(at > since_s + (12 if step else 0) for at in off)
        settled = max(off, default=-1.0) if step else -1.0
        firsts.append(next((at - since_s for at, near in read if near and at > settled), None))
    return figures | {
        "first_correct_bpm_s": firsts[0],
        "step_follow_s": None if None in firsts[1:] else max(firsts[1:], default=None),
        "wrong_readings": wrong,
        "first_picture": seen[0, 1],
    }


def trace_lag_ms(drawn: Array, first_s: float) -> float:
    """95th percentile of the age of the last sample that was drawn, over all drawings.

    Args:
        drawn: Of each drawing, when it was, in s, and the step of its last sample. Shape (N, 2).
        first_s: When step 0 was filmed, by the same clock.

    Returns:
        The age in ms.
    """
    return float(np.percentile(1000 * (drawn[:, 0] - first_s - drawn[:, 1] / FPS), 95))


def snr_db(seen: Array, numbers: Array, seconds: float) -> float:
    """Power of the modulation in green over the rest in the heart's band, at the first rate."""
    chosen = (numbers > 0) & (numbers < seconds * FPS / 2)
    at, green = numbers[chosen] / FPS, seen[chosen, 3] / seen[chosen, 3].mean() - 1
    grid = np.arange(at[0], at[-1], 1 / FPS)
    wave = np.interp(grid, at, green)
    wave = wave - np.polyval(np.polyfit(grid, wave, 3), grid)
    turns = 2 * np.pi * RATES[0] / 60 * grid
    basis = np.stack([np.sin(turns), np.cos(turns)], 1)
    swing = basis @ np.linalg.lstsq(basis, wave, rcond=None)[0]
    hz = np.fft.rfftfreq(len(grid), 1 / FPS)
    rest = np.fft.rfft(wave - swing) * ((hz >= 0.7) & (hz <= 4))
    noise = np.fft.irfft(rest, len(grid)).var()
    return float(10 * np.log10(swing.var() / noise))


def main(words: Sequence[str]) -> int:
    """Probe as asked."""
    parser = argparse.ArgumentParser(prog="python tests/probe_live.py")
    parser.add_argument("--visitors", type=int, default=1, help="people at once")
    parser.add_argument("--seconds", type=float, default=40.0, help="length of the film and run")
    parser.add_argument("--private", action="store_true", help="measure in the browser itself")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", type=Path, help="write the figures to this file too, as JSON")
    given = parser.parse_args(words)
    film_s = min(given.seconds, 120.0)
    with TemporaryDirectory() as folder:
        film = make_film(film_s)
        path = write_y4m(Path(folder) / "camera.y4m", film, FPS)
        with served(Path(folder) / "log.txt") as address:
            server = server_process()
            camera = (*FAKE_CAMERA, f"--use-file-for-fake-video-capture={path}")
            with browser(*camera) as chromium:
                page = chromium.new_page()
                page.goto(address)
                page.wait_for_function("window.kdphysLive", timeout=READY_MS)
                lags: list[float] = []
                others = Thread(
                    target=lambda: lags.extend(
                        play_visitors(address, film, given.seconds, given.visitors - 1)
                    )
                )
                others.start()
                with traced(chromium, page) as given_s:
                    memory = watch(page, given.seconds, server, private=given.private)
                others.join()
                found = judge(page, film_s, np.array(given_s))
    figures: dict[str, object] = {
        name: value if value is None else round(float(value), 3)
        for name, value in (found | memory).items()
    }
    figures["visitors"] = given.visitors
    figures["seconds"] = given.seconds
    if given.visitors > 1:
        answered = np.isfinite(lags)
        figures["clients_lag_p95_ms"] = round(float(np.nanpercentile(lags, 95)), 1)
        figures["clients_answered"] = int(answered.sum())
        figures["clients_unanswered"] = int((~answered).sum())
    tell(figures | {"private": given.private, **asdict(origin())}, given.out, as_json=given.json)
    return 0


def server_process() -> psutil.Process:
    """The server that this process started."""
    children = psutil.Process(os.getpid()).children()
    return next(child for child in children if "app.py" in child.cmdline())


def keep(figures: Mapping[str, object], out: Path | None) -> None:
    """Write figures to a file as JSON, if there is to be one."""
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(figures, indent=1) + "\n")


def tell(figures: Mapping[str, object], out: Path | None, *, as_json: bool) -> None:
    """Print figures, and keep them."""
    keep(figures, out)
    if as_json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        sys.stdout.write("".join(f"{name:22} {value}\n" for name, value in figures.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
