"""Frames of a video file: upright RGB, timed by their own stamps, one in memory at a time.

Frames keep their full size. Measured on 2 busy cores for 4K H.264: decoding takes 13 to 14 ms of
CPU time a frame, turning it to RGB 7 to 12 more, and shrinking it on the way to 1280 px by area
(libswscale) 10 more instead: nothing would be gained by it. Only pictures whose pixels are not
square are made wider or higher on the way, as players show them.
"""

import errno
import logging
import math
import struct
import time
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from io import BytesIO
from itertools import repeat
from pathlib import Path
from typing import IO

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.lib import format as npy
from numpy.typing import NDArray

from kdphys.errors import VideoError
from kdphys.view import FARTHEST_PX, View

VIDEO_SUFFIXES = frozenset((
    ".3g2", ".3gp", ".apng", ".asf", ".avi", ".dv", ".f4v", ".flv", ".gif", ".ivf", ".m2t", ".m2ts",
    ".m4v", ".mj2", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".npz", ".nut", ".ogv",
    ".ts", ".vob", ".webm", ".wmv",
))  # fmt: skip
"""What is measured in a folder: names of `FORMATS` that hold moving pictures and their times."""
READABLE = "an mp4, mov, webm, avi or mkv file"
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,m4v,h264,hevc,mjpeg,asf,flv,"
    "ogg,nut,ivf,dv,mxf,gif,apng,mp3,wav,flac,aac,image2,bmp_pipe,gif_pipe,jpeg_pipe,png_pipe,"
    "tiff_pipe,webp_pipe"
)
"""What FFmpeg may take a file for: nothing that names other files, such as lists and playlists."""
MAX_PIXELS = 7680 * 4320
"""Largest frame that is read (8K): its RGB takes 100 MB."""
STRETCHED = (1.02, 8.0)
"""How many times as wide as high, or as high as wide, pixels are that are made square: less is not
worth the work, more is no camera's."""
MAX_DURATION_S = 4 * 3600.0
"""Longest recording that is read; a later stamp is more likely damage than a recording."""
FAR_AHEAD_S = 0.5
"""How far after the one before a stamp is doubted until the next one is known."""
JOINT_S = 1.0
"""How far stamps run backwards at least where recordings were joined into one file."""
MAX_FRAMES = round(MAX_DURATION_S * 250)
"""Most frames of arrays: their stamps take 30 MB."""
MAX_HEADER_BYTES = 10_000
"""Longest description of an array that is read: NumPy trusts none that is longer."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a recording."""

    rgb: NDArray[np.uint8]
    """Upright picture, 0..255. Shape (H, W, 3)."""
    time_s: float
    """Time since the first frame in seconds."""
    key_frame: bool | None
    """Coded without reference to others, as all are in some codecs; None: there is no codec."""
    view: View | None = None
    """Which part of the camera's picture it shows; None: all of it, as it is."""


@dataclass(frozen=True)
class VideoFacts:
    """What a file says about itself, for progress only: counts and durations may be wrong."""

    duration_s: float | None
    frames: int | None
    width: int
    """Upright width in pixels."""
    height: int
    """Upright height in pixels."""
    codec: str | None


@dataclass
class Unread:
    """What of a file was not read, counted while it is."""

    out_of_order: int = 0
    """Pictures that were left out as their time stamps are not between those around them."""
    back_s: float = 0.0
    """How far stamps run backwards at most, in seconds."""
    damaged: int = 0
    """Pieces that can't be decoded."""
    is_cut_short: bool = False
    """Whether reading stopped early."""
    other_streams: int = 0
    """Moving pictures beside the one that was read."""

    @property
    def is_joined(self) -> bool:
        """Whether it seems to be several recordings in one file."""
        return self.back_s > JOINT_S


