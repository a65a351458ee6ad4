"""The page without a browser: charts, cards, downloads and handlers, on a wave of known rate."""

import asyncio
import errno
import io
import json
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr
import numpy as np
import plotly.graph_objects as go
import pytest
from gradio.state_holder import SessionState
from PIL import Image
from starlette.types import Message, Receive, Scope, Send

from kdphys.errors import VideoError
from kdphys.pipeline import MODELS, NOT_MEDICAL, Measurement, StageSeconds
from kdphys.runtime import ModelFacts
from kdphys.vitals import Reading, measure_vitals
from webapp import cards, charts, costs, distillation, downloads, folder, handlers, texts, ui
from webapp.awaited import HEARD, LISTENS_WITHIN_S, Calls
from webapp.doors import TOOL_CALLS
from webapp.picture import png_of

FPS = 30.0
BPM = 72.0
FACTS = {
    "student": ModelFacts("student", 213_440, 2_130_000.0, 921_000, "synthetic faces"),
    "teacher": ModelFacts("teacher", 1_240_000, 41_300_000.0, 5_020_000, "synthetic faces"),
}


def measurement(model: str, bpm: float | None = BPM, seconds: float = 20.0) -> Measurement:
    """A recording of a pulse, or of nothing but noise, with the face away from 12 s to 13 s."""
    time_s = np.arange(int(seconds * FPS)) / FPS
    noise = np.random.default_rng(7).standard_normal(time_s.size)
    pulse = np.zeros_like(time_s) if bpm is None else 20 * np.cos(2 * np.pi * bpm / 60 * time_s)
    wave = pulse + noise
    wave[(time_s >= 12) & (time_s < 13)] = np.nan
    vitals = measure_vitals(wave, FPS)
    if bpm is None:
        unread = Reading(None, "bpm", 0.1, "No pulse stands out.")
        vitals = replace(vitals, heart_rate=unread)
    return Measurement(
        model=model,
        weights="0123456789ab",
        duration_s=seconds,
        fps=29.97,
        frames=600,
        face_fraction=0.95,
        wave=wave.astype(np.float32),
        wave_fps=FPS,
        vitals=vitals,
        seconds=StageSeconds(2.0, 1.0, 0.3 if model == "student" else 3.0, 0.1, 3.4),
        notes=("There are 2 faces in view; the one that was the largest at first was followed.",),
        crops=np.full((8, 36, 36, 3), 120, np.uint8),
        stretch=np.full((60, 36, 36, 3), 120, np.uint8),
    )


@pytest.fixture(scope="module")
def found() -> dict[str, Measurement]:
    return {model: measurement(model) for model in MODELS}


@pytest.fixture(scope="module")
def unread() -> dict[str, Measurement]:
    return {model: measurement(model, bpm=None) for model in MODELS}


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, found: dict[str, Measurement], tmp_path: Path) -> None:
    """The library without its networks: each video holds what `found` holds."""
    (tmp_path / "face.mp4").write_bytes(b"a video")
    monkeypatch.setattr(handlers, "compare", lambda *_, **__: found)
    monkeypatch.setattr(handlers, "measure", lambda _, model, **__: found[model])
    monkeypatch.setattr(handlers, "model_facts", FACTS.__getitem__)


def all_figures(found: dict[str, Measurement]) -> list[go.Figure]:
    student, teacher = found["student"], found["teacher"]
    spent = {model: costs.costs_of(FACTS[model], found[model]) for model in FACTS}
    return [
        charts.trace(student),
        charts.spectrum(student),
        charts.history(student),
        charts.overlay([teacher, student]),
        charts.cost_ratios(spent["student"], spent["teacher"]),
    ]


def notes_in(figure: go.Figure) -> list[str]:
    return [note["text"] for note in figure.to_plotly_json()["layout"].get("annotations", ())]


def traces_of(figure: go.Figure) -> dict[str, Any]:
    traces: Any = figure.data
    return {trace.name: trace for trace in traces}


@pytest.fixture(scope="module")
def page() -> gr.Blocks:
    async def build() -> gr.Blocks:
        return ui.build_page()

    return asyncio.run(build())  # without a running loop Gradio opens one and never closes it


def test_the_spectrum_names_the_heart_rate_at_its_peak(found):
    notes = notes_in(charts.spectrum(found["student"]))
    # A 20 s Hann window resolves 6 bpm; a clean tone's peak is known to a tenth of that.
    assert float(notes[0].removeprefix("<b>").removesuffix(" bpm</b>")) == pytest.approx(
        BPM, abs=0.6
    )


