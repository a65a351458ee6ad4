"""Requests of a visitor's own making: they reach uploads and examples, and nothing else."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_connection
from threading import Event
from typing import Any

import pytest
from httpx import Client, Response, get, post
from websockets import ConnectionClosed, Origin
from websockets.sync.client import connect

from tests._films import write_video
from tests._page import changed_app, served
from tests.test_folder import break_off_an_upload
from webapp import texts
from webapp.bounds import MOST_WORDS
from webapp.live import MOST_OF_ONE_ADDRESS
from webapp.turns import MOST_OF_ONE
from webapp.ui import EXAMPLES, WAITING
from webapp.wire import MOST_BYTES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("requests")]  # one server for all

# Gradio asks no private address by itself; here this machine counts as a part of the web.
EVERYWHERE = """
import safehttpx
async def everywhere(host): return "127.0.0.1"
safehttpx.async_validate_url = everywhere
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server says; uploads are kept beside it."""
    return tmp_path_factory.mktemp("server") / "log.txt"


@pytest.fixture(scope="module")
def visitor(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Someone who talks to the page without a browser."""
    app = changed_app(tmp_path_factory.mktemp("app"), EVERYWHERE)
    with (
        served(log, app) as address,
        Client(base_url=address, timeout=60) as client,
    ):
        yield client


# So small that examples and uploads of the tests go beyond them.
NARROW = """
from webapp import handlers, patience, ui
patience.MOST_CONNECTIONS = 50
ui.MAX_FILE_MB = 8
handlers.RECORDING_S, handlers.WORK_S = 15.0, 0.0
"""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Path]]:
    """A visitor of a server that takes little, and its folder."""
    folder = tmp_path_factory.mktemp("narrow")
    app = changed_app(tmp_path_factory.mktemp("narrow-app"), NARROW)
    with (
        served(folder / "log.txt", app) as address,
        Client(base_url=address, timeout=60) as client,
    ):
        yield client, folder


FORM = {"Content-Type": "multipart/form-data; boundary=x"}


# What never ends by itself takes so long here that its end is no chance.
ENDLESS = """
from threading import Event
from webapp import awaited, handlers
awaited.LISTENS_WITHIN_S = 5.0
def endless(real):
    def measured(path, *models, progress=None, **limits):
        print("began", path.name, flush=True)
        for _ in range(400 if path.name == "endless.mp4" else 0):
            if progress: progress("Watching the face", 0.5)
            Event().wait(0.05)
        print("measured", path.name, flush=True)
        return real(path, *models, **limits)
    return measured
handlers.compare, handlers.measure = endless(handlers.compare), endless(handlers.measure)
"""


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Path]]:
    """A visitor of a server on which one video takes its time, and what the server says."""
    log = tmp_path_factory.mktemp("patient") / "log.txt"
    app = changed_app(tmp_path_factory.mktemp("patient-app"), ENDLESS)
    with (
        served(log, app, GRADIO_MCP_SERVER="true") as address,
        Client(base_url=address, timeout=60) as client,
    ):
        yield client, log


class Elsewhere(BaseHTTPRequestHandler):
    """A web server that says yes to everything."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    do_HEAD = do_GET  # noqa: N815  (the names are those of the standard library)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """The address of another web server, and what it was asked."""
    handler = type("Asked", (Elsewhere,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", handler.asked
        server.shutdown()


def named(path: str) -> dict[str, object]:
    """A file as a request names it."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def request(
    visitor: Client, function: str, *given: object, session: str = "abc"
) -> dict[str, object]:
    """What a function of the page is asked with."""
    functions = visitor.get("/config").json()["dependencies"]
    number = next(one["id"] for one in functions if one["api_name"] == function)
    return {"data": given, "fn_index": number, "session_hash": session}


def upload_endless(visitor: Client) -> str:
    """Where a film is kept that takes `endless` to measure."""
    film = ("endless.mp4", b"a long film")
    (kept,) = visitor.post("/gradio_api/upload", files={"files": film}).json()
    return kept