@dataclass(frozen=True)
class Limits:
    """What one recording may take. Make it when measuring begins: its clock runs from then."""

    recording_s: float = MAX_DURATION_S
    """Longest recording that is read, in seconds by its own stamps."""
    work_s: float = math.inf
    """Longest that measuring it may take, in seconds."""
    began_s: float = field(default_factory=time.monotonic)
    """Moment of `time.monotonic` from which that counts."""

    def check_length(self, name: str, seconds: float) -> None:
        """Refuse a recording that lasts too long.

        Raises:
            VideoError: It does.
        """
        if seconds > self.recording_s:
            raise VideoError(
                f"{name} lasts more than {_in_words(self.recording_s)} by its time stamps, which "
                f"is the most that is read: cut it into shorter parts."
            )

    def check_work(self, name: str) -> None:
        """End what has taken too long.

        Raises:
            VideoError: It has.
        """
        if time.monotonic() - self.began_s > self.work_s:
            raise VideoError(
                f"{name} was not measured within {_in_words(self.work_s)}, which is the most that "
                f"one video may take: cut it into shorter parts, or make its pictures smaller."
            )


def _in_words(seconds: float) -> str:
    return f"{seconds / 3600:g} hours" if seconds > 3600 else f"{seconds / 60:g} minutes"


def find_videos(path: Path) -> list[Path]:
    """List the videos behind a path: the file itself, or those in a folder, sorted by name.

    Raises:
        VideoError: There is nothing there, or no video in the folder.
    """
    try:
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise VideoError(_no_file(path, "a video or of a folder"))
        videos = sorted(file for file in path.iterdir() if _is_video(file))
    except OSError as error:
        raise VideoError(
            f"{error.filename} can't be opened ({error.strerror}): give a video or folder that you "
            "may read."
        ) from error
    if not videos:
        raise VideoError(f"The folder {path} holds no video: put {READABLE} into it.")
    return videos


def _is_video(path: Path) -> bool:
    is_named_so = path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")
    return is_named_so and path.is_file()


def probe(path: Path, limits: Limits | None = None) -> VideoFacts:
    """Say what a file holds, by its headers and its first picture.

    Args:
        path: As for `read_frames`.
        limits: What it may take; None: 4 hours of recording, however long they take.

    Raises:
        VideoError: The file can't be read as video.
    """
    _check_file(path)
    if path.suffix.lower() == ".npz":
        with _open_npz(path) as (_, (height, width), times, _):
            return VideoFacts(float(times[-1] - times[0]), len(times), width, height, None)
    limits = limits or Limits()
    with _open_video(path, limits) as (container, stream):
        picture = next(_pictures(path, container, stream, limits, Unread()), None)
        if picture is None:
            raise VideoError(_no_frames(path))
        sizes = _shown_size(picture, stream.sample_aspect_ratio)
        width, height = sizes[::-1] if _quarter_turns(picture) % 2 else sizes
        duration_s = _seconds(container, stream)
        return VideoFacts(duration_s, stream.frames or None, width, height, stream.codec.name)


def read_frames(
    path: Path,
    speed: float = 1.0,
    limits: Limits | None = None,
    unread: Unread | None = None,
) -> Iterator[Frame]:
    """Read a recording frame by frame; no more than one frame is held in memory.

    Frames without a stamp, or with one that does not increase, are left out, as is what can't be
    decoded: times are never made up. So is one whose stamp is far ahead, if the next ones go on as
    before it. A file that was cut off is read as far as it goes.

    Args:
        path: A video file, or an .npz with `frames` (T, H, W, 3) uint8 and `time_s` (T,).
        speed: Times are divided by this, as if the recording were played that much faster.
        limits: As for `probe`.
        unread: Where what is not read is counted.

    Raises:
        VideoError: The file can't be read as video, goes beyond the limits, or most of its stamps
            are out of order.
        ValueError: `speed` is not above 0.
    """
    if not (speed > 0 and math.isfinite(speed)):
        raise ValueError(f"speed={speed} must be above 0")
    _check_file(path)
    limits = limits or Limits()
    is_npz = path.suffix.lower() == ".npz"
    frames = _read_npz(path) if is_npz else _read_video(path, limits, unread or Unread())
    for frame in frames:
        limits.check_length(path.name, frame.time_s)
        yield replace(frame, time_s=frame.time_s / speed)


