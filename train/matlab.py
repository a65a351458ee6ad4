"""Videos inside MATLAB files, without holding them as floating-point numbers.

A minute of 320x240 frames as doubles takes 3.3 GB. Version 5 files (scipy reads only whole
variables) are unpacked piece by piece into 8 bits here; version 7.3 files are HDF5 and are read a
few frames at a time. After *MAT-File Format*, The MathWorks, and checked against files that scipy
writes.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
MATRIX, COMPRESSED = 14, 15
HEADER_BYTES = 128
UINT8_CLASS = 9
PIECE = 1 << 18  # bytes that are unpacked at once
SLAB_BYTES = 1 << 26  # frames that are read from HDF5 at once
MOST = 1.001  # above 1, what rounding may add to a video in [0, 1]

Pictures = NDArray[np.uint8]


class _Source(Protocol):
    """Where bytes come from in order."""

    def read(self, count: int, /) -> bytes: ...


class _Inflated:
    """The inside of a compressed element, unpacked as it is read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size
        self._unpacker, self._ready = zlib.decompressobj(), bytearray()

    def read(self, count: int, /) -> bytes:
        """Give the next `count` bytes, fewer at the end."""
        while len(self._ready) < count and not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail
            if not packed:
                packed = self._file.read(min(PIECE, self._left))
                self._left -= len(packed)
                if not packed:
                    break
            self._ready += self._unpacker.decompress(packed, PIECE)
        given = bytes(self._ready[:count])
        del self._ready[:count]
        return given


class _Head(NamedTuple):
    """What a variable says about itself before its numbers."""

    name: str
    shape: tuple[int, ...]
    is_8_bit: bool


def read_v5_video(path: Path, name: str) -> Pictures:
    """Read one video of a version 5 file.

    Args:
        path: The .mat file.
        name: Its variable, MATLAB size (T, H, W, 3), 0..255 in 8 bits or 0..1.

    Returns:
        The pictures as MATLAB lays them out, time innermost; `frames_of` gives them one by one.
        Shape (3, W, H, T).

    Raises:
        ValueError: There is no such video in the file.
    """
    try:
        return _find_v5_video(path, name)
    except (struct.error, zlib.error, EOFError) as error:
        raise ValueError(f"{path} was cut off or is damaged; download it again") from error


def _find_v5_video(path: Path, name: str) -> Pictures:
    with path.open("rb") as file:
        if file.read(HEADER_BYTES)[126:] != b"IM":
            raise ValueError(f"{path} is no MATLAB file of version 5; download it again")
        while len(start := file.read(8)) == 8:
            kind, size = struct.unpack("<2I", start)
            after = file.tell() + size
            source = _Inflated(file, size) if kind == COMPRESSED else file
            inner = struct.unpack("<2I", source.read(8))[0] if kind == COMPRESSED else kind
            head = _read_head(source) if inner == MATRIX else None
            if head and head.name == name:
                return _read_pictures(source, head, path)
            file.seek(after)
    raise ValueError(f"{path} holds no variable {name}; download it again")


def frames_of(pictures: Pictures) -> Iterator[Pictures]:
    """Give the pictures of a MATLAB video one by one, each of shape (H, W, 3).

    Args:
        pictures: Time innermost. Shape (3, W, H, T).
    """
    together = 64  # so that memory is walked through once for many frames
    for start in range(0, pictures.shape[3], together):
        yield from np.ascontiguousarray(pictures[..., start : start + together].transpose())


def read_v73_frames(path: Path, name: str, count: int) -> Iterator[Pictures]:
    """Read one video of a version 7.3 file, a few frames at a time.

    Args:
        path: The .mat file.
        name: Its variable, MATLAB size (T, H, W, 3) or (H, W, 3, T), 0..255 in 8 bits or 0..1.
        count: T, which tells the axes apart.

    Yields:
        Pictures of shape (H, W, 3).

    Raises:
        ValueError: The variable is no video of that length.
    """
    with h5py.File(path) as file:
        video = file.get(name)
        shape = video.shape if isinstance(video, h5py.Dataset) else ()  # MATLAB's, reversed
        time_last = len(shape) == 4 and (shape[0], shape[3]) == (3, count)
        time_first = len(shape) == 4 and (shape[0], shape[1]) == (count, 3)
        if not isinstance(video, h5py.Dataset) or not (time_last or time_first):
            raise ValueError(
                f"{path}: {name} has size {shape[::-1]}, and {count} colour frames are needed; "
                "download it again"
            )
        together = max(1, SLAB_BYTES // (video.dtype.itemsize * math.prod(shape) // count))
        for start in range(0, count, together):
            part = slice(start, start + together)
            if time_last:
                yield from _to_8_bits(video[..., part], path).transpose(3, 2, 1, 0)
            else:
                yield from _to_8_bits(video[part], path).transpose(0, 3, 2, 1)


def _read_head(source: _Source) -> _Head:
    """Read flags, size and name of a matrix."""
    flags, size, name = (_read_small(source) for _ in range(3))
    shape = tuple(np.frombuffer(size, "<i4").tolist())
    return _Head(name.decode("ascii", "replace"), shape, flags[0] == UINT8_CLASS)


def _read_small(source: _Source) -> bytes:
    """Read a whole element; up to four bytes travel inside its tag."""
    tag = source.read(8)
    kind, size = struct.unpack("<2I", tag)
    if kind >> 16:
        return tag[4 : 4 + (kind >> 16)]
    content = source.read(size)
    source.read(-size % 8)
    return content


def _read_pictures(source: _Source, head: _Head, path: Path) -> Pictures:
    """Read the numbers of a video into 8 bits, piece by piece."""
    kind, size = struct.unpack("<2I", source.read(8))
    count = math.prod(head.shape)
    if len(head.shape) != 4 or head.shape[3] != 3 or kind not in NUMBERS:
        raise ValueError(f"{path}: {head.name} has size {head.shape}; a video has (T, H, W, 3)")
    number = np.dtype(NUMBERS[kind]).newbyteorder("<")
    if size != count * number.itemsize:
        raise ValueError(f"{path}: {head.name} was cut off before its end; download it again")
    pictures = np.empty(count, np.uint8)
    step = PIECE // number.itemsize
    for start in range(0, count, step):
        stop = min(start + step, count)
        part = source.read((stop - start) * number.itemsize)
        if len(part) != (stop - start) * number.itemsize:
            raise ValueError(f"{path}: {head.name} was cut off before its end; download it again")
        numbers = np.frombuffer(part, number)
        pictures[start:stop] = numbers if head.is_8_bit else _to_8_bits(numbers, path)
    return pictures.reshape(head.shape[::-1])


def _to_8_bits(light: NDArray[np.generic], path: Path) -> Pictures:
    """Turn light in [0, 1], or already in 8 bits, into 0..255."""
    if light.dtype == np.uint8:
        return np.asarray(light, np.uint8)
    numbers = np.asarray(light, np.float32)
    low, high = float(numbers.min()), float(numbers.max())
    if not (low >= -0.001 and high <= MOST):
        raise ValueError(
            f"{path} holds pictures from {low:.3g} to {high:.3g}; they must lie in [0, 1] or be "
            "uint8"
        )
    return np.rint(np.clip(numbers, 0, 1) * 255).astype(np.uint8)