def ask(visitor: Client, function: str, *given: object) -> Response:
    """Ask a function of the page that answers at once."""
    return visitor.post("/gradio_api/run/predict", json=request(visitor, function, *given))


TOOLS_ACCEPT = {"Accept": "application/json, text/event-stream"}


def call_tool(
    visitor: Client, given: Mapping[str, object], headers: dict[str, str] | None = None
) -> Response:
    """Measure a video as a program does by the Model Context Protocol."""
    call = {"name": "measure_video", "arguments": given}
    return visitor.post(
        "/gradio_api/mcp/",
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call},
        headers=TOOLS_ACCEPT | (headers or {}),
    )


def wait(visitor: Client, function: str, *given: object) -> dict[str, Any]:
    """Ask a function of the page that answers in its turn: what it gives, or its error."""
    visitor.post("/gradio_api/queue/join", json=request(visitor, function, *given))
    with visitor.stream("GET", "/gradio_api/queue/data?session_hash=abc") as lines:
        for line in lines.iter_lines():
            said = json.loads(line.removeprefix("data: ") or "{}")
            if said.get("msg") == "process_completed":
                return said["output"]
    raise AssertionError("no answer came")


def test_a_video_inside_a_request_is_refused_and_not_told_to_the_log(visitor, log):
    """It stood there whole, in the name of a file that could not be found."""
    video = "data:video/mp4;base64,ANYBODYSFACE"
    for function, given in (("measure", (named(video), "pos")), ("compare", (named(video),))):
        assert wait(visitor, function, *given)["error"] == texts.NOT_UPLOADED
    assert "ANYBODYSFACE" not in log.read_text()


@pytest.mark.parametrize("suffix", [".mp4", ".txt"])
@pytest.mark.parametrize(
    ("function", "given"),
    [
        ("on_video", ("{file}", None)),
        ("measure", ("{file}", "pos")),
        ("measure", (None, "{file}")),
        ("compare", ("{file}",)),
    ],
)
def test_a_request_can_t_name_a_file_of_the_server(visitor, tmp_path, function, given, suffix):
    """It could be read: a refusal named where a copy of it lay, and a preview showed it."""
    secret = tmp_path / f"secret-{tmp_path.name}{suffix}"
    secret.write_text("nobody is to read this")
    for path in (str(secret), f"http://127.0.0.1/gradio_api/file={secret}"):
        asked = [named(path) if each == "{file}" else each for each in given]
        answer = (
            ask(visitor, function, *asked).text
            if function == "on_video"
            else str(wait(visitor, function, *asked))
        )
        assert "secret" not in answer
        assert "error" in answer
    assert list(tmp_path.parent.rglob(secret.name)) == [secret]
    assert not visitor.get(f"/gradio_api/file={secret}").is_success


@pytest.mark.parametrize(
    ("function", "given"),
    [
        ("measure", ("{file}", "pos")),
        ("measure", (None, "{file}")),
        ("compare", ("{file}",)),
        ("on_measure", ("{file}", "pos", None)),
    ],
)
def test_a_request_can_t_make_the_server_fetch_anything(visitor, elsewhere, function, given):
    address, asked = elsewhere
    file = named(f"{address}/face.mp4")
    said = wait(visitor, function, *(file if each == "{file}" else each for each in given))
    assert said["error"] == texts.NOT_FETCHED
    assert texts.NOT_FETCHED in ask(visitor, "on_video", {"path": "in", "face": file}, None).text
    for path in (f"file={address}/face.mp4", f"file/{address}/face.mp4"):
        answer = visitor.get(f"/gradio_api/{path}")
        assert (answer.status_code, answer.text) == (403, texts.NOT_FETCHED)
    assert asked == []


@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
def test_a_tool_s_caller_can_t_make_the_server_ask_another(patient, elsewhere, header):
    """The first call of all named what Gradio asked for it, and for all that followed."""
    visitor, _ = patient
    address, asked = elsewhere
    given = {"video": "https://example.com/face.mp4", "model": "pos"}
    answer = call_tool(visitor, given, {header: address.removeprefix("http://")})
    assert texts.NOT_FETCHED in answer.text  # says the server itself
    assert asked == []


