"""Messages between a visitor's browser and the server, over the live socket.

The browser sends text (JSON) to say what its camera gives, and binary batches of pictures: raw RGB,
so that no codec touches the pulse, each with the time when it was taken and the part of the
camera's picture that it shows. Little-endian:

    "KD", version (u8), pictures in the batch (u8), and for each of them
    time in seconds (f64), x, y (i16), side (u16) in pixels of the camera, pixels (u8), 0 (u8),
    pixels x pixels x 3 bytes.
"""

import json
import math
import struct
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from kdphys.view import FOLLOW_PX, SEARCH_PX, View

VERSION = 1
MOST_PICTURES = 32
MOST_BYTES = 600_000  # 32 pictures of a face are 500,000
MOST_TEXT = 2_000
ASKS = ("compare", "leave")  # of a visitor, in words
CAMERA_PX = (16, 4096)
MOST_SIDE = 2 * CAMERA_PX[1]  # of a view: a face that fills the picture has surroundings
MOST_STAMP_S = 1e10  # stamps beyond this are no seconds of anyone's clock

_HEAD = struct.Struct("<2sBB")
_PICTURE = struct.Struct("<dhhHBB")


class WireError(ValueError):
    """A message that is not what it should be; says in one sentence what was found."""


@dataclass(frozen=True)
class Shot:
    """One picture of a face or of what a camera sees."""

    time_s: float
    """When it was taken, on the browser's clock."""
    view: View
    """What it shows."""
    rgb: NDArray[np.uint8]
    """Shape (pixels, pixels, 3)."""


@dataclass(frozen=True)
class Hello:
    """What a browser says of its camera, first and whenever it changes."""

    width: int
    """Of the camera's picture in pixels."""
    height: int
    """Of the camera's picture in pixels."""
    visit: str
    """Name of the visit, made by the browser: a lost socket may go on with it."""


def read_batch(message: bytes) -> list[Shot]:
    """Read a batch of pictures.

    Raises:
        WireError: It is none.
    """
    if len(message) > MOST_BYTES:
        raise WireError(f"A batch of {len(message)} bytes came; at most {MOST_BYTES} are taken.")
    if len(message) < _HEAD.size:
        raise WireError(f"A batch of {len(message)} bytes came, too short to hold a picture.")
    mark, version, count = _HEAD.unpack_from(message)
    if (mark, version) != (b"KD", VERSION):
        raise WireError("A batch of another kind came; reload the page.")
    if not 1 <= count <= MOST_PICTURES:
        raise WireError(f"A batch of {count} pictures came; 1 to {MOST_PICTURES} are taken.")
    shots = []
    at = _HEAD.size
    for _ in range(count):
        shot, at = _read_shot(message, at)
        shots.append(shot)
    if at != len(message):
        raise WireError(f"A batch came with {len(message) - at} bytes too many.")
    return shots


def write_batch(shots: list[Shot]) -> bytes:
    """Write a batch as the browser does: for tests and for a program that plays a visitor."""
    parts = [_HEAD.pack(b"KD", VERSION, len(shots))]
    for shot in shots:
        view = shot.view
        place = (int(view.x), int(view.y), int(view.side), view.pixels, 0)
        parts += [_PICTURE.pack(shot.time_s, *place), shot.rgb.tobytes()]
    return b"".join(parts)


def read_text(message: str) -> Hello | str:
    """Read what a browser says in words: a greeting, or the name of what it asks for.

    Raises:
        WireError: It is neither.
    """
    if len(message) > MOST_TEXT:
        raise WireError(f"A text of {len(message)} letters came; at most {MOST_TEXT} are taken.")
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        raise WireError("A text came that is no JSON.") from None
    if not isinstance(said, dict):
        raise WireError("A text came that is no JSON object.")
    if "ask" in said:
        return _read_ask(said["ask"])
    width, height, visit = said.get("width"), said.get("height"), said.get("visit")
    if not (_is_side(width) and _is_side(height)):
        raise WireError(
            f"A camera must give pictures of {CAMERA_PX[0]} to {CAMERA_PX[1]} pixels; "
            f"{str(width)[:20]} x {str(height)[:20]} came."
        )
    if not (isinstance(visit, str) and 8 <= len(visit) <= 64 and visit.isascii()):
        raise WireError("A visit must have a name of 8 to 64 letters.")
    return Hello(width, height, visit)


def _read_ask(ask: object) -> str:
    """Read the name of what is asked for.

    Raises:
        WireError: There is nothing of that name.
    """
    if not (isinstance(ask, str) and ask in ASKS):
        raise WireError(f"{str(ask)[:20]!r} was asked for; only {' or '.join(ASKS)} can be.")
    return ask


def _is_side(value: object) -> TypeGuard[int]:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return CAMERA_PX[0] <= value <= CAMERA_PX[1]


def _read_shot(message: bytes, at: int) -> tuple[Shot, int]:
    """Read the picture that begins at a byte; give it and where the next one begins."""
    if len(message) - at < _PICTURE.size:
        raise WireError("A batch ended within a picture.")
    time_s, x, y, side, pixels, _ = _PICTURE.unpack_from(message, at)
    at += _PICTURE.size
    if not (math.isfinite(time_s) and abs(time_s) < MOST_STAMP_S):
        raise WireError(f"A picture came with the time {time_s}, which is no time.")
    if pixels not in (FOLLOW_PX, SEARCH_PX) or not CAMERA_PX[0] <= side <= MOST_SIDE:
        raise WireError(f"A picture of {pixels} pixels of {side} came, which nobody asked for.")
    size = pixels * pixels * 3
    if len(message) - at < size:
        raise WireError("A batch ended within a picture.")
    rgb = np.frombuffer(message, np.uint8, size, at).reshape(pixels, pixels, 3)
    return Shot(time_s, View(x, y, side, pixels), rgb), at + size
