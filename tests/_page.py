"""The real page for tests: the server as a visitor's computer would see it, and a browser."""

import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).parent.parent
START_S = 240.0  # a set-up machine takes 10 s; continuous integration may be many times slower
POLL_S = 0.2
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def served(log: Path, folder: Path = ROOT, **more: str) -> Iterator[str]:
    """Run `app.py` on a free port until the block ends; gives the page's address.

    Args:
        log: File for what it says; its folder is for temporary files.
        folder: Where app.py lies.
        more: Environment variables.
    """
    port = free_port()
    env = {**os.environ, "GRADIO_SERVER_PORT": str(port), "TMPDIR": str(log.parent), **more}
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "app.py"], cwd=folder, env=env, stdout=output, stderr=output
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_until_it_answers(server, address, log)
            yield address
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:  # it is not to run beside all later tests
                server.kill()
                raise


def changed_app(folder: Path, changes: str) -> Path:
    """Write an `app.py` that changes something before it does what the real one does.

    Args:
        folder: Where it is written; it must be there.
        changes: Lines of Python.

    Returns:
        The folder, for `served`.
    """
    start = f"import runpy, sys\nsys.path.insert(0, {str(ROOT)!r})\n{changes}\n"
    start += f"runpy.run_path({str(ROOT / 'app.py')!r}, run_name='__main__')\n"
    (folder / "app.py").write_text(start)
    return folder


FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")


@contextmanager
def browsers() -> Iterator[Callable[..., Browser]]:
    """What starts headless Chromiums of this machine, which ask nothing of the network themselves.

    Call it with more flags; it can't be opened twice at a time.
    """
    program = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    )
    started: list[Browser] = []

    def start(*more: str) -> Browser:
        chromium = playwright.chromium.launch(executable_path=program, args=[*QUIET, *more])
        started.append(chromium)
        return chromium

    with sync_playwright() as playwright:
        try:
            yield start
        finally:
            for chromium in started:
                chromium.close()


@contextmanager
def browser(*more: str) -> Iterator[Browser]:
    """A single one."""
    with browsers() as start:
        yield start(*more)


FIGURES = ("trace", "spectrum", "history", "overlay", "ratios")  # of a measured video


def wait_for_figures(page: Page, patience_ms: float) -> None:
    """Wait until every figure of a reading shows a line or a bar."""
    for name in FIGURES:
        drawn = page.locator(f"#kd-{name} .js-plotly-plot .trace")
        expect(drawn.first).to_be_attached(timeout=patience_ms)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_it_answers(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    for _ in range(int(START_S / POLL_S)):
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, TimeoutError):
            try:
                server.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
            raise RuntimeError(f"app.py ended: {log.read_text()}") from None
    raise RuntimeError(f"no answer from {address} in {START_S:.0f} s: {log.read_text()}")
