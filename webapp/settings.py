"""What can be set where the page is started, by variables of the environment.

To be imported before what takes seconds to load, so that a mistake is told at once.
"""

import argparse
import errno
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from kdphys.errors import KDPhysError

PORT, MOST_PORT = 7860, 65_535
HERE_ALONE, EVERYWHERE = "127.0.0.1", "0.0.0.0"
IN_A_SPACE = "SPACE_ID"  # set there; a Space has a proxy
ROOT_PATH = re.compile(r"(https?://[\w.-]+(:(?P<port>\d{1,5}))?)?(/[\w.~%+-]+)*/*", re.ASCII)
# Gradio reads these too, and would end with a stack trace where one is no number.
CONCURRENCY = "GRADIO_DEFAULT_CONCURRENCY_LIMIT"  # which may be none
GRADIOS_NUMBERS = (
    CONCURRENCY,
    "GRADIO_NUM_PORTS",
    "GRADIO_NODE_NUM_PORTS",
    "GRADIO_ANALYTICS_MAX_EVENTS",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY",
)
NUMBER = re.compile(r"[1-9]\d{0,8}", re.ASCII)
HELP = f"""Start the page, until Ctrl+C. These variables of the environment change it:

  GRADIO_SERVER_NAME   address of this machine at which it answers: {HERE_ALONE} for this computer
                       alone, {EVERYWHERE} for its network too
  GRADIO_SERVER_PORT   port at which it answers; {PORT}
  GRADIO_ROOT_PATH     path below which a proxy shows it, as /a/path, or all of its address there
  FORWARDED_ALLOW_IPS  address of a proxy on another machine, to be believed when it says who asks
  GRADIO_MCP_SERVER    true: programs find its tools by the Model Context Protocol
"""


class SettingsError(KDPhysError):
    """The page can't be served as it is set."""


@dataclass(frozen=True)
class Settings:
    """Where the page can be reached."""

    host: str
    """Address of this machine."""
    port: int
    root_path: str = ""
    """Path below which a proxy shows the page, or its address there; no slash at its end."""
    has_tools: bool = False
    """Whether programs find its tools by the Model Context Protocol."""


def read_settings(words: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Hear what is asked for; what can't be served ends the program with a sentence.

    Args:
        words: The command line's, of which there is only --help.
        environment: Its variables.
    """
    parser = argparse.ArgumentParser(
        prog="app.py", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(words)
    everywhere = EVERYWHERE if IN_A_SPACE in environment else HERE_ALONE
    try:
        settings = Settings(
            host=environment.get("GRADIO_SERVER_NAME", everywhere),
            port=_port(environment.get("GRADIO_SERVER_PORT", str(PORT))),
            root_path=_root_path(environment.get("GRADIO_ROOT_PATH", "")),
            has_tools=_has_tools(environment.get("GRADIO_MCP_SERVER", "false")),
        )
        _check_gradios_numbers(environment)
        _try(settings)
    except SettingsError as error:
        parser.exit(2, f"{error}\n")
    return settings


def _port(said: str) -> int:
    try:
        port = int(said)
    except ValueError:
        port = -1
    if not 0 <= port <= MOST_PORT:
        raise SettingsError(
            f"GRADIO_SERVER_PORT={said!r} is no port: give a number up to {MOST_PORT}, or none for "
            f"{PORT}."
        )
    return port


def _root_path(said: str) -> str:
    found = ROOT_PATH.fullmatch(said)
    if not found or not 1 <= int(found["port"] or MOST_PORT) <= MOST_PORT:
        raise SettingsError(
            f"GRADIO_ROOT_PATH={said!r} is no path: give one as /a/path, or the page's address as "
            "https://example.org/a/path, or none."
        )
    return said.rstrip("/")


def _has_tools(said: str) -> bool:
    if said.lower() not in ("true", "false", ""):
        raise SettingsError(
            f"GRADIO_MCP_SERVER={said!r} is neither true nor false: give true for tools, or none."
        )
    if said.lower() == "true" and find_spec("mcp") is None:
        raise SettingsError(
            "GRADIO_MCP_SERVER=true needs the package mcp: install it with "
            "`.venv/bin/pip install -e '.[tools]'`, or give none."
        )
    return said.lower() == "true"


def _check_gradios_numbers(environment: Mapping[str, str]) -> None:
    for name in GRADIOS_NUMBERS:
        said = environment.get(name, "1")
        is_no_limit = name == CONCURRENCY and said.lower() in ("none", "")
        if not (is_no_limit or NUMBER.fullmatch(said)):
            raise SettingsError(f"{name}={said!r} is no number from 1 on: give one, or none.")


def _try(settings: Settings) -> None:
    """See that the page can be served there: a server would find out seconds later."""
    try:
        # An empty name would stand for all addresses.
        found = socket.getaddrinfo(settings.host, settings.port) if settings.host else []
        for family, _, _, _, address in found:
            socket.create_server((str(address[0]), settings.port), family=family).close()
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise SettingsError(
                f"Port {settings.port} can't be used ({error.strerror}): end the program that has "
                "it, or give another one as GRADIO_SERVER_PORT."
            ) from None
        found = []
    if not found:
        raise SettingsError(
            f"GRADIO_SERVER_NAME={settings.host!r} is no address of this machine: give one that "
            f"is, {HERE_ALONE} for this computer alone or {EVERYWHERE} for its network too."
        )