def _check_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise VideoError(f"{path} is a folder: give one video file.")
        if not path.is_file():
            raise VideoError(_no_file(path, "a video"))
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        raise VideoError(f"{path} can't be opened ({error.strerror}).") from error
    if is_empty:
        raise VideoError(f"{path.name} is empty (0 bytes): record or copy it again.")


def _no_file(path: Path, wanted: str) -> str:
    if path.exists():
        return f"{path} is a pipe, a socket or a device: save the video in a file, and give that."
    return f"There is no file {path}: give the path of {wanted}."


# Video files -----------------------------------------------------------------------------------


def _read_video(path: Path, limits: Limits, unread: Unread) -> Iterator[Frame]:
    """Decode a video file, with times since its first frame."""
    first_s, frames = math.nan, 0
    is_mirrored: bool | None = None  # as all pictures of a stream are, or none
    to_rgb = VideoReformatter()  # one for all: what each picture would make for itself costs more
    with _open_video(path, limits) as (container, stream):
        unread.other_streams = len(_moving_pictures(container)) - 1
        pictures = _pictures(path, container, stream, limits, unread)
        for time_s, picture in _in_order(_stamped(path, container, pictures), unread):
            size = _shown_size(picture, stream.sample_aspect_ratio)
            _check_size(path, *size)
            frames += 1
            first_s = time_s if math.isnan(first_s) else first_s
            if is_mirrored is None:
                is_mirrored = _is_mirrored(picture)
            with _pixels_of(path):
                rgb = _upright_rgb(picture, to_rgb, size, is_mirrored=is_mirrored)
            yield Frame(rgb, time_s - first_s, picture.key_frame)
    if unread.out_of_order:
        logger.warning("%s: left out %d frames out of order", path.name, unread.out_of_order)
    if unread.out_of_order > frames:
        raise VideoError(_mostly_out_of_order(path, unread, frames))


def _stamped(
    path: Path, container: InputContainer, pictures: Iterable[VideoFrame]
) -> Iterator[tuple[float, VideoFrame]]:
    """Give pictures with their times, without those that have none."""
    count = without = 0
    for picture in pictures:
        count += 1
        time_s = _stamp_s(container, picture)
        if time_s is None:
            without += 1
        else:
            yield time_s, picture
    if without:
        logger.warning("%s: left out %d frames without a stamp", path.name, without)
    if without == count:
        raise VideoError(_no_stamps(path) if without else _no_frames(path))


def _in_order(
    stamped: Iterable[tuple[float, VideoFrame]], unread: Unread
) -> Iterator[tuple[float, VideoFrame]]:
    """Give pictures whose times increase; one that is far ahead, only with the next one known."""
    latest_s = -math.inf
    held: tuple[float, VideoFrame] | None = None
    for time_s, picture in stamped:
        if held and latest_s < time_s < held[0]:
            unread.out_of_order += 1
        elif held:
            latest_s = held[0]
            yield held
        held = None
        if time_s <= latest_s:
            unread.out_of_order += 1
            unread.back_s = max(unread.back_s, latest_s - time_s)
        elif time_s > latest_s + FAR_AHEAD_S:
            held = time_s, picture
        else:
            latest_s = time_s
            yield time_s, picture
    if held:
        yield held


@contextmanager
def _pixels_of(path: Path) -> Iterator[None]:
    """Say it as a `VideoError` where decoded pixels are of a kind that can't be turned to RGB."""
    try:
        yield
    except (FFmpegError, OSError, ValueError) as error:
        reason = "its kind of pixels can't be turned to red, green and blue"
        raise VideoError(_unreadable(path, reason)) from error


