"""The page in a real Chromium, from an example to the reading, and what can go wrong on the way."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize, expect

from tests._films import easy_config, record, write_video
from tests._page import browser, served, wait_for_figures
from webapp import texts

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser"),  # one server and one browser for all
]

DESKTOP, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=390, height=844)
Scheme = Literal["light", "dark"]
READY_MS = 60_000
MEASURED_MS = 180_000  # the film takes 3 s on a quiet machine
BPM = 72.0  # of `film`


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("server") / "log.txt") as where:
        yield where


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as each:
        yield each


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic face, filmed for this test, whose pulse is `BPM`."""
    recording = record(7, easy_config(seconds=14.0))
    path = tmp_path_factory.mktemp("film") / "face.mp4"
    return write_video(path, recording.pictures, recording.time_s)


@pytest.fixture(autouse=True)
def nobody_stays(chromium: Browser) -> Iterator[None]:
    """Pages that are left open go on drawing."""
    yield
    for context in chromium.contexts:
        context.close()


class Visit:
    """A page that is open, and everything it said or asked for that it should not have."""

    def __init__(
        self, chromium: Browser, address: str, size: ViewportSize, scheme: Scheme = "light"
    ) -> None:
        self.address = address
        self.complaints: list[str] = []
        self.page: Page = chromium.new_page(viewport=size, color_scheme=scheme)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._watch)
        self.page.goto(address)
        self.page.get_by_role("tab", name=texts.TAB_VIDEO).click(timeout=READY_MS)
        self.page.wait_for_selector("#kd-measure", timeout=READY_MS)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} {message.location['url']}")

    def _watch(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.complaints.append(request.url)

    def upload(self, video: Path) -> None:
        self.page.set_input_files("#kd-video input[type=file]", video)
        expect(self.page.locator(".kd-preview")).to_be_attached(timeout=READY_MS)

    def measure(self, video: Path) -> str:
        self.upload(video)
        self.page.click("#kd-measure")
        return self.reading()

    def reading(self) -> str:
        return self.page.locator("#kd-bpm").inner_text(timeout=MEASURED_MS)

    def is_wider_than_the_screen(self) -> bool:
        return self.page.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_an_uploaded_video_is_read_drawn_and_offered_for_download(
    chromium, address, film, tmp_path
):
    visit = Visit(chromium, address, DESKTOP)
    page = visit.page
    # The film's rate is known exactly; the project promises 3 bpm.
    assert float(visit.measure(film)) == pytest.approx(BPM, abs=3)
    assert "confidence" in page.locator("#kd-hero .kd-confidence").inner_text()
    wait_for_figures(page, READY_MS)
    assert page.locator(".kd-strip img").count() == 8
    assert page.locator(".kd-table tbody tr").count() == 5
    expect(page.locator("#kd-get-png")).to_be_enabled()
    with page.expect_download(timeout=READY_MS) as download:
        page.click("#kd-get-json")
    record = json.loads(download.value.path().read_text())
    assert f"{record['student']['heart_rate_bpm']:.1f}" == visit.reading()
    page.screenshot(path=tmp_path / "desktop.png", full_page=True)
    assert not visit.is_wider_than_the_screen()
    page.get_by_role("tab", name=texts.TAB_DISTILLATION).click()
    expect(page.locator(".kd-looks img")).to_have_count(3, timeout=READY_MS)
    page.screenshot(path=tmp_path / "distillation.png", full_page=True)
    assert visit.complaints == []


def test_an_example_is_measured_at_a_click_and_read_by_another_model_at_the_next(
    chromium, address, tmp_path
):
    visit = Visit(chromium, address, DESKTOP)
    example = visit.page.get_by_role("button", name=re.compile(r", \d+ bpm$")).first
    named = float(example.inner_text().split()[-2])
    example.click()
    assert float(visit.reading()) == pytest.approx(named, abs=3)  # as the project promises
    visit.page.get_by_text(texts.MODEL_NAMES["teacher"], exact=True).first.click()
    expect(visit.page.locator(".kd-by")).to_contain_text(
        texts.MODEL_NOTES["teacher"], timeout=READY_MS
    )
    visit.page.screenshot(path=tmp_path / "example.png", full_page=True)
    assert visit.complaints == []


def test_a_file_that_is_no_video_gives_a_toast_with_a_sentence(chromium, address, tmp_path):
    visit = Visit(chromium, address, DESKTOP)
    file = tmp_path / "notes.mp4"
    file.write_text("this is no video")
    visit.upload(file)
    visit.page.click("#kd-measure")
    toast = visit.page.locator(".toast-body")
    expect(toast).to_contain_text("notes.mp4", timeout=MEASURED_MS)
    assert "Traceback" not in toast.inner_text()
    expect(visit.page.locator("#kd-results")).to_be_hidden()
    visit.page.screenshot(path=tmp_path / "toast.png")
    assert visit.complaints == []


def test_measuring_without_a_video_asks_for_one(chromium, address):
    visit = Visit(chromium, address, DESKTOP)
    visit.page.click("#kd-measure")
    expect(visit.page.locator(".toast-body")).to_contain_text(texts.NO_VIDEO, timeout=READY_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    chromium, address, film, scheme, tmp_path
):
    visit = Visit(chromium, address, PHONE, scheme)
    assert not visit.is_wider_than_the_screen()
    visit.measure(film)
    wait_for_figures(visit.page, READY_MS)
    visit.page.screenshot(path=tmp_path / f"phone-{scheme}.png", full_page=True)
    assert not visit.is_wider_than_the_screen()
    visit.page.get_by_role("tab", name=texts.TAB_DISTILLATION).click()
    expect(visit.page.locator(".kd-looks img")).to_have_count(3, timeout=READY_MS)
    assert not visit.is_wider_than_the_screen()
    assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page_in_light_and_in_dark(chromium, address, scheme, tmp_path):
    visit = Visit(chromium, address, DESKTOP, scheme)
    card = visit.page.locator("#kd-reading")
    ground, ink = (
        luminance(card.evaluate(f"card => getComputedStyle(card).{name}"))
        for name in ("backgroundColor", "color")
    )
    assert (ground < 0.05) == (scheme == "dark")
    # 7:1 is what WCAG 2.2 asks of text at level AAA.
    assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) > 7
    visit.page.screenshot(path=tmp_path / f"{scheme}.png")


