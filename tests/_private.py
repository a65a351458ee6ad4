"""The private mode's scripts in a real Chromium, to be asked what the server is asked in Python."""

import base64
import json
import mimetypes
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, Route

from kdphys.hub import load_weights
from kdphys.runtime import Pixels
from tests._page import ROOT, browser
from webapp.private import constants

STATIC = ROOT / "webapp" / "static"
HOST = "http://private.test"
# Words both ways: Playwright looks at each number of a list by itself, which takes minutes.
ASK = r"""async (asked) => {
  const odd = { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity };
  const marked = asked.replace(/\bNaN\b|-?\bInfinity\b/g, '"$&"');
  const back = (_, value) => (typeof value === "string" && value in odd ? odd[value] : value);
  const [module, name, given] = JSON.parse(marked, back);
  const { K, learn } = await import("/live-files/private/constants.js");
  if (!K.pulse) learn(await (await fetch("/private/constants.json")).json());
  const found = await import(`/live-files/private/${module}.js`);
  const plain = (value) =>
    ArrayBuffer.isView(value) || Array.isArray(value)
      ? Array.from(value, plain)
      : value && typeof value === "object"
        ? Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]))
        : value;
  const typed = (value) =>
    Array.isArray(value) && value.every((part) => typeof part === "number" || part === null)
      ? Float64Array.from(value, (part) => part ?? NaN)
      : Array.isArray(value)
        ? value.map(typed)
        : value;
  const mark = (_, value) =>
    typeof value === "number" && !Number.isFinite(value) ? `@${value}` : (value ?? null);
  return JSON.stringify(plain(await found[name](...given.map(typed))), mark);
}"""

TELL = """(given) => {
  window.worker ??= new Worker("/live-files/private/worker.js", { type: "module" });
  const answer = new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
  if (typeof given !== "string") worker.postMessage(given);
  else worker.postMessage(Uint8Array.from(atob(given), (letter) => letter.charCodeAt(0)).buffer);
  return answer;
}"""

PLAY = """async ([crops, length, sizes]) => {
  const bytes = Uint8Array.from(atob(crops), (letter) => letter.charCodeAt(0));
  const count = bytes.length / length;
  const { load } = await import("/live-files/private/networks.js");
  window.networks ??= await load();
  const session = networks.student();
  const wave = [];
  for (let at = 0, turn = 0; at < count; turn++) {
    const size = Math.min(sizes[turn % sizes.length], count - at);
    const next = Array.from({ length: size }, (_, more) =>
      bytes.slice((at + more) * length, (at + more + 1) * length),
    );
    wave.push(...(await session.push(next)));
    at += size;
  }
  return wave;
}"""


METER = """async ([stretches, late]) => {
  const { K, learn } = await import("/live-files/private/constants.js");
  if (!K.pulse) learn(await (await fetch("/private/constants.json")).json());
  const { Meter } = await import("/live-files/private/meter.js");
  const student = () => {
    let owed = late;
    const push = async (crops) => {
      const given = Math.max(crops.length - owed, 0);
      owed -= crops.length - given;
      return Array(given).fill(1);
    };
    return { push };
  };
  const meter = new Meter(null, student);
  for (const [first, count] of stretches) {
    meter.session = student();
    meter.advanceTo(first);
    const crops = Array.from({ length: count }, () => new Uint8Array(3 * K.runtime.SIZE ** 2));
    await meter.watch({ crops, places: Array(3 * count).fill(1) });
  }
  const known = (samples) => Array.from(samples, Number.isFinite);
  return [meter.wave, meter.colours, meter.places].map(known);
}"""


PAUSE = """async (answers) => {
  let made = null;
  const { Worker } = self;
  self.Worker = class {
    constructor() {
      made = this;
    }
    postMessage() {}
    terminate() {}
  };
  const { PrivateSocket, PAUSED } = await import("/live-files/private/socket.js");
  const heard = [];
  new PrivateSocket().close(PAUSED);
  const socket = new PrivateSocket();
  socket.addEventListener("message", ({ data }) => heard.push(JSON.parse(data)));
  await new Promise((resolve) => socket.addEventListener("open", resolve));
  for (const data of answers) made.onmessage({ data });
  socket.close();
  self.Worker = Worker;
  return heard;
}"""


class Scripts:
    """Functions of the scripts, called with numbers, lists and arrays of numbers."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def ask(self, module: str, name: str, *given: Any) -> Any:
        """Call a function; arrays of numbers reach it as Float64Array, rows of them as arrays."""
        plain = [value.tolist() if isinstance(value, np.ndarray) else value for value in given]
        said: str = self._page.evaluate(ASK, json.dumps([module, name, plain]))
        return json.loads(re.sub(r'"@(NaN|-?Infinity)"', r"\1", said))

    def play(self, crops: Pixels, sizes: Sequence[int]) -> list[float]:
        """Show crops (T, S, S, 3) to the student, so many at a time; gives its wave."""
        packed = base64.b64encode(np.ascontiguousarray(crops).tobytes()).decode()
        return self._page.evaluate(PLAY, [packed, crops[0].size, list(sizes)])

    def remembered(self, stretches: Sequence[tuple[int, int]], late: int) -> list[list[bool]]:
        """What a meter has seen: of the wave, then three each of colours and places.

        Args:
            stretches: Steps at which a face came, and for how many it stayed.
            late: Steps by which the network's wave comes late.
        """
        return self._page.evaluate(METER, [[list(each) for each in stretches], late])

    def heard_after_a_pause(self, answers: Sequence[dict[str, object]]) -> list[dict[str, object]]:
        """Which of a worker's answers reach the page that paused and came back before they came."""
        return self._page.evaluate(PAUSE, list(answers))

    def tell(self, message: dict[str, object] | bytes) -> dict[str, Any]:
        """Send the worker what the page sends to a socket; gives its answer."""
        packed = base64.b64encode(message).decode() if isinstance(message, bytes) else message
        return self._page.evaluate(TELL, packed)

    def leave(self) -> None:
        """End the worker, and the visit with it."""
        self._page.evaluate("worker.terminate(); worker = null")


@contextmanager
def scripts() -> Iterator[Scripts]:
    """A page that has nothing but the private mode's scripts."""
    numbers = json.dumps(constants())

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(HOST)
        if path in ("/", "/private/constants.json"):
            route.fulfill(body="" if path == "/" else numbers, content_type="text/html")
        elif path.endswith(("student.onnx", "teacher.onnx")):
            route.fulfill(path=load_weights(Path(path).stem).onnx)
        else:
            kind = "text/javascript" if path.endswith("js") else mimetypes.guess_type(path)[0]
            route.fulfill(path=STATIC / path.removeprefix("/live-files/"), content_type=kind)

    with browser() as chromium:
        page = chromium.new_page()
        page.context.route(f"{HOST}/**", answer)  # its workers' requests too
        page.goto(f"{HOST}/")
        yield Scripts(page)