@contextmanager
def _open_video(path: Path, limits: Limits) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the moving picture in a file."""
    try:
        # What a file says of itself need not be text. A name with a colon is no protocol. Lists of
        # other files, one of which could be the list itself, are not among the formats.
        container = av.open(
            f"file:{path}", metadata_errors="replace", options={"format_whitelist": FORMATS}
        )
    except (OSError, FFmpegError) as error:
        raise VideoError(_unreadable(path, error.strerror or str(error))) from error
    with container:
        if _is_animated_webp(path):
            raise VideoError(
                f"{path.name} is an animated WebP, which is not read: give {READABLE}."
            )
        if _is_still_format(container.format.name):
            raise VideoError(
                f"{path.name} is a single picture, and a pulse needs a video of the face: "
                f"give {READABLE}."
            )
        stream = _moving_picture(path, container)
        _check_size(path, *_shown_size(stream, stream.sample_aspect_ratio))
        limits.check_length(path.name, _seconds(container, stream) or 0)
        stream.thread_type = "AUTO"
        stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # whatever the headers say
        yield container, stream


def _check_size(path: Path, width: int, height: int) -> None:
    """Refuse pictures that are too large."""
    if width * height > MAX_PIXELS:
        raise VideoError(
            f"{path.name} has frames of {width}x{height} pixels, and up to 7680x4320 are read: "
            f"record or convert it to 4K or smaller."
        )


def _moving_picture(path: Path, container: InputContainer) -> VideoStream:
    """Pick the first video stream."""
    for stream in _moving_pictures(container):
        if stream.codec_context is None:
            raise VideoError(_unreadable(path, "its codec is unknown"))
        return stream
    if not container.streams:
        raise VideoError(_unreadable(path, "it holds nothing"))
    held = "sound but no moving picture" if container.streams.audio else "no moving picture"
    raise VideoError(f"{path.name} holds {held}: give {READABLE} that shows a face.")


def _moving_pictures(container: InputContainer) -> list[VideoStream]:
    """List the video streams that are not the cover of a music file."""
    streams = container.streams.video
    return [each for each in streams if not each.disposition & Disposition.attached_pic]


def _pictures(
    path: Path, container: InputContainer, stream: VideoStream, limits: Limits, unread: Unread
) -> Iterator[VideoFrame]:
    """Decode what can be decoded, in the order of presentation.

    The clock is looked at for each piece, as one that gives no picture may take long too.
    """
    try:
        for packet in container.demux(stream):
            limits.check_work(path.name)
            try:
                for picture in packet.decode():
                    if picture.is_corrupt:
                        unread.damaged += 1
                    else:
                        yield picture
            except FFmpegError:
                unread.damaged += 1
    except FFmpegError as error:
        unread.is_cut_short = True
        logger.warning("%s: reading stopped early (%s)", path.name, error.strerror)
    if unread.damaged:
        logger.warning("%s: left out %d damaged pieces", path.name, unread.damaged)


def _stamp_s(container: InputContainer, picture: VideoFrame) -> float | None:
    """Give the time of a decoded picture; None where the file says none.

    AVI stores the order of decoding only, at even steps; what is derived from it as time of
    presentation runs backwards for H.264. Pictures leave the decoder in order of presentation, so
    there the decoding stamps are the right ones.
    """
    stamp = picture.dts if container.format.name == "avi" else picture.pts
    if stamp is None or picture.time_base is None:
        return None
    return float(stamp * picture.time_base)


def _upright_rgb(
    picture: VideoFrame, to_rgb: VideoReformatter, size: tuple[int, int], *, is_mirrored: bool
) -> NDArray[np.uint8]:
    """Turn a decoded picture to RGB as it was meant to be seen. Shape (H, W, 3).

    `size` is its width and height once its pixels are square, before it is turned.
    """
    shown = to_rgb.reformat(picture, *size, format="rgb24")
    rgb = np.asarray(shown.to_ndarray(), dtype=np.uint8)
    turns = _quarter_turns(picture)
    if turns:
        counterclockwise = (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)
        rgb = np.asarray(cv2.rotate(rgb, counterclockwise[turns - 1]), dtype=np.uint8)
    if is_mirrored:  # what is called its turn then includes one upside down
        rgb = np.asarray(cv2.flip(rgb, turns % 2), dtype=np.uint8)
    return rgb


def _shown_size(stored: VideoFrame | VideoStream, aspect: Fraction | None) -> tuple[int, int]:
    """Give width and height once each pixel, `aspect` times as wide as high, is square.

    The shorter side grows, so that nothing that was seen is lost.
    """
    width, height = stored.width, stored.height
    least, most = STRETCHED
    if aspect and least < aspect <= most:
        return round(width * aspect), height
    if aspect and least < 1 / aspect <= most:
        return width, round(height / aspect)
    return width, height


def _is_mirrored(picture: VideoFrame) -> bool:
    """Tell whether a picture is shown mirrored: its display matrix turns left to right.

    Asked for its side data, a picture of PyAV is kept until Python looks for cycles: of a large
    video, hundreds of megabytes.
    """
    matrix = picture.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False
    across, down, _, across_y, down_y = np.frombuffer(matrix, np.int32)[:5].astype(float)
    return bool(across * down_y < down * across_y)


def _quarter_turns(picture: VideoFrame) -> int:
    """Count the counterclockwise quarter turns that put a picture upright."""
    return round(picture.rotation / 90) % 4


def _seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Give the duration by the headers, where they know it.

    In Matroska it counts from 0, wherever the first stamp is; in FLV it may be less than that one.
    """
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is None:
        return None
    first = container.start_time or 0
    passed = container.duration - first if container.duration > first else container.duration
    return passed / av.time_base


