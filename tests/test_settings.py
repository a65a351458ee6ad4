"""How the page is started: what is set wrong is told in one sentence, before anything is loaded."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests._page import ROOT, START_S, changed_app, free_port
from webapp.settings import CONCURRENCY, GRADIOS_NUMBERS, Settings, read_settings

ADDRESSES_OF = socket.getaddrinfo
AT_ONCE_S = 60.0  # a second, on a machine that does nothing else


def refusal(capsys: pytest.CaptureFixture[str], **environment: str) -> str:
    """What is said before the program ends."""
    with pytest.raises(SystemExit) as end:
        read_settings([], environment)
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("port", ["abc", "", "99999", "-1", "7860.0"])
def test_what_is_no_port_is_told_by_its_variable(capsys, port):
    said = refusal(capsys, GRADIO_SERVER_PORT=port)
    assert said.startswith(f"GRADIO_SERVER_PORT={port!r} is no port: give a number up to 65535")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    "path",
    ["foo", "foo/", "//example.org", "/a//b", "/a b", "/a?b", "/a#b", "https://", "ftp://a/b", "ä"],
)
def test_what_is_no_path_is_told_by_its_variable(capsys, path):
    """The page answered 500, Internal Server Error."""
    said = refusal(capsys, GRADIO_ROOT_PATH=path)
    assert said.startswith(f"GRADIO_ROOT_PATH={path!r} is no path: give one as /a/path")
    assert said.count("\n") == 1


@pytest.mark.parametrize("port", ["99999", "65536", "0", "9" * 5000, ""])
def test_an_address_at_a_port_that_is_none_is_told_by_its_variable(capsys, port):
    """It was taken in silence."""
    said = refusal(capsys, GRADIO_ROOT_PATH=f"https://example.org:{port}/a")
    assert said.startswith(f"GRADIO_ROOT_PATH='https://example.org:{port}/a' is no path: give one")
    assert said.count("\n") == 1


@pytest.mark.parametrize("name", GRADIOS_NUMBERS)
@pytest.mark.parametrize("number", ["abc", "0", "-1", "1.5", "9" * 5000])
def test_what_gradio_takes_for_a_number_and_is_none_is_told_by_its_variable(capsys, name, number):
    """It was a stack trace."""
    said = refusal(capsys, **{name: number})
    assert said == f"{name}={number!r} is no number from 1 on: give one, or none.\n"


@pytest.mark.parametrize("number", ["4", "None", ""])
def test_what_gradio_understands_is_left_to_it(number):
    environment = {CONCURRENCY: number, "GRADIO_SERVER_PORT": str(free_port())}
    assert read_settings([], environment).root_path == ""


@pytest.mark.parametrize("answer", ["maybe", "1", "yes"])
def test_tools_that_are_neither_wanted_nor_not_are_told_by_their_variable(capsys, answer):
    said = refusal(capsys, GRADIO_MCP_SERVER=answer)
    assert said.startswith(f"GRADIO_MCP_SERVER={answer!r} is neither true nor false: give true")
    assert said.count("\n") == 1


def test_tools_without_what_they_need_are_refused(capsys, monkeypatch):
    monkeypatch.setattr("webapp.settings.find_spec", lambda _: None)
    assert "needs the package mcp: install it" in refusal(capsys, GRADIO_MCP_SERVER="true")


def known_to_nobody(name: str, port: int) -> Sequence[object]:
    """What asking the network would come to."""
    if name == "nowhere":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return ADDRESSES_OF(name, port)


@pytest.mark.parametrize("name", ["", "nowhere", "a..b", "192.0.2.1"])
def test_what_is_no_address_of_this_machine_is_told_by_its_variable(capsys, monkeypatch, name):
    monkeypatch.setattr(socket, "getaddrinfo", known_to_nobody)
    said = refusal(capsys, GRADIO_SERVER_NAME=name, GRADIO_SERVER_PORT=str(free_port()))
    assert said.startswith(f"GRADIO_SERVER_NAME={name!r} is no address of this machine")
    assert said.count("\n") == 1


def start(
    folder: Path, *words: str, within_s: float, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What Python says there until it ends."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=within_s,
    )


def test_a_port_in_use_is_told_before_anything_is_loaded():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = start(
            ROOT, "-X", "importtime", "app.py", within_s=AT_ONCE_S, GRADIO_SERVER_PORT=port
        )
    assert done.returncode == 2
    assert done.stdout == ""
    *loaded, said = done.stderr.splitlines()
    assert said.startswith(f"Port {port} can't be used (Address already in use")
    assert "GRADIO_SERVER_PORT" in said
    assert all(line.startswith("import time:") for line in loaded)
    assert not [line for line in loaded if line.endswith("gradio")]


@pytest.mark.slow
def test_weights_that_can_t_be_read_are_told_in_a_sentence(tmp_path):
    """It was a stack trace."""
    app = changed_app(
        tmp_path, "from pathlib import Path\nfrom kdphys import hub\nhub.SHIPPED = Path()"
    )
    port = str(free_port())
    done = start(app, "app.py", within_s=START_S, GRADIO_SERVER_PORT=port, TMPDIR=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "student/manifest.json is missing; install the weights again.\n"


def test_help_names_every_variable_and_starts_nothing(capsys):
    with pytest.raises(SystemExit) as end:
        read_settings(["--help"], {"GRADIO_SERVER_PORT": "abc"})
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "GRADIO_SERVER_NAME" in said
    assert "GRADIO_SERVER_PORT   port at which it answers; 7860" in said
    assert max(map(len, said.splitlines())) <= 100


def test_words_that_mean_nothing_are_refused(capsys):
    with pytest.raises(SystemExit) as end:
        read_settings(["--port", "80"], {})
    assert end.value.code == 2
    assert "--port 80" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        ({}, "127.0.0.1"),
        ({"SPACE_ID": "kd/page"}, "0.0.0.0"),
        ({"SPACE_ID": "kd/page", "GRADIO_SERVER_NAME": "127.0.0.1"}, "127.0.0.1"),
        ({"GRADIO_SERVER_NAME": "localhost"}, "localhost"),
    ],
)
def test_a_page_is_for_this_computer_alone_unless_told_otherwise(environment, host):
    port = free_port()
    found = read_settings([], {**environment, "GRADIO_SERVER_PORT": str(port)})
    assert found == Settings(host, port)


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("", ""),
        ("/", ""),
        ("/a/path", "/a/path"),
        ("/a/path/", "/a/path"),
        ("https://example.org", "https://example.org"),
        ("http://localhost:8080/a/path/", "http://localhost:8080/a/path"),
        ("https://example.org:65535", "https://example.org:65535"),
    ],
)
def test_a_page_may_lie_below_a_path_or_at_an_address(said, path):
    port = str(free_port())
    found = read_settings([], {"GRADIO_ROOT_PATH": said, "GRADIO_SERVER_PORT": port})
    assert found.root_path == path
    assert not found.has_tools


@pytest.mark.parametrize("said", ["true", "True"])
def test_tools_are_offered_where_they_are_wanted(said):
    port = str(free_port())
    assert read_settings([], {"GRADIO_MCP_SERVER": said, "GRADIO_SERVER_PORT": port}).has_tools