def live_address(page: str) -> str:
    """The socket's of a page."""
    return f"{page.replace('http', 'ws', 1)}/live"


@pytest.mark.parametrize("path", ["docs", "redoc", "openapi.json"])
def test_the_server_shows_no_pages_of_its_libraries_own(visitor, path):
    """They took their scripts from another host."""
    assert visitor.get(f"/{path}").status_code == 404
    assert visitor.get("/gradio_api/info").json()["named_endpoints"]


def test_pictures_are_not_compressed_on_their_way(visitor):
    """A flood of what swells from few bytes kept everyone waiting for seconds."""
    with connect(live_address(str(visitor.base_url))) as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
        assert socket.request is not None
        assert "permessage-deflate" in socket.request.headers["Sec-WebSocket-Extensions"]


def test_visitors_behind_a_proxy_of_this_machine_are_told_apart(visitor):
    """By what it says of them; a visitor elsewhere who says such a thing is not believed."""
    address = live_address(str(visitor.base_url))
    with ExitStack() as sockets:

        def greet(who: str, number: int) -> dict[str, Any]:
            headers = {"X-Forwarded-For": who}
            socket = sockets.enter_context(connect(address, additional_headers=headers))
            socket.send(json.dumps({"width": 160, "height": 160, "visit": f"at-{who}-{number}"}))
            return json.loads(socket.recv())

        for number in range(MOST_OF_ONE_ADDRESS):
            assert greet("192.0.2.7", number)["welcome"]
        said = texts.LIVE_BUSY_OF_ONE.format(visitors=MOST_OF_ONE_ADDRESS)
        assert greet("192.0.2.7", MOST_OF_ONE_ADDRESS)["closed"] == said
        assert greet("192.0.2.8", 0)["welcome"]
        for number in range(2):
            assert greet("127.0.0.1", number)["welcome"]


def test_nobody_is_measured_before_those_who_wait(visitor):
    example = str(next(EXAMPLES.glob("*.mp4")))
    assert ask(visitor, "measure", named(example), "pos").status_code == 404


def test_an_upload_and_an_example_are_measured_by_the_same_requests(visitor, tmp_path, recording):
    video = write_video(tmp_path / "face ä.mp4", recording.pictures, recording.time_s)
    (kept,) = visitor.post(
        "/gradio_api/upload", files={"files": (video.name, video.read_bytes())}
    ).json()
    shown = str(visitor.base_url.join(f"/gradio_api/file={kept}"))  # as programs may name it
    assert visitor.get(shown).is_success
    for path in (kept, shown, str(next(EXAMPLES.glob("*.mp4")))):
        answer = wait(visitor, "measure", named(path), "pos")
        assert answer["data"][0]["schema"] == 1, answer


def test_the_log_names_nobody_and_says_nothing_of_who_leaves(tmp_path):
    """Each socket left there the address of its visitor, each half of an upload a stack trace."""
    log = tmp_path / "log.txt"
    with served(log) as page:
        for origin in (None, Origin("https://elsewhere.example")):
            with connect(live_address(page), origin=origin):
                pass
        break_off_an_upload(page)
        assert get(page, timeout=60).is_success
    assert "Uvicorn running on" in log.read_text()
    assert "WebSocket" not in log.read_text()
    assert "Traceback" not in log.read_text()


# What is measured until someone ends it, or for so long that it is no chance.
MEASURED_ON = """
from threading import Event
from webapp import handlers
def measured(path, model, progress, limits):
    print("began", flush=True)
    for _ in range(200):
        progress("Watching the face", 0.5)
        Event().wait(0.05)
    raise RuntimeError("it was measured on")
handlers.measure = measured
"""


