"""How the page is started: what is set wrong is told in one sentence, before anything is loaded."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence

import pytest

from tests._page import ROOT, free_port
from webapp.settings import Settings, read_settings

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


def test_a_port_in_use_is_told_before_anything_is_loaded():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "app.py"],
            cwd=ROOT,
            env={**os.environ, "GRADIO_SERVER_PORT": port},
            capture_output=True,
            text=True,
            check=False,
            timeout=AT_ONCE_S,
        )
    assert done.returncode == 2
    assert done.stdout == ""
    *loaded, said = done.stderr.splitlines()
    assert said.startswith(f"Port {port} can't be used (Address already in use")
    assert "GRADIO_SERVER_PORT" in said
    assert all(line.startswith("import time:") for line in loaded)
    assert not [line for line in loaded if line.endswith("gradio")]


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