def test_beats_lie_on_the_wave(found):
    traces = traces_of(charts.trace(found["student"]))
    wave, beats = traces["pulse wave"], traces["beats"]
    assert len(beats["x"]) > 15
    assert np.nanmax(beats["y"]) <= np.nanmax(wave["y"])
    # Beats are crests: on a cosine of height 20 with noise of deviation 1 they are near the top.
    assert np.nanmedian(beats["y"]) > 15


def test_beats_are_shown_only_where_a_reading_vouches_for_them(unread):
    assert len(traces_of(charts.trace(unread["student"]))["beats"]["x"]) == 0


def test_the_stretch_without_a_face_is_shaded(found):
    student = found["student"]
    assert charts.gaps(charts.time_axis(student), student.wave) == [
        (12.0, pytest.approx(13 - 1 / FPS))
    ]
    assert len(charts.trace(student).to_plotly_json()["layout"]["shapes"]) == 1


def test_hundreds_of_gaps_are_shaded_at_once(found, monkeypatch):
    """One by one, 600 of them took two and a half minutes."""
    monkeypatch.delattr(go.Figure, "add_vrect")
    wave = np.tile(np.r_[np.ones(60), np.full(30, np.nan)], 600).astype(np.float32)
    restless = replace(found["student"], wave=wave, duration_s=1800.0)
    shapes = charts.trace(restless).to_plotly_json()["layout"]["shapes"]
    assert [shape["x0"] for shape in shapes[:2]] == [2.0, 5.0]
    assert len(shapes) == 600


def test_both_waves_are_drawn_at_the_same_height(found):
    for trace in traces_of(charts.overlay([found["teacher"], found["student"]])).values():
        # Exact but for float32 on the way to the browser.
        assert np.nanstd(trace["y"]) == pytest.approx(1.0, abs=1e-3)


def test_the_cost_chart_says_how_many_times_dearer_the_teacher_is(found):
    notes = notes_in(all_figures(found)[-1])
    assert notes[0] == f"Parameters  <b>5.8 {texts.TIMES}</b>"
    assert notes[3] == f"Time a frame  <b>10.0 {texts.TIMES}</b>"


def test_nothing_is_annotated_where_there_is_no_reading(unread):
    assert notes_in(charts.spectrum(unread["student"])) == []


@pytest.mark.parametrize("seconds", [0.0, 20.0])
def test_every_figure_can_be_drawn_of_a_recording_without_a_wave(found, seconds):
    def without_wave(each: Measurement) -> Measurement:
        wave = np.full(int(seconds * FPS), np.nan, np.float32)
        vitals = measure_vitals(np.full(wave.size, np.nan), FPS)
        return replace(each, wave=wave, vitals=vitals)

    emptied = {model: without_wave(each) for model, each in found.items()}
    for figure in all_figures(emptied):
        assert json.loads(handlers.plot(figure).plot)["data"]
    assert png_of(emptied, "student")


def test_figures_carry_the_settings_of_the_page(found):
    config = json.loads(handlers.plot(charts.trace(found["student"])).plot)["config"]
    assert config["displaylogo"] is False


def test_teacher_and_student_keep_their_colours_in_every_figure(found):
    overlay = traces_of(charts.overlay([found["teacher"], found["student"]]))
    alone = traces_of(charts.trace(found["teacher"]))
    assert overlay["Teacher"]["line"]["color"] == alone["pulse wave"]["line"]["color"]
    assert overlay["Teacher"]["line"]["color"] != overlay["Student"]["line"]["color"]
    style = (Path(ui.__file__).parent / "style.css").read_text()
    for model, colour in charts.COLOURS.items():
        assert f"--kd-{model}: {colour};" in style


def test_the_reading_is_shown_with_its_confidence(found):
    shown = cards.hero(found["student"])
    rate = found["student"].vitals.heart_rate
    assert f'id="kd-bpm">{rate.value:.1f}<' in shown
    assert f"{round(100 * rate.quality)} %" in shown
    assert "2 faces in view" in shown


@pytest.mark.parametrize(("rmssd", "shown"), [(0.0, "under 5"), (4.9, "under 5"), (5.4, "5")])
def test_beats_are_not_said_to_vary_less_than_their_noise_tells(found, rmssd, shown):
    """0 ms was shown of a heart, which no heart has."""
    vitals = replace(found["student"].vitals, rmssd=Reading(rmssd, "ms", 0.9, None))
    said = cards.hero(replace(found["student"], vitals=vitals))
    assert f"<b>{shown} <small>ms</small></b>" in said


