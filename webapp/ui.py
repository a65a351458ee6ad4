"""The page: what stands where, and which handler answers which click."""

import asyncio
import logging
import os
import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

import gradio as gr
import uvicorn
from fastapi import FastAPI, WebSocket
from fastapi.staticfiles import StaticFiles
from gradio import themes
from gradio.components import Component
from gradio.route_utils import FnIndexInferError
from starlette.requests import ClientDisconnect

from kdphys.errors import WeightsError
from kdphys.pipeline import MODELS
from kdphys.runtime import model_facts
from kdphys.video import VIDEO_SUFFIXES
from webapp import cards, distillation, doors, handlers, private, texts, tools
from webapp.address import Unnamed
from webapp.awaited import ENDED, Calls
from webapp.bounds import Bounds
from webapp.folder import KEPT_S, LOOK_EVERY_S, looked_after
from webapp.live import Visits, serve_socket
from webapp.patience import ANNOUNCED, Connection, allow_more_files
from webapp.settings import IN_A_SPACE, Settings
from webapp.stage import SAY_IF_LATE, stage
from webapp.turns import Turns
from webapp.wire import MOST_BYTES

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "docs" / "examples"
MAX_FILE_MB = 500
# How often Gradio looks, and how old files that it knows may be: they go a look before all others.
DELETED = int(LOOK_EVERY_S), int(KEPT_S - LOOK_EVERY_S)
MEASURED_AT_ONCE = 2  # videos; one for each core of a small server, the others wait in a queue
KEPT_SESSIONS = 500  # pages and programs
WAITING = 20  # videos; one more is refused with a sentence
PICKED = ("video", *sorted(VIDEO_SUFFIXES - {".npz"}))  # what a browser offers to choose from

# The page's own fonts come from the visitor's system: nothing is fetched from elsewhere.
FONTS = ("Helvetica Neue", "Segoe UI", "Roboto", "Arial", "Liberation Sans", "sans-serif")
# A browser may refuse storage to a page inside another site's, as a Space is shown: the choice is
# then forgotten, and nothing else depends on it.
REMEMBER_THEME = """() => {
  try {
    const dark = localStorage.getItem("kdphys-dark");
    if (dark !== null) document.body.classList.toggle("dark", dark === "true");
  } catch {}
}"""
SWITCH_THEME = """() => {
  const dark = document.body.classList.toggle("dark");
  try {
    localStorage.setItem("kdphys-dark", dark);
  } catch {}
}"""
# Only a visitor's browser knows at which address the page is shown.
NAME_THE_PAGE = """(text) => text.replace("ADDRESS", location.origin + location.pathname)"""
SCROLL_ON_A_PHONE = """() => {
  if (matchMedia("(max-width: 720px)").matches)
    document.querySelector("#kd-reading").scrollIntoView({behavior: "smooth"});
}"""


@dataclass(frozen=True)
class Source:
    """Where a video comes from."""

    video: gr.File
    preview: gr.HTML
    measure: gr.Button
    examples: dict[str, gr.Button]
    """Buttons by the path of their video."""


@dataclass(frozen=True)
class Shown:
    """Where the answer goes."""

    model: gr.Radio
    results: gr.Column
    """Everything below the reading; hidden until there is one."""
    parts: dict[str, Component]
    """By the fields of `handlers.Choice`, `handlers.Reading` and `handlers.Comparison`."""
    files: list[gr.DownloadButton]
    chosen: gr.State
    """Which video is shown."""


def serve(folder: Path, settings: Settings) -> None:
    """Serve the page until it is stopped.

    Args:
        folder: The server's own, for all that visitors send and get; see `webapp.folder`.
        settings: Where the page can be reached.
    """
    signal.signal(signal.SIGTERM, _leave)
    logging.getLogger("uvicorn.error").addFilter(_is_worth_saying)
    try:
        app = build_app(folder, settings)
    except WeightsError as error:
        sys.exit(str(error))
    tools.ask_here(app.state.page, settings.host, settings.port)
    app.state.visits.new_meter()  # so that the first visitor need not wait for it
    allow_more_files()
    try:
        uvicorn.run(
            app,
            host=settings.host,
            port=settings.port,
            http=Connection,
            backlog=ANNOUNCED,
            access_log=False,
            timeout_graceful_shutdown=3,
            ws_max_size=MOST_BYTES,  # of one message, the most that is held for a socket
            # Pixels hardly shrink, and what swells from few bytes would keep all visitors waiting.
            ws_per_message_deflate=False,
        )
    finally:
        ENDED.set()  # for what is being measured, which nobody waits for


