"""Damaged files of every container through `measure`: `python -m tests.fuzz_files --files 2000`.

Each file is damaged by its seed alone, so a failure can be looked at again. A worker measures many
of them in one process of its own: whatever kills it is seen from outside, and told with the seed.
"""

import argparse
import json
import signal
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from kdphys.errors import KDPhysError
from kdphys.memory import peak_rss_mb
from kdphys.pipeline import measure
from tests import _media
from tests._films import easy_config, record, write_npz
from tests._warm import run

CODECS = {
    ".mp4": "libx264",
    ".mov": "mjpeg",
    ".webm": "libvpx",
    ".avi": "mpeg4",
    ".mkv": "libx264",
    ".npz": "",
}
FULL_RANGE = {"mjpeg": "yuvj420p"}
HANG_S = 30  # for one file, which takes a tenth of a second
MOST_MB = 700  # peak memory of a worker

Bytes = NDArray[np.uint8]


def write_whole(folder: Path, suffix: str) -> Path:
    """A small film of a face, long enough for a reading."""
    film = record(10, easy_config(seconds=7.0, side=96, fps=10.0))
    path = folder / f"whole{suffix}"
    if suffix == ".npz":
        return write_npz(path, film.pictures, film.time_s)
    codec = CODECS[suffix]
    pix_fmt = FULL_RANGE.get(codec, "yuv420p")
    return _media.write_video(path, film.pictures, film.time_s, codec, pix_fmt)


def damaged(whole: Bytes, seed: int) -> Bytes:
    """A file's bytes after one to four damages of several kinds."""
    rng = np.random.default_rng(seed)
    content = whole
    for _ in range(rng.integers(1, 5)):
        if not len(content):
            break
        content = DAMAGES[rng.integers(len(DAMAGES))](content.copy(), rng)
    return content


def _place(content: Bytes, rng: np.random.Generator) -> int:
    """Somewhere, often near one of the ends, where headers and indices are."""
    reach = len(content) if rng.uniform() < 0.4 else min(len(content), 2000)
    place = int(rng.integers(reach))
    return place if rng.uniform() < 0.5 else len(content) - 1 - place


def _flip(content: Bytes, rng: np.random.Generator) -> Bytes:
    for _ in range(rng.integers(1, 40)):
        content[_place(content, rng)] ^= rng.integers(1, 256, dtype=np.uint8)
    return content


def _cut_off(content: Bytes, rng: np.random.Generator) -> Bytes:
    return content[: _place(content, rng)]


def _overwrite(content: Bytes, rng: np.random.Generator) -> Bytes:
    at, length = _place(content, rng), int(rng.integers(1, 400))
    content[at : at + length] = rng.choice(np.array([0, 255, 127], np.uint8))
    return content


def _leave_out(content: Bytes, rng: np.random.Generator) -> Bytes:
    at, length = _place(content, rng), int(rng.integers(1, 400))
    return np.concatenate([content[:at], content[at + length :]])


def _say_twice(content: Bytes, rng: np.random.Generator) -> Bytes:
    at, length = _place(content, rng), int(rng.integers(1, 400))
    return np.concatenate([content[: at + length], content[at:]])


def _extreme(content: Bytes, rng: np.random.Generator) -> Bytes:
    """A number of four bytes, such as a length or a count, becomes an unlikely one."""
    number = rng.choice(np.array([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF], np.uint32))
    at = _place(content, rng)
    raw = np.frombuffer(number.astype(rng.choice([">u4", "<u4"])).tobytes(), np.uint8)
    content[at : at + 4] = raw[: len(content[at : at + 4])]
    return content


DAMAGES: tuple[Callable[[Bytes, np.random.Generator], Bytes], ...] = (
    _flip, _cut_off, _overwrite, _leave_out, _say_twice, _extreme,
)  # fmt: skip


def work(folder: Path, suffix: str, first: int, files: int) -> None:
    """Measure damaged files, saying each one's seed before, and at the end what came of all."""
    whole = np.fromfile(write_whole(folder, suffix), np.uint8)
    path, measured = folder / f"damaged{suffix}", 0
    for seed in range(first, first + files):
        print(seed, flush=True)
        path.write_bytes(damaged(whole, seed).tobytes())
        signal.alarm(HANG_S)
        try:
            measure(path)
        except KDPhysError as error:
            if "\n" in str(error) or not str(error).endswith("."):
                raise ValueError(f"not one sentence: {error}") from error
        else:
            measured += 1
        signal.alarm(0)
    print(json.dumps({"files": files, "measured": measured, "peak_mb": peak_rss_mb()}))


def fuzz(suffix: str, files: int, first: int = 0) -> dict[str, float]:
    """Measure damaged files of a container in a process of their own.

    Raises:
        RuntimeError: The process crashed, hung, failed with anything but a sentence, or took more
            than `MOST_MB`; it names the file's seed.
    """
    with TemporaryDirectory() as folder:
        words = ["--files", str(files), "--work", suffix, "--first", str(first), "--folder", folder]
        done = run(Path(__file__).resolve(), words, HANG_S * (files + 2))
    last = (done.stdout.splitlines() or ["nothing"])[-1]
    if done.returncode:
        raise RuntimeError(f"{suffix}, seed {last}: status {done.returncode} {done.stderr[-1500:]}")
    found = json.loads(last)
    if found["peak_mb"] > MOST_MB:
        raise RuntimeError(f"{suffix}: {found['peak_mb']} MB, more than {MOST_MB}")
    return found


def main() -> None:
    """Damage as many files as asked, of every container."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000, help="of each container")
    parser.add_argument("--first", type=int, default=0, help="seed of the first")
    parser.add_argument("--work", choices=CODECS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    job = parser.parse_args()
    if job.work:
        work(job.folder, job.work, job.first, job.files)
        return
    for suffix in CODECS:
        print(suffix, fuzz(suffix, job.files, job.first), flush=True)


if __name__ == "__main__":
    main()