def test_a_server_that_stops_ends_what_it_measures_and_says_nothing(tmp_path):
    """Each video left a stack trace."""
    log, film = tmp_path / "log.txt", named(str(next(EXAMPLES.glob("*.mp4"))))
    (tmp_path / "app").mkdir()
    with served(log, changed_app(tmp_path / "app", MEASURED_ON)) as page:
        for _ in range(2):
            question = {"data": [film, "pos"]}
            post(f"{page}/gradio_api/call/measure", json=question, timeout=60).raise_for_status()
        while log.read_text().count("began") < 2:
            Event().wait(0.05)
    assert "measured on" not in log.read_text()
    assert "Traceback" not in log.read_text()


def test_a_message_that_is_too_large_is_not_even_held(visitor):
    address = live_address(str(visitor.base_url))
    with connect(address) as socket:
        socket.send(bytes(MOST_BYTES))
        assert "camera's size" in str(socket.recv())
    with connect(address) as socket:
        socket.send(bytes(MOST_BYTES + 1))
        with pytest.raises(ConnectionClosed, match="1009"):
            socket.recv()


@pytest.mark.parametrize(("megabytes", "status"), [(8, 200), (8 + 1e-6, 413)])
def test_a_file_that_is_too_large_is_not_taken(narrow, megabytes, status):
    visitor, folder = narrow
    name = f"{status}.mp4"
    content = bytes(round(megabytes * 2**20))
    answer = visitor.post("/gradio_api/upload", files={"files": (name, content)})
    assert answer.status_code == status, answer.text
    kept = [path.name for path in folder.glob("kdphys-*/**/*") if path.stat().st_size > 2**22]
    assert (name in kept) == (status == 200)
    assert len(kept) <= 1


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([("files", ("one.mp4", b"a face")), ("files", ("two.mp4", b"a face"))], {}),
        ([("files", ("one.mp4", b"a face"))], {"files": "two"}),
        ([("files", (None, bytes(100_000)))], {}),  # no file: it would be held in memory
    ],
)
def test_an_upload_is_one_file_and_nothing_else(narrow, files, words):
    visitor, folder = narrow
    there = {*folder.glob("kdphys-*/**/*")}
    answer = visitor.post("/gradio_api/upload", files=files, data=words, headers=FORM)
    assert (answer.status_code, answer.text) == (400, texts.ONE_FILE)
    assert {*folder.glob("kdphys-*/**/*")} == there


@pytest.mark.parametrize(
    "disposition",
    [
        b'form-data; name="filename=x"',
        b'form-data; filename="a.mp4"\r\nContent-Disposition: form-data; name="files"',
        b'form-data; name="files"\r\nContent-Disposition-Too: form-data; filename="a.mp4"',
    ],
)
def test_what_only_looks_like_a_file_is_none(narrow, disposition):
    visitor, _ = narrow
    form = b"--x\r\nContent-Disposition: %s\r\n\r\na face\r\n--x--\r\n" % disposition
    answer = visitor.post("/gradio_api/upload", content=form, headers=FORM)
    assert (answer.status_code, answer.text) == (400, texts.ONE_FILE)


@pytest.mark.parametrize("says_its_length", [True, False])
@pytest.mark.parametrize(("behind", "status"), [(MOST_WORDS - 200, 200), (MOST_WORDS, 413)])
def test_no_more_comes_than_the_largest_file(narrow, behind, status, says_its_length):
    visitor, folder = narrow
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\n'
    form = head + bytes(8 * 2**20) + b"\r\n--x--\r\n" + bytes(behind)
    sent = form if says_its_length else (form[at : at + 9999] for at in range(0, len(form), 9999))
    kept = {*folder.glob("kdphys-*/**/*")}
    answer = visitor.post("/gradio_api/upload", content=sent, headers=FORM)
    assert answer.status_code == status
    if status == 413:
        assert answer.text == texts.TOO_LARGE.format(size=8)
        assert {*folder.glob("kdphys-*/**/*")} == kept