def build_app(folder: Path, settings: Settings) -> FastAPI:
    """The page, mounted at the root of a web app."""
    gr.set_static_paths([EXAMPLES])  # served as they are; copies would be deleted like uploads
    # FastAPI's own pages about a server take their scripts from other hosts, so there are none.
    app = FastAPI(title=texts.TITLE, lifespan=lambda _: looked_after(folder), openapi_url=None)
    app.mount("/live-files", StaticFiles(directory=HERE / "static"))
    app.include_router(private.router)
    app.include_router(doors.router)
    app.include_router(doors.site)
    app.state.page = page = build_page()
    app.add_middleware(Turns, page=page)
    app.add_middleware(Bounds, folder=folder, most_mb=MAX_FILE_MB, has_tools=settings.has_tools)
    app.add_middleware(Calls)
    app.add_middleware(doors.Doors, root_path=settings.root_path)  # the last one is asked first
    if IN_A_SPACE in os.environ:
        app.add_middleware(Unnamed)
    app.state.visits = visits = Visits()

    @app.websocket("/live")
    async def _(socket: WebSocket) -> None:
        await serve_socket(socket, visits, settings.root_path)

    mounted = gr.mount_gradio_app(
        app,
        page,
        path="/",
        root_path=settings.root_path,
        mcp_server=settings.has_tools,
        css_paths=[HERE / "style.css"],
        theme=_theme(),
        js=REMEMBER_THEME,
        head=f'<meta name="description" content="{texts.HEADLINE}">'
        '<script type="module" src="live-files/live.js"></script>',
        favicon_path=str(HERE / "favicon.svg"),
        footer_links=["api"],
        run_history=False,
        max_file_size=f"{MAX_FILE_MB}mb",
        ssr_mode=False,
        show_error=False,
        enable_monitoring=False,
        app_kwargs={
            "openapi_url": None,
            "exception_handlers": {
                FnIndexInferError: doors.no_function,
                KeyError: doors.no_call,
                TypeError: doors.no_call,
                ValueError: doors.no_call,
            },
        },
        i18n=gr.I18n(en=_upload_words()),
    )
    tools.set_up(page, folder)
    return mounted


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """End in order when the system asks, so that the folder of uploads is removed."""
    sys.exit(0)


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Tell whether something belongs in the log.

    Pages that are still open when the server stops are cut off, and who breaks an upload off has
    left; that is no error. And who opens a socket, from which address, is nobody's business.
    """
    left = asyncio.CancelledError, ClientDisconnect
    is_cut_off = record.exc_info and isinstance(record.exc_info[1], left)
    return not (is_cut_off or '"WebSocket ' in str(record.msg))


def build_page() -> gr.Blocks:
    """Everything a visitor sees."""
    with doors.Page(
        title=texts.TITLE, analytics_enabled=False, delete_cache=DELETED, fill_width=True
    ) as page:
        with gr.Row(elem_id="kd-top"):
            _html(cards.header())
            switch = gr.Button(texts.THEME, elem_id="kd-theme", size="sm", scale=0)
            switch.click(None, js=SWITCH_THEME)
        with gr.Tabs(elem_id="kd-tabs"):
            with gr.Tab(texts.TAB_LIVE):
                ahead_s = model_facts("student").ahead_s
                _html(stage(ahead_s), elem_id="kd-live", on_load=SAY_IF_LATE)
            looks = _html(distillation.no_looks(), render=False)
            with gr.Tab(texts.TAB_VIDEO):
                _video_tab(looks)
            with gr.Tab(texts.TAB_DISTILLATION):
                _distillation_tab(looks)
            with gr.Tab(texts.TAB_ABOUT), gr.Column(elem_classes="kd-card"):
                about = gr.Markdown(texts.ABOUT, elem_id="kd-about")
        page.load(None, about, about, js=NAME_THE_PAGE)
    # A session takes 0.1 to 0.3 MB, and 1.5 once it has measured; the oldest goes first.
    page.state_session_capacity = KEPT_SESSIONS
    # Without it Gradio takes this page for one that is still being written, and lets a request name
    # any file of the server as an upload.
    page.has_launched = True
    page.default_config.fns = doors.Functions(page.fns)
    return page.queue(max_size=WAITING, api_open=False)  # nobody measures past the queue


def _video_tab(looks: gr.HTML) -> None:
    with gr.Row(elem_id="kd-bench", equal_height=True):
        with gr.Column(elem_id="kd-source", elem_classes="kd-card", scale=4, min_width=300):
            source = _source()
        with gr.Column(elem_id="kd-reading", elem_classes="kd-card", scale=7, min_width=320):
            model = gr.Radio(
                [(texts.MODEL_NAMES[name], name) for name in MODELS],
                value=MODELS[0],
                label=texts.MODEL,
                elem_id="kd-model",
            )
            hero = _html(cards.placeholder(), elem_id="kd-hero")
            crops = _html()
    with gr.Column(visible=False, elem_id="kd-results") as results:
        figures = _reading_cards() | _comparison_cards()
        files = _download_buttons()
    found = gr.State(time_to_live=int(KEPT_S))
    chosen = gr.State(handlers.Chosen())
    parts = {"found": found, "preview": source.preview, "hero": hero, "crops": crops}
    parts["looks"] = looks
    _answer_clicks(source, Shown(model, results, parts | figures, files, chosen))
    _look_at_the_reading(source)
    _offer_to_programs(source.video, model)


def _distillation_tab(looks: gr.HTML) -> None:
    """What the teacher is, what the student kept, where both look, and what each part is worth."""
    facts = {name: model_facts(name) for name in texts.NETWORKS}
    for content in (distillation.kept(facts), looks, distillation.worth()):
        with gr.Column(elem_classes="kd-card"):
            if isinstance(content, str):
                _html(content)
            else:
                content.render()


def _source() -> Source:
    """Where a video comes from: a file of one's own, or an example."""
    video = gr.File(
        label=texts.UPLOAD_LABEL, file_types=list(PICKED), elem_id="kd-video", height=150
    )
    _html(f'<p class="kd-fine">{_upload_rules()}</p>')
    preview = _html(elem_id="kd-preview")
    measure = gr.Button(texts.MEASURE, variant="primary", elem_id="kd-measure")
    return Source(video, preview, measure, _examples())


