"""Small films of synthetic faces, and ways to write them to files."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from train.synthetic import SyntheticConfig, make_film

Picture = NDArray[np.uint8]
CLOCK = 90_000
CLIPS = Path(__file__).parent.parent / ".." / "shared" / "data" / "clips"


@dataclass(frozen=True)
class Recording:
    """Frames with their stamps and what is known about them."""

    pictures: list[Picture]
    time_s: NDArray[np.float64]
    bpm: float | None


def easy_config(seconds: float = 12.0, **changes: object) -> SyntheticConfig:
    """A calm, well-lit face whose head is 70 pixels tall, at 72 bpm, filmed 25 times a second."""
    settings: dict[str, object] = {
        "seconds": seconds,
        "side": 160,
        "view": 2.2,
        "difficulty": 0.0,
        "negatives": 0.0,
        "bpm": 72.0,
        "fps": 25.0,
        "off": ("codec", "timing", "rhythm", "talk"),
    }
    return SyntheticConfig(**(settings | changes))  # type: ignore[arg-type]


def record(seed: int, config: SyntheticConfig) -> Recording:
    film = make_film(seed, config)
    return Recording(film.pictures, film.time_s, film.truth.bpm)


def write_npz(path: Path, pictures: Iterable[Picture], time_s: NDArray[np.float64]) -> Path:
    np.savez(path, frames=np.stack(list(pictures)), time_s=time_s)
    return path


def write_video(
    path: Path,
    pictures: Iterable[Picture],
    time_s: Iterable[float],
    *,
    codec: str = "libx264",
    key_every: int = 1,
    quality: int = 10,
) -> Path:
    """Write frames with their own stamps; every frame is a key frame unless told otherwise."""
    with av.open(str(path), "w") as sink:
        options = {"crf": str(quality), "preset": "ultrafast", "g": str(key_every)}
        if codec == "libx264":
            options["sc_threshold"] = "0"
        stream = cast(VideoStream, sink.add_stream(codec, rate=30, options=options))
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        stream.time_base = stream.codec_context.time_base = Fraction(1, CLOCK)
        for index, (picture, at) in enumerate(zip(pictures, time_s, strict=True)):
            if index == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(at * CLOCK), Fraction(1, CLOCK)
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    return path


def even_times(seconds: float, fps: float) -> NDArray[np.float64]:
    return np.arange(round(seconds * fps)) / fps