def test_the_spread_of_beats_is_said_to_be_that_of_the_whole_video(found):
    vitals = replace(found["student"].vitals, sdnn=Reading(41.0, "ms", 0.9, None))
    shown = cards.hero(replace(found["student"], vitals=vitals))
    assert texts.SDNN_VIDEO_NOTE in shown
    assert "minute" not in shown


def test_no_reading_stands_in_the_same_place_with_its_reason(unread):
    shown = cards.hero(unread["student"])
    assert f'id="kd-bpm">{texts.NO_READING}<' in shown
    assert "No pulse stands out." in shown


def test_what_a_file_says_is_never_markup_on_the_page(found):
    hostile = replace(found["student"], notes=("<script>alert(1)</script>",))
    assert "<script>" not in cards.hero(hostile)
    assert '"><script>' not in cards.preview('/x/"><script>.mp4')


def test_the_crops_are_shown_as_they_were_seen(found):
    shown = cards.crops(found["student"])
    assert shown.count("<img") == 8
    assert f"36 {texts.TIMES} 36" in shown


@pytest.mark.parametrize(
    ("quality", "word"), [(1.0, "High"), (0.85, "High"), (0.7, "Good"), (0.5, "Fair"), (0.0, "Low")]
)
def test_confidence_has_a_word(quality, word):
    assert cards.confidence_word(quality) == word


@pytest.mark.parametrize(
    ("count", "said"),
    [(213_440, "213 k"), (2_130_000, "2.13 M"), (41_300_000, "41.3 M"), (7, "7 ")],
)
def test_large_numbers_are_said_with_three_digits(count, said):
    assert costs.short_count(count) == said


def test_a_slower_student_is_called_slower(found):
    slow = {model: costs.costs_of(FACTS[model], found[model]) for model in FACTS}
    slow["student"] = slow["student"]._replace(ms=2 * slow["teacher"].ms)
    assert f"2.0 {texts.TIMES} slower" in cards.verdict(found["student"], found["teacher"], slow)


def test_examples_are_named_after_their_files():
    assert cards.example_label(Path("synthetic_face_72bpm.mp4")) == "Synthetic face, 72 bpm"
    assert cards.example_label(Path("synthetic_photo_nopulse.mp4")) == "Synthetic photo, no pulse"


def test_the_table_has_a_row_for_each_model_and_a_label_for_each_cell(found):
    spent = {model: costs.costs_of(FACTS[model], found[model]) for model in FACTS}
    shown = cards.table(found, spent)
    assert shown.count('<th scope="row">') == len(MODELS)
    assert shown.count("data-label=") == len(MODELS) * len(texts.COLUMNS)


def test_the_csv_has_a_row_for_each_sample_and_empty_cells_in_gaps(found):
    lines = downloads.csv_of(found).decode().splitlines()
    assert lines[0] == ",".join(["time_s", *MODELS])
    assert len(lines) == 1 + found["student"].wave.size
    assert lines[1 + int(12.5 * FPS)] == "12.5000" + "," * len(MODELS)
    assert float(lines[31].split(",")[1]) == pytest.approx(
        float(found["student"].wave[30]),
        rel=1e-5,  # six digits are written
    )


def test_waves_on_different_time_grids_are_not_mixed_in_one_csv(found):
    with pytest.raises(ValueError, match="one time grid"):
        downloads.csv_of({**found, "green": replace(found["green"], wave_fps=25.0)})


def test_the_json_download_is_what_the_command_line_prints(found):
    record = json.loads(downloads.json_of(found))
    assert set(record) == set(MODELS)
    assert record["student"] == json.loads(json.dumps(found["student"].to_json()))


@pytest.mark.parametrize("model", MODELS)
def test_the_picture_is_a_png_of_readable_size(found, model):
    with Image.open(io.BytesIO(png_of(found, model))) as picture:
        assert picture.format == "PNG"
        assert picture.width >= 1200
        # Ink: a picture that failed to draw would be one flat colour.
        assert len(picture.convert("L").resize((200, 150)).getcolors() or []) > 20


@pytest.mark.usefixtures("library")
def test_a_measured_video_fills_every_part_of_the_page(tmp_path):
    answer = handlers.on_measure(str(tmp_path / "face.mp4"), "student", handlers.Chosen())
    parts = ("found", "results", *handlers.Reading._fields, *handlers.Comparison._fields)
    assert len(answer) == len(parts)
    assert all(part for part in answer)


