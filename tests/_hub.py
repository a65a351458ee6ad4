"""A small Hugging Face Hub on this machine, which can fail on purpose, and a client beside it.

The client is a process of its own, as huggingface_hub reads where the Hub is when it is imported.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parent.parent
TOKEN = "a-token-that-may-write"
RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
MODEL = re.compile(r"/api/(?:models|spaces)/([^/]+/[^/]+?)(?:/(preupload|commit)/main)?(?:\?.*)?")

Fault = Literal["cut once", "short", "altered", "other", "busy", "gone"]


@dataclass
class FakeHub:
    """What is on the Hub, and how it misbehaves. Files by repository, commit and name."""

    repositories: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    """By repository: the first model.onnx breaks off; every model.onnx ends early; every model.onnx
    has a wrong byte; another commit is named than was asked for; 503; connections are dropped."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request."""

    def publish(self, repository: str, folder: Path) -> str:
        """Put a folder's files on the Hub; give the commit."""
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        return self.commit(repository, files)

    def commit(self, repository: str, files: dict[str, bytes]) -> str:
        """Make a commit of all that a repository holds."""
        named = repository.encode() + b"".join(files.values())
        commit = hashlib.sha1(named, usedforsecurity=False).hexdigest()
        self.repositories.setdefault(repository, {})[commit] = files
        return commit

    def asked_for(self, repository: str, method: str = "") -> list[str]:
        """Paths that were asked for in a repository."""
        return [path for word, path in self.asked if repository in path and method in word]


def serve(hub: FakeHub) -> ThreadingHTTPServer:
    """Start the Hub on a free port; shut it down when done."""

    class Answer(_Answer):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FakeHub

    def do_HEAD(self) -> None:
        self._resolve(with_body=False)

    def do_GET(self) -> None:
        if found := MODEL.fullmatch(self.path):
            self._say_what_is(found[1])
        else:
            self._resolve(with_body=True)

    def do_POST(self) -> None:
        self._note()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._refuse(HTTPStatus.UNAUTHORIZED, "", "Invalid username or password.")
        elif self.path == "/api/repos/create":
            self._create(json.loads(body))
        elif (found := MODEL.fullmatch(self.path)) and found[2] == "preupload":
            asked = json.loads(body)["files"]
            row = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            self._json({"files": [row | {"path": file["path"]} for file in asked]})
        elif found and found[2] == "commit":
            self._commit(found[1], body)
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "", "no such page")

    def _resolve(self, *, with_body: bool) -> None:
        """A file at a commit, or what is wrong with the question."""
        self._note()
        found = RESOLVE.fullmatch(self.path)
        if not found:
            return self._refuse(HTTPStatus.NOT_FOUND, "", "no such page")
        repository, commit, file = found.groups()
        fault = self.state.faults.get(repository)
        if fault == "gone":
            self.close_connection = True
            return None
        if fault == "busy":
            return self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "", "busy")
        if repository not in self.state.repositories:
            return self._refuse(HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Repository not found")
        if commit not in self.state.repositories[repository]:
            return self._refuse(HTTPStatus.NOT_FOUND, "RevisionNotFound", "no such revision")
        files = self.state.repositories[repository][commit]
        if fault == "other":
            commit = commit[::-1]
        if file not in files:
            return self._refuse(HTTPStatus.NOT_FOUND, "EntryNotFound", "no such file")
        return self._send_file(
            files[file], commit, fault if file == "model.onnx" else None, with_body
        )

    def _send_file(self, whole: bytes, commit: str, fault: Fault | None, with_body: bool) -> None:
        etag = hashlib.sha256(whole).hexdigest()
        body = whole
        self.send_response(HTTPStatus.OK)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("X-Linked-Size", str(len(whole)))
        if with_body and fault == "short":  # no length, so that the end looks like the end
            self.send_header("Connection", "close")
            body = body[: len(body) // 2]
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not with_body:
            return
        if fault == "altered":
            body = body[:-1] + bytes([body[-1] ^ 1])
        if fault == "cut once" and len(self.state.asked_for(self.path, "GET")) == 1:
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    def _say_what_is(self, repository: str) -> None:
        self._note()
        if repository not in self.state.repositories:
            return self._refuse(HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Repository not found")
        return self._json({"id": repository, "sha": [*self.state.repositories[repository]][-1]})

    def _create(self, asked: dict[str, str]) -> None:
        repository = f"{asked['organization']}/{asked['name']}"
        if repository in self.state.repositories:
            status = HTTPStatus.CONFLICT
        else:
            status = HTTPStatus.OK
            self.state.repositories[repository] = {}
        self._json({"url": f"http://{self.headers['Host']}/{repository}"}, status)

    def _commit(self, repository: str, body: bytes) -> None:
        lines = [json.loads(line) for line in body.splitlines()]
        files = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"])
            for line in lines
            if line["key"] == "file"
        }
        commit = self.state.commit(repository, files)
        self._json({"commitUrl": f"/{repository}/commit/{commit}", "commitOid": commit})

    def _json(self, record: dict[str, object], status: HTTPStatus = HTTPStatus.OK) -> None:
        body = json.dumps(record).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _note(self) -> None:
        self.state.asked.append((self.command, self.path))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


@dataclass(frozen=True)
class Said:
    """What the client answered."""

    found: dict[str, str]
    """What was found; empty where there was an error."""
    error: str
    """Class of the error, then its sentence."""
    warnings: list[str]


class Client:
    """A process that uses a Hub; it keeps its cache in a folder.

    Args:
        endpoint: Where the Hub is.
        home: Folder of the cache.
    """

    def __init__(self, endpoint: str, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests._hub_client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment(endpoint, home),
        )

    def ask(self, do: str, **words: str | None) -> Said:
        """Let the client load or push."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps({"do": do} | words), file=self._process.stdin, flush=True)
        return Said(**json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def environment(endpoint: str, home: Path) -> dict[str, str]:
    """Variables by which huggingface_hub uses this Hub and this folder, and no token."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return kept | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1",
    }
