"""Requests of a visitor's own making: no file of the server is read but uploads and examples."""

from collections.abc import Iterator

import pytest
from httpx import Client, Response

from tests._films import write_video
from tests._page import served
from webapp.ui import EXAMPLES

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Someone who talks to the page without a browser."""
    log = tmp_path_factory.mktemp("server") / "log.txt"  # uploads are kept beside it
    with served(log) as address, Client(base_url=address, timeout=60) as client:
        yield client


def ask(visitor: Client, function: str, *given: object) -> Response:
    """Call a function of the page."""
    functions = visitor.get("/config").json()["dependencies"]
    number = next(one["id"] for one in functions if one["api_name"] == function)
    asked = {"data": given, "fn_index": number, "session_hash": "abc"}
    return visitor.post("/gradio_api/run/predict", json=asked)


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
    file = {"path": str(secret), "meta": {"_type": "gradio.FileData"}}
    answer = ask(visitor, function, *(file if each == "{file}" else each for each in given))
    assert "secret" not in answer.text
    assert list(tmp_path.parent.rglob(secret.name)) == [secret]
    assert not visitor.get(f"/gradio_api/file={secret}").is_success


def test_an_upload_and_an_example_are_measured_by_the_same_requests(visitor, tmp_path, recording):
    video = write_video(tmp_path / "face.mp4", recording.pictures, recording.time_s)
    (kept,) = visitor.post(
        "/gradio_api/upload", files={"files": (video.name, video.read_bytes())}
    ).json()
    example = str(next(EXAMPLES.glob("*.mp4")))
    for path in (kept, example):
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        answer = ask(visitor, "measure", file, "pos")
        assert answer.is_success, answer.text
        assert answer.json()["data"][0]["schema"] == 1