def _is_still_format(name: str) -> bool:
    """Tell the formats of single pictures (jpeg_pipe, png_pipe, image2, ...)."""
    return name.endswith("_pipe") or name == "image2"


def _is_animated_webp(path: Path) -> bool:
    """Tell it by its extended header's flag; FFmpeg takes it for a single picture."""
    with path.open("rb") as file:
        head = file.read(21)
    is_extended = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X"
    return is_extended and bool(head[20:21] and head[20] & 2)


def _unreadable(path: Path, reason: str) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":  # an mp4 or mov whose index, written last, is missing
        return f"{path.name} was cut off before its end and can't be read: record or copy it again."
    return f"{path.name} can't be read as video ({reason.lower()}): give {READABLE}."


def _no_frames(path: Path) -> str:
    return f"{path.name} holds no picture that can be decoded: record or copy it again."


def _no_stamps(path: Path) -> str:
    return (
        f"The frames of {path.name} carry no time stamps, and the pulse is timed by them: "
        f"give {READABLE}."
    )


def _mostly_out_of_order(path: Path, unread: Unread, frames: int) -> str:
    found = (
        f"{path.name} has time stamps that are out of order for {unread.out_of_order} of "
        f"{unread.out_of_order + frames} pictures"
    )
    if unread.is_joined:
        return f"{found}, as several recordings joined into one file: cut it at the joint."
    return f"{found}, and the pulse is timed by them: record again, or give {READABLE}."