def test_the_theme_button_switches_and_is_remembered(chromium, address):
    visit = Visit(chromium, address, DESKTOP)
    visit.page.click("#kd-theme")
    expect(visit.page.locator("body.dark")).to_be_attached()
    visit.page.reload()
    expect(visit.page.locator("body.dark")).to_be_attached(timeout=READY_MS)


def test_who_writes_a_program_copies_the_address_of_this_page(chromium, address, tmp_path):
    """On every host it was 127.0.0.1:7860, and on a phone the button lay over the code."""
    visit = Visit(chromium, f"{address}/?__theme=light", PHONE)
    visit.page.get_by_role("tab", name=texts.TAB_ABOUT).click()
    code = visit.page.locator("#kd-about code", has_text="gradio_client")
    expect(code).to_contain_text(f'Client("{address}/")', timeout=READY_MS)
    button, lines = (part.bounding_box() for part in (visit.page.locator("#kd-about button"), code))
    assert button
    assert lines
    visit.page.screenshot(path=tmp_path / "about.png", full_page=True)
    assert button["y"] + button["height"] <= lines["y"]
    assert not visit.is_wider_than_the_screen()


def test_programs_measure_the_same_video_by_the_client(address, film):
    client = Client(address, verbose=False)
    record = client.predict(handle_file(film), "student", api_name="/measure")
    assert record["heart_rate_bpm"] == pytest.approx(BPM, abs=3)
    assert record["schema"] == 1


def test_a_server_that_stops_leaves_no_upload_behind_and_no_stack_trace(chromium, film, tmp_path):
    log = tmp_path / "log.txt"
    with served(log) as address:
        visit = Visit(chromium, address, DESKTOP)
        visit.upload(film)
        assert list(tmp_path.glob("kdphys-*/*/face.mp4"))
    assert not list(tmp_path.glob("kdphys-*"))
    assert "Traceback" not in log.read_text()


def luminance(colour: str) -> float:
    """Relative luminance of a colour as the browser says it, WCAG 2.2."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