@pytest.mark.usefixtures("library")
def test_a_video_that_is_no_longer_shown_gives_no_answer(tmp_path, monkeypatch):
    face, other = tmp_path / "face.mp4", tmp_path / "cache" / "face.mp4"
    other.parent.mkdir()
    face.write_bytes(b"a video")
    other.write_bytes(b"a video")  # Gradio's copy of an example
    chosen = handlers.Chosen()
    handlers.on_example(str(face), chosen)
    found, *_ = handlers.on_measure(str(other), "student", chosen)
    assert set(found) == set(MODELS)

    measured = handlers.compare

    def compare_while_another_is_chosen(*given, **also):
        handlers.on_video(str(tmp_path / "another.mp4"), chosen)
        (tmp_path / "another.mp4").write_bytes(b"another video")
        return measured(*given, **also)

    monkeypatch.setattr(handlers, "compare", compare_while_another_is_chosen)
    answer = handlers.on_measure(str(other), "student", chosen)
    assert len(answer) == 2 + len(handlers.Reading._fields) + len(handlers.Comparison._fields)
    assert all(part == gr.skip() for part in answer)
    assert all(part == gr.skip() for part in handlers.on_downloads(None, "student"))
    assert handlers.on_looks(None, chosen) == distillation.no_looks()


def test_a_video_that_is_no_longer_shown_is_not_measured_to_its_end(tmp_path, monkeypatch):
    chosen = handlers.Chosen()
    (tmp_path / "face.mp4").touch()

    def compare_while_the_video_is_taken_away(*_, progress, **__):
        progress("Watching the face", 0.1)
        handlers.on_video(None, chosen)
        progress("Watching the face", 0.2)
        pytest.fail("it went on")

    monkeypatch.setattr(handlers, "compare", compare_while_the_video_is_taken_away)
    handlers.on_video(str(tmp_path / "face.mp4"), chosen)
    answer = handlers.on_measure(str(tmp_path / "face.mp4"), "student", chosen)
    assert all(part == gr.skip() for part in answer)


@pytest.mark.usefixtures("library")
def test_another_model_is_shown_without_measuring_again(found):
    hero, *_ = handlers.on_model(found, "teacher", handlers.Chosen())
    assert "whole-clip 3D network" in hero


@pytest.mark.usefixtures("library")
def test_a_model_chosen_before_a_video_is_measured_is_shown_when_it_is(tmp_path, monkeypatch):
    chosen, face = handlers.Chosen(), str(tmp_path / "face.mp4")
    answer = handlers.on_model(None, "teacher", chosen)
    assert answer == (gr.skip(),) * len(handlers.Reading._fields)
    measured = handlers.compare

    def compare_while_another_is_chosen(*given, **also):
        handlers.on_model(None, "teacher", chosen)
        return measured(*given, **also)

    monkeypatch.setattr(handlers, "compare", compare_while_another_is_chosen)
    _, _, hero, *_ = handlers.on_measure(face, "student", chosen)
    assert "whole-clip 3D network" in hero
    handlers.on_model(None, "pos", chosen)  # while the next measurement waits for its turn
    monkeypatch.setattr(handlers, "compare", measured)
    _, _, hero, *_ = handlers.on_measure(face, "student", chosen)
    assert texts.MODEL_NOTES["pos"] in hero


def test_what_fails_as_the_server_has_stopped_is_not_told_to_the_log(monkeypatch, caplog, tmp_path):
    """It was a stack trace for each video: Python starts no thread's work any more."""

    def cut_off(*_given: object, **_also: object) -> None:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    ended = Event()
    monkeypatch.setattr(handlers, "ENDED", ended)
    monkeypatch.setattr(handlers, "measure", cut_off)
    (tmp_path / "face.mp4").touch()
    with pytest.raises(gr.Error, match=texts.FAILED[:20]):
        handlers.measure_video(str(tmp_path / "face.mp4"), "pos")
    assert "RuntimeError" in caplog.text
    caplog.clear()
    ended.set()
    with pytest.raises(gr.Error, match=texts.LEFT):
        handlers.measure_video(str(tmp_path / "face.mp4"), "pos")
    assert caplog.text == ""


@pytest.mark.usefixtures("library")
def test_programs_get_what_the_command_line_prints(found, tmp_path):
    assert handlers.measure_video(str(tmp_path / "face.mp4"), "pos") == found["pos"].to_json()
    both = handlers.compare_video(str(tmp_path / "face.mp4"))
    assert both["note"] == NOT_MEDICAL
    assert set(both["models"]) == set(MODELS)
    assert both["costs"]["student"]["parameters"] == 213_440