def _upload_rules() -> str:
    minutes = handlers.RECORDING_S / 60
    return texts.UPLOAD_RULES.format(size=MAX_FILE_MB, minutes=f"{minutes:g}")


def _examples() -> dict[str, gr.Button]:
    """A button for each example video, with its picture if one lies beside it."""
    videos = sorted(EXAMPLES.glob("*.mp4"), key=lambda video: (len(video.stem), video.stem))
    if not videos:
        return {}
    _html(cards.title(texts.EXAMPLES, texts.EXAMPLES_NOTE), elem_id="kd-examples-title")
    with gr.Row(elem_id="kd-examples"):
        return {str(video): _example(video) for video in videos}


def _example(video: Path) -> gr.Button:
    picture = video.with_suffix(".jpg")
    icon = str(picture) if picture.exists() else None
    return gr.Button(cards.example_label(video), icon=icon, min_width=130)


def _reading_cards() -> dict[str, Component]:
    """The figures of one model, by the fields of `handlers.Reading`."""
    with gr.Column(elem_classes="kd-card"):
        _html(cards.title(texts.TRACE, texts.TRACE_NOTE))
        trace = _plot("trace")
    with gr.Row(elem_classes="kd-pair"):
        with gr.Column(elem_classes="kd-card", min_width=300):
            _html(cards.title(texts.SPECTRUM, texts.SPECTRUM_NOTE))
            spectrum = _plot("spectrum")
        with gr.Column(elem_classes="kd-card", min_width=300):
            _html(cards.title(texts.HISTORY, texts.HISTORY_NOTE))
            history = _plot("history")
    return {"trace": trace, "spectrum": spectrum, "history": history}


def _comparison_cards() -> dict[str, Component]:
    """Teacher against student, by the fields of `handlers.Comparison`."""
    with gr.Column(elem_classes="kd-card"):
        verdict = _html()
        overlay = _plot("overlay")
    with gr.Column(elem_classes="kd-card"):
        _html(cards.title(texts.COSTS, texts.COSTS_NOTE))
        ratios = _plot("ratios")
        table = _html()
    with gr.Column(elem_classes="kd-card"):
        timing = _html()
    return {
        "verdict": verdict,
        "overlay": overlay,
        "ratios": ratios,
        "table": table,
        "timing": timing,
    }


def _html(
    content: str = "", elem_id: str | None = None, *, render: bool = True, on_load: str = ""
) -> gr.HTML:
    """A piece of `cards` without Gradio's own styles for prose; what is to run once it is there."""
    return gr.HTML(
        content, elem_id=elem_id, apply_default_css=False, render=render, js_on_load=on_load or None
    )


def _plot(name: str) -> gr.Plot:
    return gr.Plot(show_label=False, container=False, elem_id=f"kd-{name}", elem_classes="kd-plot")


def _download_buttons() -> list[gr.DownloadButton]:
    with gr.Column(elem_classes="kd-card"):
        _html(cards.title(texts.DOWNLOADS, texts.DOWNLOADS_NOTE))
        with gr.Row(elem_id="kd-downloads"):
            return [
                gr.DownloadButton(label, size="md", min_width=120, elem_id=f"kd-get-{suffix}")
                for suffix, label in texts.DOWNLOAD_LABELS.items()
            ]


