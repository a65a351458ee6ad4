"""How much a request may bring: one file, or some words.

Gradio takes a thousand files in one upload, holds in memory whatever else comes in its form, and
reads JSON of any length. Here an upload is one file, and all else that is sent is short, but for
calls of tools, which may hold a small video. What of these is no JSON, or nested without end, the
library of their protocol would answer as a failure of its own, with a page in the log.

Nor does an upload fill the disk: Gradio leaves there what it could write before the disk was full,
and so keeps all others out; here it is broken off before, which Gradio cleans up. A call's video
counts as an upload.

And Gradio keeps what a session has shown, by whatever name someone asks: of one address so many.
"""

import json
from pathlib import Path
from secrets import token_hex

from fastapi.responses import JSONResponse, PlainTextResponse, Response
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapp import texts
from webapp.address import who_asks
from webapp.doors import CALL, TOOL_CALLS
from webapp.folder import room
from webapp.shares import Sessions, Shares, Upload

UPLOAD = "/gradio_api/upload"
BRING_NOTHING = ("GET", "HEAD", "OPTIONS")
MOST_WORDS = 16 * 1024  # bytes; the page sends 1,000, most of which are the name of a file
MOST_CALL = 4 * 2**20  # bytes; as much as the Model Context Protocol's own library takes
MOST_SESSIONS = 100  # of one address, where visitors have addresses of their own
ASKED = ("/gradio_api/run/", "/gradio_api/api/", "/gradio_api/queue/join", CALL)
MOST_NESTED = 100  # lists and objects in a call of a tool, which has some ten