@pytest.mark.usefixtures("library")
def test_downloads_are_written_where_the_page_deletes_them(found, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    written = [Path(path) for path in handlers.on_downloads(found, "student")]
    assert [path.suffix for path in written] == [".csv", ".json", ".png"]
    assert all(tmp_path in path.parents and path.stat().st_size > 1000 for path in written)


def test_downloads_without_room_are_none_and_a_sentence_says_so(found, monkeypatch):
    """They were missing, or were those of the reading before, and nobody said why."""

    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(handlers, "save_bytes_to_cache", full)
    with pytest.warns(UserWarning, match=texts.NO_DOWNLOADS):  # a toast, where there is a page
        assert handlers.on_downloads(found, "student") == (None, None, None)


def test_a_bad_video_becomes_a_toast_that_stays_until_it_is_read(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise VideoError("<b>notes.mp4</b> is no video. Choose another.")

    monkeypatch.setattr(handlers, "compare", refuse)
    (tmp_path / "notes.mp4").write_bytes(b"notes")
    with pytest.raises(gr.Error) as toast:
        handlers.on_measure(str(tmp_path / "notes.mp4"), "student", handlers.Chosen())
    assert toast.value.message == "&lt;b&gt;notes.mp4&lt;/b&gt; is no video. Choose another."
    assert toast.value.duration is None


def test_a_real_file_that_is_no_video_is_refused_by_its_name(tmp_path):
    file = tmp_path / "notes.mp4"
    file.write_text("this is no video")
    with pytest.raises(gr.Error, match=r"notes\.mp4"):
        handlers.measure_video(str(file), "green")


def test_measuring_without_a_video_asks_for_one():
    with pytest.raises(gr.Error, match="No video is chosen"):
        handlers.on_measure(None, "student", handlers.Chosen())


@pytest.mark.usefixtures("library")
def test_an_expired_reading_says_so(tmp_path):
    chosen = handlers.Chosen()
    found, *_ = handlers.on_measure(str(tmp_path / "face.mp4"), "student", chosen)
    handlers.on_looks(found, chosen)
    with pytest.raises(gr.Error, match="expired"):
        handlers.on_model(None, "teacher", chosen)


def test_a_video_that_was_deleted_meanwhile_is_asked_for_again(tmp_path):
    gone = tmp_path / "face.mp4"
    for ask in (
        lambda: handlers.on_measure(str(gone), "student", handlers.Chosen()),
        lambda: handlers.measure_video(str(gone), "student"),
        lambda: handlers.compare_video(str(gone)),
    ):
        with pytest.raises(gr.Error) as said:
            ask()
        assert said.value.message == texts.VIDEO_GONE


def test_a_new_video_takes_the_old_reading_away():
    hidden, *choice = handlers.on_video("/x/face.mp4", handlers.Chosen())
    assert hidden["visible"] is False
    assert "face.mp4" in choice[0]
    assert texts.EMPTY_TITLE in choice[1]
    assert choice[-1] is None


def test_the_page_offers_its_functions_to_programs(page):
    named = page.get_api_info()["named_endpoints"]
    assert set(named) == {"/measure", "/compare"}
    inputs = [each["parameter_name"] for each in named["/measure"]["parameters"]]
    assert inputs == ["video", "model"]


def test_what_the_server_asks_itself_for_a_caller_comes_from_the_callers_address():
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in TOOL_CALLS:
            asked = {**scope, "path": "/gradio_api/queue/join", "client": ("127.0.0.1", 1)}
            await calls(asked, receive, send)
        seen.append((scope["path"], scope["client"]))

    async def nothing(_: Message) -> None: ...

    async def never() -> Message:
        raise AssertionError

    calls = Calls(app)
    caller = ("192.0.2.7", 5)
    call = {"type": "http", "path": "/gradio_api/mcp/", "headers": [], "client": caller}
    asyncio.run(calls(call, never, nothing))
    assert seen == [("/gradio_api/queue/join", caller), ("/gradio_api/mcp/", caller)]


@pytest.mark.parametrize(
    ("path", "query", "names"),
    [
        ("/gradio_api/queue/data", b"session_hash=abc", ("abc", "f0")),
        ("/gradio_api/call/measure/f0", b"", ("abc", "f0")),
        ("/gradio_api/call/v2/measure/f0", b"", ("abc", "f0")),
    ],
)
def test_a_session_is_heard_while_a_stream_of_it_or_of_its_event_is_open(path, query, names):
    heard = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_heard = scope[HEARD]
        heard.append((is_heard(*names), is_heard("other")))
        if len(heard) == 1:  # a second stream begins and ends while the first is open
            await calls(dict(stream), receive, send)
            heard.append((is_heard(*names), is_heard("other")))
        if len(heard) == 3:
            raise ConnectionResetError

    async def nothing(_: Message) -> None: ...

    async def never() -> Message:
        raise AssertionError

    calls = Calls(app)
    stream = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": []}
    with pytest.raises(ConnectionResetError):
        asyncio.run(calls(dict(stream), never, nothing))
    assert heard == [(True, False)] * 3
    other = {**stream, "path": "/config"}
    asyncio.run(calls(other, never, nothing))
    assert heard[-1] == (False, False)


def test_who_did_not_listen_is_told_within_what_time():
    assert f"within {LISTENS_WITHIN_S:.0f} s" in texts.LEFT


def test_the_page_asks_nothing_of_other_hosts(page):
    for file in Path(ui.__file__).parent.glob("*.css"):
        assert "http" not in file.read_text()
        assert "@import" not in file.read_text()
    assert not page.analytics_enabled


def test_privacy_is_kept_as_promised(page):
    assert page.delete_cache is not None
    every_s, older_s = page.delete_cache
    assert every_s + older_s < folder.KEPT_S + folder.LOOK_EVERY_S <= 15 * 60
    assert "15 minutes" in texts.PRIVATE


@pytest.mark.usefixtures("library")
def test_a_session_forgets_what_it_was_shown(page, tmp_path):
    """Gradio would keep it beside the state: for an hour, or until 500 others have come."""
    state = SessionState(page)
    measure = next(each for each in page.fns.values() if each.name == "on_measure")
    asked = [None, MODELS[0], handlers.Chosen()]
    asyncio.run(page.preprocess_data(measure, asked, state))
    answer = handlers.on_measure(str(tmp_path / "face.mp4"), "student", handlers.Chosen())
    shown = asyncio.run(page.postprocess_data(measure, list(answer), state))
    assert any("data:image" in str(each) for each in shown)
    assert state.config_values == {}
    assert state.STATE_TTL_WHEN_CLOSED == folder.KEPT_S
    assert {kept_s for kept_s, _ in state._state_ttl.values()} == {folder.KEPT_S}


def test_the_distillation_tab_says_what_the_committed_results_say(tmp_path):
    written = json.loads((distillation.RESULTS / "results.json").read_text())
    kept = distillation.kept(FACTS)
    for name in texts.KINDS:
        score = written["synthetic"][name]["all"]
        assert f"{100 * score['within 3']:.0f} %" in kept
        assert f"{score['MAE of readings']:.1f} bpm" in kept
    assert "213 k" in kept
    assert "1.24 M" in kept
    arms = {"labels alone": {"0": _row(0.75), "1": _row(0.77)}, "teacher": {"0": _row(0.84)}}
    study = {"settings": {"schedule": {"steps": 600}}, "arms": arms}
    (tmp_path / "ablation.json").write_text(json.dumps(study))
    worth = distillation.worth(tmp_path)
    assert "0.76 \N{PLUS-MINUS SIGN} 0.01" in worth
    assert "600 steps" in worth
    assert worth.count("<tr>") == 3


def _row(correlation: float) -> dict[str, float]:
    return {"correlation": correlation, "MAE": 2.0, "within 3": 0.9}


def test_without_results_the_distillation_tab_says_so(tmp_path):
    assert texts.RESULTS_GONE in distillation.kept(FACTS, tmp_path)
    assert texts.RESULTS_GONE in distillation.worth(tmp_path)


def test_looks_are_shown_as_pictures_and_compared(found):
    stretch = np.zeros((10, 36, 36, 3), np.uint8)
    left = np.zeros((9, 9), np.float32)
    left[4, 2] = 1.0
    same = distillation.looks(stretch, {"teacher": left, "student": 2 * left})
    assert same.count("data:image/png;base64,") == 3
    assert texts.LOOKS_ALIKE.format(alike=1.0) in same
    apart = distillation.looks(stretch, {"teacher": left, "student": left[:, ::-1]})
    assert texts.LOOKS_ALIKE.format(alike=-1 / 80) in apart  # each map is one of 81 places
    assert handlers.on_looks(found, handlers.Chosen()).count("data:image/png;base64,") == 3
