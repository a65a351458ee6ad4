"""Pictures of the page: `python -m tests.take_screenshots OUT` measures an example in Chromium.

Writes OUT/<desktop|phone>-<light|dark>.png, the whole page each, and OUT/page.png, the picture in
the README.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from playwright.sync_api import ViewportSize

from tests._page import browser, served

SIZES = {
    "desktop": ViewportSize(width=1280, height=800),
    "phone": ViewportSize(width=390, height=844),
}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PATIENCE_MS = 180_000


def take_screenshots(out: Path) -> None:
    """Open the page in every size and scheme, measure its first example, and picture it."""
    out.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory() as folder,
        served(Path(folder) / "log.txt") as address,
        browser() as chromium,
    ):
        for name, size in SIZES.items():
            for scheme in SCHEMES:
                page = chromium.new_page(viewport=size, color_scheme=scheme)
                page.goto(address)
                page.locator("#kd-examples button").first.click()
                page.locator("#kd-bpm").wait_for(timeout=PATIENCE_MS)
                page.wait_for_timeout(1500)  # the charts fade in
                page.screenshot(path=out / f"{name}-{scheme}.png", full_page=True)
                if (name, scheme) == ("desktop", "light"):
                    page.evaluate("scrollTo(0, 190)")  # past the headline
                    page.set_viewport_size(ViewportSize(width=1280, height=960))
                    page.screenshot(path=out / "page.png")
                page.close()


if __name__ == "__main__":
    take_screenshots(Path(sys.argv[1]))