class Bounds:
    """Everything a server answers to, of which it takes no more than that.

    Args:
        app: What answers.
        folder: Where uploads are kept.
        most_mb: Size of the largest file that may be uploaded, in MB of 2**20 bytes.
        has_tools: Whether there are tools, whose calls may bring a video.
    """

    def __init__(self, app: ASGIApp, folder: Path, most_mb: int, *, has_tools: bool) -> None:
        self.app, self.folder = app, folder
        self.most_mb = most_mb
        self.has_tools = has_tools
        self._shares, self._sessions = Shares(), Sessions()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or say why not."""
        if scope["type"] != "http" or scope["method"] in BRING_NOTHING:
            await self.app(scope, receive, send)
        elif scope["path"] == UPLOAD:
            await self._take_a_file(scope, receive, send)
        else:
            await self._take_words(scope, receive, send)

    async def _take_a_file(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            form = Form(headers.get("content-type", ""), self.most_mb)
            form.expect(int(headers.get("content-length", 0)))
        except FormParserError:
            await PlainTextResponse(texts.ONE_FILE, 400)(scope, receive, send)
        except MultiPartException as error:
            await PlainTextResponse(error.message, 413)(scope, receive, send)
        else:
            with self._shares.upload(who_asks(scope)) as upload:
                await self.app(scope, self._looked_at(form, upload, receive), send)

    def _looked_at(self, form: "Form", upload: Upload, receive: Receive) -> Receive:
        """What Gradio gets of an upload: all that comes, as long as it is one file and has room."""

        async def next_piece() -> Message:
            left = room(self.folder)
            if left < 0:
                raise MultiPartException(texts.NO_ROOM)  # as if what comes could not be understood
            if upload.is_too_much(left):
                raise MultiPartException(texts.NO_ROOM_FOR_ONE)
            message = await receive()
            form.take(message.get("body", b""))
            upload.take(len(message.get("body", b"")))
            return message

        return next_piece

    async def _take_words(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hear a request to its end before anyone answers it."""
        most = MOST_CALL if self.has_tools and scope["path"] in TOOL_CALLS else MOST_WORDS
        words = await _heard(receive, most)
        if words is None:
            said = texts.TOO_MANY_WORDS.format(most=most // 1024)
            await PlainTextResponse(said, 413)(scope, receive, send)
            return
        if refused := self._why_not(scope, words):
            await refused(scope, receive, send)
            return
        heard: list[Message] = [{"type": "http.request", "body": words, "more_body": False}]

        async def once_more() -> Message:
            return heard.pop() if heard else await receive()

        await self.app(scope, once_more, send)

    def _why_not(self, scope: Scope, words: bytes) -> Response | None:
        """Why nobody is to answer a request that was heard."""
        who = who_asks(scope)
        if scope["path"] in TOOL_CALLS and scope["method"] == "POST":
            if not _is_json(words):
                return PlainTextResponse(texts.NO_CALL, 400)
            left = room(self.folder)  # where there is none, the tools say so
            with self._shares.upload(who) as upload:
                if len(words) > MOST_WORDS and left >= 0 and upload.is_too_much(left):
                    return PlainTextResponse(texts.NO_ROOM_FOR_ONE, 413)
                upload.take(len(words))
            return None
        asks = who and scope["path"].startswith(ASKED)
        if asks and self._sessions.is_too_many(who, _session(words), MOST_SESSIONS):
            return JSONResponse({"detail": texts.SESSIONS.format(most=MOST_SESSIONS)}, 503)
        return None


class Form:
    """An upload on its way to Gradio, which removes what it has of one that breaks a rule.

    Args:
        content_type: The request's, which says what stands between the parts of the form.
        most_mb: Size of the largest file, in MB of 2**20 bytes.

    Raises:
        FormParserError: What stands between the parts is too long.
    """

    def __init__(self, content_type: str, most_mb: int) -> None:
        between = parse_options_header(content_type)[1].get(b"boundary", b"")
        self.most_mb = most_mb
        self._left = most_mb * 2**20 + MOST_WORDS  # bytes that may still come
        self._parts = 0
        self._header, self._value, self._kind = b"", b"", b""
        self._parser = MultipartParser(
            between,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._name,
                "on_header_value": self._say,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
            },
        )

    def expect(self, size: int) -> None:
        """Hear how many bytes will come, all in all.

        Raises:
            MultiPartException: They are too many.
        """
        if size > self._left:
            raise MultiPartException(texts.TOO_LARGE.format(size=self.most_mb))

    def take(self, piece: bytes) -> None:
        """Look at the next bytes.

        Raises:
            MultiPartException: They are too many, or belong to anything but one file.
        """
        self.expect(len(piece))
        self._left -= len(piece)
        self._parser.write(piece)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise MultiPartException(texts.ONE_FILE)

    def _name(self, piece: bytes, start: int, end: int) -> None:
        self._header += piece[start:end].lower()

    def _say(self, piece: bytes, start: int, end: int) -> None:
        self._value += piece[start:end]

    def _end_header(self) -> None:
        if self._header == b"content-disposition":  # the last one counts, as for Gradio
            self._kind = self._value
        self._header = self._value = b""

    def _end_headers(self) -> None:
        if b"filename" not in parse_options_header(self._kind)[1]:
            raise MultiPartException(texts.ONE_FILE)


async def _heard(receive: Receive, most: int) -> bytes | None:
    """All that a request brings; None where that is more."""
    words, goes_on = bytearray(), True
    while goes_on:
        message = await receive()
        words += message.get("body", b"")
        goes_on = message.get("more_body", False)
        if len(words) > most:
            return None
    return bytes(words)


def _session(words: bytes) -> str:
    """Name of the session that someone asks in; a new one where none is given."""
    try:
        asked = json.loads(words)
    except (ValueError, RecursionError):
        asked = None
    name = asked.get("session_hash") if isinstance(asked, dict) else None
    return name if isinstance(name, str) else token_hex()


def _is_json(words: bytes) -> bool:
    """Whether that can be read, and all that is made of it too."""
    if words.count(b"[") + words.count(b"{") > MOST_NESTED:
        return False
    try:
        json.loads(words)
    except ValueError:
        return False
    return True
