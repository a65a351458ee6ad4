"""Small recordings for tests, with known pictures and stamps."""

import struct
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

SHARED = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
TICK = Fraction(1, 30_000)  # stamps of written videos, in seconds
SQUARE = Fraction(1)

Picture = NDArray[np.uint8]


def write_video(
    path: Path,
    pictures: Iterable[Picture],
    times_s: Iterable[float],
    codec: str = "mpeg4",
    pix_fmt: str = "yuv420p",
    *,
    aspect: Fraction = SQUARE,
) -> Path:
    """Write pictures with their own stamps; the container follows from the suffix.

    Each pixel is to be shown `aspect` times as wide as high.
    """
    pictures = list(pictures)
    with av.open(str(path), "w") as container:
        stream = cast("VideoStream", container.add_stream(codec, rate=30))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.bit_rate = 4_000_000
        stream.codec_context.sample_aspect_ratio = aspect
        stream.codec_context.time_base = Fraction(1, 30) if path.suffix == ".avi" else TICK
        for picture, time_s in zip(pictures, times_s, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pix_fmt)
            frame.time_base = stream.codec_context.time_base
            frame.pts = round(time_s / frame.time_base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rotate_mp4(path: Path, degrees: int, *, mirrored: bool = False) -> Path:
    """Make players turn a written mp4 clockwise, as phones do: set the matrix in its header.

    Mirrored ones they show with left and right exchanged before they turn them.
    """
    cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[degrees // 90]
    across = -1 if mirrored else 1
    matrix = struct.pack(
        ">9i", across * cos << 16, across * sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30
    )
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40  # version 0: the matrix follows 40 bytes of fields
    content[start : start + 36] = matrix
    path.write_bytes(bytes(content))
    return path


def four_corners(width: int = 64, height: int = 48) -> Picture:
    """Draw a picture that shows which way is up. Red, green; blue, white."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = 220, 30, 30
    picture[: height // 2, width // 2 :] = 30, 220, 30
    picture[height // 2 :, : width // 2] = 30, 30, 220
    picture[height // 2 :, width // 2 :] = 220, 220, 220
    return picture


def portrait(name: str = "male_00") -> Picture:
    """Read a portrait of the shared data."""
    bgr = cv2.imread(str(SHARED / "portraits" / f"{name}.jpg"))
    return np.ascontiguousarray(bgr[:, :, ::-1], np.uint8)


def on_canvas(picture: Picture, scale: float, x: float, y: float, size: tuple[int, int]) -> Picture:
    """Put a picture's centre at (x, y) on a grey canvas of (width, height)."""
    height, width = picture.shape[:2]
    small = cv2.GaussianBlur(picture, (0, 0), max(0.1, 0.4 / scale)) if scale < 1 else picture
    placed = np.array([[scale, 0, x - scale * width / 2], [0, scale, y - scale * height / 2]])
    return np.asarray(
        cv2.warpAffine(small, placed, size, flags=cv2.INTER_LINEAR, borderValue=(110, 110, 110)),
        np.uint8,
    )
