"""Pictures of the page: `python -m tests.take_screenshots OUT` films and measures in Chromium.

Writes OUT/<desktop|phone>-<light|dark>.png, the whole page after an example was measured, the same
of the live tab as live-*.png and of the tab on distillation as distillation-*.png, and OUT/page.png
and OUT/live.png, the pictures in the README.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests._camera import FPS, film_rates, write_y4m
from tests._page import FAKE_CAMERA, browser, served, wait_for_figures
from webapp import texts

SIZES = {
    "desktop": ViewportSize(width=1280, height=800),
    "phone": ViewportSize(width=390, height=844),
}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PATIENCE_MS = 180_000


def take_screenshots(out: Path) -> None:
    """Open the page in every size and scheme, measure its first example, and picture it."""
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder, served(Path(folder) / "log.txt") as address:
        film = write_y4m(Path(folder) / "camera.y4m", film_rates([72.0], 20.0), FPS)
        camera = (*FAKE_CAMERA, f"--use-file-for-fake-video-capture={film}")
        with browser(*camera) as chromium:
            _picture_all(chromium, address, out)


def _picture_all(chromium: Browser, address: str, out: Path) -> None:
    for name, size in SIZES.items():
        for scheme in SCHEMES:
            page = chromium.new_page(viewport=size, color_scheme=scheme)
            page.set_default_timeout(PATIENCE_MS)  # for a click, until what it is to meet is there
            page.goto(address)
            _picture_live(page, out, f"{name}-{scheme}")
            page.get_by_role("tab", name=texts.TAB_VIDEO).click()
            _picture_video(page, out, f"{name}-{scheme}")
            page.close()


def _picture_live(page: Page, out: Path, name: str) -> None:
    page.click('[data-live="start"]')
    page.wait_for_selector('#kd-live-view[data-reading="yes"]', timeout=PATIENCE_MS)
    page.wait_for_timeout(8000)  # a history to look at
    page.click('[data-live="compare"]')
    expect(page.locator('[data-live="verdict"]')).to_contain_text("teacher", timeout=PATIENCE_MS)
    page.screenshot(path=out / f"live-{name}.png", full_page=True)
    if name == "desktop-light":
        page.evaluate("scrollTo(0, 240)")  # past the headline
        page.set_viewport_size(ViewportSize(width=1280, height=960))
        page.screenshot(path=out / "live.png")
        page.set_viewport_size(SIZES["desktop"])
    page.click('[data-live="stop"]')


def _picture_video(page: Page, out: Path, name: str) -> None:
    page.locator("#kd-examples button").first.click()
    page.locator("#kd-bpm").wait_for(timeout=PATIENCE_MS)
    wait_for_figures(page, PATIENCE_MS)
    page.screenshot(path=out / f"{name}.png", full_page=True, animations="disabled")  # faded in
    if name == "desktop-light":
        page.evaluate("scrollTo(0, 190)")  # past the headline
        page.set_viewport_size(ViewportSize(width=1280, height=960))
        page.screenshot(path=out / "page.png")
        page.set_viewport_size(SIZES["desktop"])
    page.get_by_role("tab", name=texts.TAB_DISTILLATION).click()
    expect(page.locator(".kd-looks img")).to_have_count(3, timeout=PATIENCE_MS)
    page.screenshot(path=out / f"distillation-{name}.png", full_page=True)


def main() -> None:
    """Take them as the command line asks."""
    asked = argparse.ArgumentParser(prog="python -m tests.take_screenshots", description=__doc__)
    asked.add_argument("out", metavar="OUT", type=Path, help="folder for the pictures")
    take_screenshots(asked.parse_args().out)


if __name__ == "__main__":
    main()