DAMAGE = (
    KeyError, ValueError, RuntimeError, OSError, EOFError, SyntaxError, tokenize.TokenError,
    MemoryError, struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What reading a damaged archive may end with."""


# Arrays ----------------------------------------------------------------------------------------


def _read_npz(path: Path) -> Iterator[Frame]:
    """Read frames from an .npz archive, with times since the first."""
    with _open_npz(path) as (file, (height, width), times, views):
        for time_s, view in zip(times - times[0], views, strict=True):
            pixels = file.read(height * width * 3)
            if len(pixels) != height * width * 3:
                raise VideoError(f"{path.name} was cut off before its end: write it again.")
            rgb = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
            yield Frame(rgb, float(time_s), None, view)


@contextmanager
def _open_npz(
    path: Path,
) -> Iterator[tuple[IO[bytes], tuple[int, int], NDArray[np.float64], Iterable[View | None]]]:
    """Open an .npz archive at its first frame; give the file, (H, W), the stamps and views (T,)."""
    try:
        with zipfile.ZipFile(path) as archive, _part(archive, "frames") as file:
            shape = _frames_shape(file)
            with _part(archive, "time_s") as stamps:
                times = _read_times(stamps, shape)
            yield file, (shape[1], shape[2]), times, _read_views(archive, shape)
    except DAMAGE as error:
        raise VideoError(
            f"{path.name} can't be used ({_what_is_damaged(error)}): an npz needs frames "
            f"(T, H, W, 3) uint8 and time_s (T,) in seconds, increasing."
        ) from error


def _what_is_damaged(error: Exception) -> str:
    if isinstance(error, EOFError) or (isinstance(error, OSError) and error.errno == errno.EINVAL):
        return "parts of it are missing, as while it is being written"  # it points to before itself
    return str(error) or "it is damaged"


def _part(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    if f"{name}.npy" not in archive.namelist():
        raise ValueError(f"it holds no {name}")
    packing = archive.getinfo(f"{name}.npy").compress_type
    if packing not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # the others unpack without bound
        raise ValueError(f"its {name} are packed as NumPy packs none; write it with numpy.savez")
    return archive.open(f"{name}.npy")


def _read_views(archive: zipfile.ZipFile, frames: tuple[int, ...]) -> Iterable[View | None]:
    """Read which part of the camera's picture each frame shows: x, y, side. Length T."""
    if "view.npy" not in archive.namelist():
        return repeat(None, frames[0])
    with _part(archive, "view") as file:
        shape, by_columns, dtype = _read_header(file)
        numbers = dtype.kind in "iuf" and not by_columns
        if shape != (frames[0], 3) or frames[1] != frames[2] or not numbers:
            raise ValueError(
                f"view is {dtype} of shape {shape}{', by columns' * by_columns}, and frames are "
                f"{frames}: view must be numbers (T, 3), x, y and side, of square frames"
            )
        found = np.frombuffer(file.read(frames[0] * 3 * dtype.itemsize), dtype)
    places = found.astype(np.float64).reshape(-1, 3)
    if len(places) != frames[0] or not np.isfinite(places).all():
        raise ValueError("view holds what are no numbers")
    if not (np.abs(places) <= FARTHEST_PX).all() or not (places[:, 2] > 0).all():
        raise ValueError("view holds what is no part of a picture")
    return (View(*place.tolist(), pixels=frames[1]) for place in places)


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read what an .npy file says of its array: shape, whether by columns, and type."""
    magic = file.read(npy.MAGIC_LEN)
    is_first = magic[-2:] == bytes((1, 0))  # of the format's versions
    stated = file.read(2 if is_first else 4)
    length = int.from_bytes(stated, "little")
    if length > MAX_HEADER_BYTES:  # before so much is unpacked
        raise ValueError(
            f"what it says of an array takes {length} bytes, more than the {MAX_HEADER_BYTES} that "
            "are read"
        )
    header = BytesIO(magic + stated + file.read(length))
    npy.read_magic(header)
    read = npy.read_array_header_1_0 if is_first else npy.read_array_header_2_0
    return read(header)


def _frames_shape(file: IO[bytes]) -> tuple[int, ...]:
    """Read the header before the frames, and check it."""
    shape, by_columns, dtype = _read_header(file)
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or by_columns or min(shape) < 1:
        raise ValueError(f"frames are {dtype} of shape {shape}{', by columns' * by_columns}")
    if shape[0] > MAX_FRAMES:
        raise ValueError(f"{shape[0]} frames are more than the {MAX_FRAMES} that are read")
    if shape[1] * shape[2] > MAX_PIXELS:
        raise ValueError(f"frames of {shape[2]}x{shape[1]} pixels are larger than 7680x4320")
    return shape


def _read_times(file: IO[bytes], frames: tuple[int, ...]) -> NDArray[np.float64]:
    """Read one increasing stamp a frame. Shape (T,)."""
    shape, _, dtype = _read_header(file)
    if shape != frames[:1] or dtype.kind not in "iuf":  # before anything of that size is read
        raise ValueError(f"time_s is {dtype} of shape {shape}, frames are {frames}")
    times = np.frombuffer(file.read(shape[0] * dtype.itemsize), dtype)
    if len(times) != shape[0]:
        raise ValueError("time_s was cut off before its end")
    seconds = times.astype(np.float64)
    if not np.isfinite(seconds).all():
        raise ValueError("time_s holds values that are no numbers")
    if not (np.diff(seconds) > 0).all():
        raise ValueError("time_s does not increase from frame to frame")
    if seconds[-1] - seconds[0] > MAX_DURATION_S:
        raise ValueError(
            f"time_s spans more than {_in_words(MAX_DURATION_S)}, and its times are in seconds"
        )
    return seconds