@pytest.mark.parametrize(
    "path", ["run/predict", "queue/join", "call/measure", "cancel", "component_server", "nowhere"]
)
def test_a_question_is_short(visitor, path):
    question = {"data": [None, "x" * MOST_WORDS], "fn_index": 0, "session_hash": "abc"}
    answer = visitor.post(f"/gradio_api/{path}", json=question)
    assert (answer.status_code, answer.text) == (413, texts.TOO_MANY_WORDS.format(most=16))
    pieces = (b"x" * 1000 for _ in range(MOST_WORDS // 1000 + 1))
    assert visitor.post(f"/gradio_api/{path}", content=pieces).status_code == 413
    assert visitor.get("/config").is_success


def test_a_question_of_brackets_is_answered(visitor):
    answer = visitor.post("/gradio_api/queue/join", content=b"[" * MOST_WORDS)
    assert answer.status_code in (400, 422)


def test_a_file_is_shown_in_one_piece_at_a_time(visitor):
    """Several ended in a stack trace, and those that end before they begin in a byte."""
    example = f"/gradio_api/file={next(EXAMPLES.glob('*.mp4'))}"
    whole = visitor.get(example).content
    for asked, piece in (("0-0", whole[:1]), ("5-", whole[5:]), ("-3", whole[-3:])):
        answer = visitor.get(example, headers={"Range": f"bytes={asked}"})
        assert (answer.status_code, answer.content) == (206, piece)
    for asked in ("0-1,2-3,4-5", "0-1,2-3", "5-2", "-", "\N{SUPERSCRIPT TWO}-3", "1" * 5000 + "-"):
        answer = visitor.get(example, headers={"Range": f"bytes={asked}".encode("latin-1")})
        assert (answer.status_code, answer.text) == (416, texts.ONE_PIECE)


@pytest.mark.parametrize(
    ("path", "question"),
    [
        ("queue/join", {"fn_index": 999, "session_hash": "abc"}),
        ("run/predict", {"fn_index": 999}),
        ("run/predict", {"session_hash": "abc"}),
        ("call/nowhere", {}),
    ],
)
def test_what_the_page_can_t_be_asked_is_said_to_be_unknown(visitor, path, question):
    """It was a failure of the server, with a stack trace in its log."""
    answer = visitor.post(f"/gradio_api/{path}", json={"data": [], **question})
    assert (answer.status_code, answer.text) == (404, texts.NO_FUNCTION)


def test_who_gives_too_little_is_told_what_is_needed(patient):
    visitor, log = patient
    before = log.read_text()
    said = texts.TOO_FEW.format(needed=2, given=1)
    assert wait(visitor, "measure", None)["error"] == said
    assert said in ask(visitor, "on_video", None).text
    assert log.read_text() == before


@pytest.mark.parametrize(
    "given",
    ["face.mp4", 5, True, [], {}, {"path": "face.mp4"}, {"path": "a", "meta": 5}, named("/a.mp4")],
)
def test_who_gives_what_is_no_file_is_told_so(patient, given):
    """It was a failure of the server, with a stack trace in its log."""
    visitor, log = patient
    before = log.read_text()
    assert wait(visitor, "measure", given, "pos")["error"] == texts.NO_FILE
    assert texts.NO_FILE in ask(visitor, "on_video", given, None).text
    assert log.read_text() == before


@pytest.mark.parametrize("name", ["\0", "a" * 5000, "a/" * 2500, "/proc/version/a"])
def test_who_gives_what_no_file_can_be_named_is_told_so(patient, name):
    """It was a failure of the server, with a stack trace and the name in its log."""
    visitor, log = patient
    before = log.read_text()
    for path in (name, f"/{name}", f"{visitor.base_url}/gradio_api/file={name}"):
        begun = visitor.post("/gradio_api/call/measure", json={"data": [named(path), "pos"]})
        answer = visitor.get(f"/gradio_api/call/measure/{begun.json()['event_id']}")
        assert texts.NO_FILE in answer.text
        assert texts.NO_FILE in ask(visitor, "on_video", named(path), None).text
    for path in (f"https://a/{name}", f"{visitor.base_url}/gradio_api/file={name}"):
        said = call_tool(visitor, {"video": path, "model": "pos"}).text
        assert texts.NO_FILE in said or texts.NOT_FETCHED in said
    assert log.read_text() == before


@pytest.mark.parametrize(
    "words", [b"[" * 3000, b"[" * 101 + b"]" * 101, b'{"\xff', b"9" * 5000, b"a call", b""]
)
def test_a_tool_s_caller_who_makes_no_sense_is_told_so(patient, words):
    """It was a failure of the server, with a stack trace in its log."""
    visitor, log = patient
    before = log.read_text()
    for path in ("", "/", "/http/"):
        address = f"/gradio_api/mcp{path}"
        answer = visitor.post(address, content=words, headers=TOOLS_ACCEPT)
        assert (answer.status_code, answer.text) == (400, texts.NO_CALL)
    assert log.read_text() == before


def test_a_tool_s_caller_may_send_a_small_video_and_no_large_one(patient):
    visitor, _ = patient
    too_much = texts.TOO_MANY_WORDS.format(most=4096)
    for size, said in ((3_000_000, "not one of"), (2**22, too_much)):
        given = {"video": "data:video/mp4;base64," + "A" * size, "model": 5}
        assert said in call_tool(visitor, given).text


def test_who_names_a_model_that_is_none_is_told_so(patient):
    visitor, log = patient
    before = log.read_text()
    assert "not in the list of choices" in wait(visitor, "measure", None, "bogus")["error"]
    assert log.read_text() == before


def test_who_says_nothing_keeps_nobody_out(narrow):
    """A thousand silent connections left the server no file to open, and it heard nobody."""
    visitor, _ = narrow
    place = (visitor.base_url.host, visitor.base_url.port)
    with ExitStack() as lines:
        silent = [lines.enter_context(create_connection(place, 60)) for _ in range(80)]
        assert get(visitor.base_url.join("/config"), timeout=60).is_success  # by another line
        assert silent[0].recv(1) == b""


@pytest.mark.parametrize(
    ("function", "more"), [("measure", ("pos",)), ("compare", ()), ("on_measure", ("pos", None))]
)
def test_a_video_that_takes_too_much_is_refused_with_a_sentence(
    narrow, tmp_path, recording, function, more
):
    visitor, _ = narrow
    video = write_video(tmp_path / "face.mp4", recording.pictures, recording.time_s)
    (kept,) = visitor.post(
        "/gradio_api/upload", files={"files": (video.name, video.read_bytes())}
    ).json()
    for path, said in (
        (str(next(EXAMPLES.glob("*.mp4"))), "lasts more than 0.25 minutes"),  # it lasts 20 s
        (kept, "face.mp4 was not measured within 0 minutes"),
    ):
        assert said in wait(visitor, function, named(path), *more)["error"]
    assert "8 MB and 0.25 minutes" in visitor.get("/").text


@pytest.mark.parametrize(
    ("function", "more"), [("measure", ("pos",)), ("compare", ()), ("on_measure", ("pos", None))]
)
def test_who_leaves_is_not_measured_to_the_end(patient, function, more):
    visitor, log = patient
    kept = upload_endless(visitor)
    for session in ("leaves-1", "leaves-2"):  # as many as are measured at once
        asked = request(visitor, function, named(kept), *more, session=f"{function}-{session}")
        assert visitor.post("/gradio_api/queue/join", json=asked).is_success
        data = f"/gradio_api/queue/data?session_hash={asked['session_hash']}"
        with visitor.stream("GET", data) as lines:
            assert any("process_starts" in line for line in lines.iter_lines())
    example = str(next(EXAMPLES.glob("*.mp4")))
    assert wait(visitor, "measure", named(example), "pos")["data"][0]["schema"] == 1
    said = log.read_text()
    assert "measured endless.mp4" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("path", ["queue/join", "call/measure", "call/v2/measure"])
def test_who_never_listens_is_not_measured_to_the_end(patient, path):
    """Twenty such kept a server's queue until each was measured."""
    visitor, log = patient
    kept = upload_endless(visitor)
    for session in ("deaf-1", "deaf-2"):  # as many as are measured at once
        asked = request(visitor, "measure", named(kept), "pos", session=session)
        if "v2" in path:
            asked = {"video": named(kept), "model": "pos"}
        assert visitor.post(f"/gradio_api/{path}", json=asked).is_success
    example = str(next(EXAMPLES.glob("*.mp4")))
    assert wait(visitor, "measure", named(example), "pos")["data"][0]["schema"] == 1
    said = log.read_text()
    assert "measured endless.mp4" not in said
    assert "Traceback" not in said


@pytest.mark.parametrize("told", [{}, {"_meta": {"progressToken": 1}}])
def test_who_calls_a_tool_and_leaves_is_not_measured_to_the_end(patient, told):
    """Gradio asks itself for it, and stayed though the caller had left."""
    visitor, log = patient
    kept = upload_endless(visitor)
    given = {"video": str(visitor.base_url.join(f"/gradio_api/file={kept}")), "model": "pos"}
    call = {"name": "measure_video", "arguments": given, **told}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    accepted = {"Accept": "application/json, text/event-stream"}
    begun = log.read_text().count("began endless.mp4")
    for number in (1, 2):  # as many as are measured at once
        with visitor.stream("POST", "/gradio_api/mcp/", json=asked, headers=accepted) as answer:
            assert answer.is_success
            while log.read_text().count("began endless.mp4") < begun + number:
                threading.Event().wait(0.1)
    example = str(next(EXAMPLES.glob("*.mp4")))
    assert wait(visitor, "measure", named(example), "pos")["data"][0]["schema"] == 1
    said = log.read_text()
    assert "measured endless.mp4" not in said
    assert "Traceback" not in said


def test_one_address_does_not_take_every_place_in_the_queue(patient):
    """22 questions of one program, which then left, kept all others out until each was answered."""
    visitor, _ = patient
    kept = upload_endless(visitor)
    asked = request(visitor, "measure", named(kept), "pos", session="many")

    def answer(who: str, path: str = "queue/join") -> Response:
        headers = {"X-Forwarded-For": who}
        return visitor.post(f"/gradio_api/{path}", json=asked, headers=headers)

    for _ in range(MOST_OF_ONE):
        assert answer("192.0.2.7").is_success
    for path in ("queue/join", "call/measure", "call/v2/measure"):
        refused = answer("192.0.2.7", path)
        said = texts.BUSY_OF_ONE.format(answers=MOST_OF_ONE)
        assert (refused.status_code, refused.json()) == (503, {"detail": said})
    assert answer("192.0.2.8").is_success
    with visitor.stream("GET", "/gradio_api/queue/data?session_hash=many") as lines:
        next(lines.iter_lines())
    example = str(next(EXAMPLES.glob("*.mp4")))
    assert wait(visitor, "measure", named(example), "pos")["data"][0]["schema"] == 1
    assert answer("192.0.2.7").is_success
    with visitor.stream("GET", "/gradio_api/queue/data?session_hash=many") as lines:
        next(lines.iter_lines())


def test_a_full_queue_is_told_in_a_sentence(patient):
    """Max size is 20 and size is 20, it said."""
    visitor, _ = patient
    kept = upload_endless(visitor)
    asked = request(visitor, "measure", named(kept), "pos", session="full")
    answers = (
        visitor.post(
            "/gradio_api/queue/join", json=asked, headers={"X-Forwarded-For": f"192.0.2.{n}"}
        )
        for n in range(2 * WAITING)
    )
    refused = next(answer for answer in answers if not answer.is_success)
    said = texts.BUSY.format(answers=WAITING)
    assert (refused.status_code, refused.json()) == (503, {"detail": said})
    with visitor.stream("GET", "/gradio_api/queue/data?session_hash=full") as lines:
        next(lines.iter_lines())
    example = str(next(EXAMPLES.glob("*.mp4")))
    assert wait(visitor, "measure", named(example), "pos")["data"][0]["schema"] == 1