def _answer_clicks(source: Source, shown: Shown) -> None:
    """Connect what a visitor does to the handlers, and their answers to the page."""
    parts, video, model = shown.parts, source.video, shown.model
    choice = [shown.results, *(parts[name] for name in handlers.Choice._fields)]
    reading = [parts[name] for name in handlers.Reading._fields]
    comparison = [parts[name] for name in handlers.Comparison._fields]
    picked = [
        button.click(
            partial(handlers.on_example, path),
            shown.chosen,
            outputs=[video, *choice],
            queue=False,
            show_progress="hidden",
            api_visibility="undocumented",
        )
        for path, button in source.examples.items()
    ]
    gr.on(
        [video.upload, video.clear],
        handlers.on_video,
        [video, shown.chosen],
        choice,
        queue=False,
        show_progress="hidden",
        api_visibility="undocumented",
    )
    measured = [
        ask(
            handlers.on_measure,
            [video, model, shown.chosen],
            [parts["found"], shown.results, *reading, *comparison],
            show_progress_on=parts["hero"],
            concurrency_limit=MEASURED_AT_ONCE,
            concurrency_id="measure",
            api_visibility="undocumented",
        )
        for ask in (source.measure.click, *(event.success for event in picked))
    ]
    switched = model.input(
        handlers.on_model,
        [parts["found"], model, shown.chosen],
        reading,
        queue=False,
        show_progress="hidden",
        api_visibility="undocumented",
    )
    for event in (*measured, switched):
        event.success(
            handlers.on_downloads,
            [parts["found"], model],
            shown.files,
            show_progress="hidden",
            api_visibility="undocumented",
        )
    for event in measured:
        event.success(
            handlers.on_looks,
            [parts["found"], shown.chosen],
            parts["looks"],
            show_progress="hidden",
            api_visibility="undocumented",
        )


def _look_at_the_reading(source: Source) -> None:
    """On a phone the reading stands below the button: scroll to where progress is shown."""
    for button in (source.measure, *source.examples.values()):
        button.click(None, js=SCROLL_ON_A_PHONE)


def _offer_to_programs(video: gr.File, model: gr.Radio) -> None:
    """Make what programs need reachable with `gradio_client`, by buttons nobody sees."""
    answer = gr.JSON(visible=False)
    for handler, inputs, name in (
        (handlers.measure_video, [video, model], "measure"),
        (handlers.compare_video, [video], "compare"),
    ):
        gr.Button(visible=False).click(
            handler,
            inputs,
            answer,
            api_name=name,
            concurrency_limit=MEASURED_AT_ONCE,
            concurrency_id="measure",
        )


def _theme() -> themes.Base:
    """Gradio's plainest theme in the colours of `style.css`, which draws the rest."""
    return themes.Base(
        primary_hue="blue", neutral_hue="slate", font=list(FONTS), font_mono=["monospace"]
    ).set(
        body_background_fill="var(--kd-page)",
        body_background_fill_dark="var(--kd-page)",
        body_text_color="var(--kd-ink)",
        body_text_color_dark="var(--kd-ink)",
        body_text_color_subdued="var(--kd-muted)",
        body_text_color_subdued_dark="var(--kd-muted)",
        background_fill_primary="var(--kd-card)",
        background_fill_primary_dark="var(--kd-card)",
        background_fill_secondary="var(--kd-well)",
        background_fill_secondary_dark="var(--kd-well)",
        block_background_fill="transparent",
        block_background_fill_dark="transparent",
        block_border_width="0px",
        block_border_width_dark="0px",
        block_shadow="none",
        block_shadow_dark="none",
        border_color_primary="var(--kd-line)",
        border_color_primary_dark="var(--kd-line)",
        button_primary_background_fill="var(--kd-accent)",
        button_primary_background_fill_dark="var(--kd-accent)",
        button_primary_background_fill_hover="var(--kd-accent-strong)",
        button_primary_background_fill_hover_dark="var(--kd-accent-strong)",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        button_secondary_background_fill="var(--kd-well)",
        button_secondary_background_fill_dark="var(--kd-well)",
        button_secondary_background_fill_hover="var(--kd-line)",
        button_secondary_background_fill_hover_dark="var(--kd-line)",
        button_secondary_text_color="var(--kd-ink)",
        button_secondary_text_color_dark="var(--kd-ink)",
        loader_color="var(--kd-accent)",
        loader_color_dark="var(--kd-accent)",
        color_accent="var(--kd-accent)",
        color_accent_soft="var(--kd-well)",
        color_accent_soft_dark="var(--kd-well)",
    )


def _upload_words() -> dict[str, str]:
    """The words inside the drop zone, in place of Gradio's own."""
    return {
        "upload_text.drop_file": texts.UPLOAD_DROP,
        "upload_text.click_to_upload": texts.UPLOAD_CLICK,
        "common.or": texts.UPLOAD_OR,
    }
