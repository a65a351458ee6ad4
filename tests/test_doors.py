"""Doors of Gradio that stay shut, by whatever path someone comes to them."""

import json
from collections.abc import Iterator

import pytest
from httpx import Client
from websockets.sync.client import connect

from tests._page import served
from webapp import texts
from webapp.bounds import MOST_SESSIONS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("requests")]

BEFORE = "/a/path"


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Who asks a server itself that a proxy shows below a path."""
    log = tmp_path_factory.mktemp("below") / "log.txt"
    named = {"X-Forwarded-For": "203.0.113.7"}
    with (
        served(log, GRADIO_ROOT_PATH=BEFORE, GRADIO_MCP_SERVER="true") as address,
        Client(base_url=address, timeout=60, headers=named) as client,
    ):
        yield client
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("before", ["", BEFORE, 2 * BEFORE])
def test_no_door_is_open_below_the_path_of_a_proxy(below, before):
    """Written twice, that path led past each of them, to Gradio's own fetcher too."""
    at = f"{before}/gradio_api"
    answer = below.get(f"{at}/file=https://example.org/x")
    assert (answer.status_code, answer.text) == (403, texts.NOT_FETCHED)
    assert below.post(f"{at}/process_recording").text == texts.NOT_CUT
    files = [("files", ("a.mp4", b"a")), ("files", ("b.mp4", b"b"))]
    answer = below.post(f"{at}/upload", files=files)
    assert (answer.status_code, answer.text) == (400, texts.ONE_FILE)
    answer = below.post(f"{at}/queue/join", content=b"x" * 20_000)
    assert answer.status_code == 413
    assert below.get(f"{before}/live-files/live.js").is_success
    assert below.get(f"{before}/config").is_success
    with connect(f"{str(below.base_url).replace('http', 'ws', 1)}{before}/live") as socket:
        socket.send("{}")
        assert json.loads(socket.recv())["closed"]


def test_a_path_that_only_begins_like_the_proxy_s_is_another(below):
    assert below.get(f"{BEFORE}s/config").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/startup-events"),
        ("GET", "/gradio_api/deep_link?session_hash=x"),
        ("POST", "/gradio_api/component_server"),
        ("GET", "/pwa_icon/64"),
        ("GET", "/monitoring/summary"),
        ("GET", "/monitoring/x/dashboard"),
    ],
)
def test_what_is_gradio_s_own_is_for_nobody(below, method, path):
    """Anyone could start its queue anew; and some ended as a failure of its own."""
    answer = below.request(method, path, json={} if method == "POST" else None)
    assert (answer.status_code, answer.text) == (404, texts.NOTHING_HERE)


@pytest.mark.parametrize(
    ("name", "given", "status", "said"),
    [
        ("measure", {}, 422, texts.WRONG_WORDS.split("(")[0]),
        ("measure", {"vidio": None}, 422, texts.WRONG_WORDS.split("(")[0]),
        ("nothing", {}, 404, texts.NO_FUNCTION),
    ],
)
def test_who_asks_in_other_words_than_the_page_takes_is_told(below, name, given, status, said):
    answer = below.post(f"/gradio_api/call/v2/{name}", json=given)
    assert answer.status_code == status
    assert answer.text.startswith(said)


@pytest.mark.parametrize(
    "path", ["</script>/gradio_api/mcp", "x/gradio_api/mcp/", "sse", "messages/"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_beside_the_tools_there_is_nothing(below, method, path):
    """Gradio wrote such a path into a page's script, and counted such a call nowhere."""
    answer = below.request(method, f"/gradio_api/mcp/{path}")
    assert (answer.status_code, answer.text) == (404, texts.NO_TOOLS_HERE)


def test_what_the_page_does_by_itself_is_not_asked_of_the_server(below):
    functions = below.get("/config").json()["dependencies"]
    own = [one for one in functions if not one["backend_fn"]]
    assert own
    for one in own:
        asked = {"data": [None] * len(one["inputs"]), "fn_index": one["id"], "session_hash": "own"}
        answer = below.post("/gradio_api/run/predict", json=asked)
        assert answer.json()["error"] == texts.NO_FUNCTION, one["api_name"]


def test_one_address_opens_so_many_sessions_and_goes_on_in_those(below):
    """Whatever name of a session came, Gradio kept 0.1 MB of it, 10,000 of them."""
    functions = below.get("/config").json()["dependencies"]
    number = next(one["id"] for one in functions if one["api_name"] == "on_video")

    def ask(session: str | None, who: str = "203.0.113.9") -> int:
        asked = {"data": [None, None], "fn_index": number, "session_hash": session}
        headers = {"X-Forwarded-For": who}
        return below.post("/gradio_api/run/predict", json=asked, headers=headers).status_code

    assert {ask(f"one-{session}") for session in range(MOST_SESSIONS)} == {200}
    assert ask("one-more") == 503
    assert ask(None) == 503
    assert ask("one-0") == 200
    assert ask("one-more", "203.0.113.10") == 200
