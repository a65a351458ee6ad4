"""What all of it costs: `python train/bench.py` writes speed.json, speed.md and costs.png.

The networks beside public architectures (train/costs.py), then the whole path from a file to a
reading: a synthetic face at 30 frames a second, in several sizes and lengths, each measured in a
process of its own: decoding alone, then everything with its parts, and the peak memory.
"""

import json
import logging
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import tyro
from numpy.typing import NDArray

from kdphys.bench import peak_rss_mb
from kdphys.pipeline import measure
from kdphys.video import read_frames
from train.aside import aside
from train.benchmark import markdown_table
from train.costs import Cost, chart, table
from train.costs import compare as costs_of_networks
from train.peers import PEERS
from train.synthetic import Film, SyntheticConfig, make_film, write_video

logger = logging.getLogger(__name__)

FPS = 30.0
SIZES = {"640x480": (640, 480), "1920x1080": (1920, 1080)}
SCENE_S = 10.0  # drawn once and shown to and fro, so that the motion has no break


@dataclass(frozen=True)
class BenchJob:
    """Measure time and memory."""

    out: Path = Path("docs/results")
    """Folder for speed.json, speed.md and costs.png."""
    short_s: float = 60.0
    """Length of the videos that are timed."""
    long_s: float = 600.0
    """Length of the video whose memory is compared."""
    rounds: int = 3
    """Times that the short ones are measured; the median is given."""
    one: Path | None = None
    """Measure this video once, print its figures and end."""
    smoke: bool = False
    """Short videos, to see that it runs to its end."""


def main(job: BenchJob) -> None:
    """Measure as asked."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if job.one:
        sys.stdout.write(json.dumps(measure_once(job.one)))
        return
    if job.smoke:
        job = replace(aside(job, "out"), short_s=8.0, long_s=12.0, rounds=1)
    costs = costs_of_networks(PEERS[-1:] if job.smoke else PEERS)
    videos = {
        f"{name}, {seconds:g} s": measured(
            size, seconds, job.rounds if seconds == job.short_s else 1
        )
        for name, size in SIZES.items()
        for seconds in ((job.short_s, job.long_s) if name == "640x480" else (job.short_s,))
    }
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}",
        "networks": [asdict(cost) for cost in costs],
        "videos": videos,
    }
    job.out.mkdir(parents=True, exist_ok=True)
    (job.out / "speed.json").write_text(json.dumps(report, indent=1) + "\n")
    (job.out / "speed.md").write_text(_page(str(report["machine"]), costs, videos))
    chart(costs, job.out / "costs.png")
    logger.info("%s", json.dumps(report, indent=1))


def measured(size: tuple[int, int], seconds: float, rounds: int) -> dict[str, float]:
    """Figures of a video of a size and a length: those of the round with the median total."""
    with TemporaryDirectory() as folder:
        video = Path(folder) / "face.mp4"
        write_face(video, size, seconds)
        found = sorted(
            (_in_own_process(video) for _ in range(rounds)), key=lambda one: one["total_s"]
        )
    middle = found[len(found) // 2]
    return {**middle, "ratio_to_decoding": round(middle["total_s"] / middle["decode_alone_s"], 2)}


def _page(machine: str, costs: list[Cost], videos: dict[str, dict[str, float]]) -> str:
    lines = [
        "# What it costs",
        "",
        f"Made by `python train/bench.py` on {machine}, in one run. Each network runs in ONNX",
        "Runtime in a process of its own; milliseconds are the median of the calls (95th",
        "percentile). The public architectures are written from their papers and have random",
        "weights.",
        "",
        *table(costs),
        "",
        "![time a frame against parameters](costs.png)",
        "",
        "## From a file to a reading",
        "",
        "Synthetic faces in H.264, 30 frames a second; seconds, and the peak memory of the process",
        "with the training code's imports. Decoding goes on beside the rest: its column is what",
        "the rest waited for it.",
        "",
    ]
    columns = list(next(iter(videos.values())))
    rows = [[name, *(f"{found[key]:g}" for key in columns)] for name, found in videos.items()]
    return "\n".join([*lines, *markdown_table(["video", *columns], rows)]) + "\n"


def write_face(path: Path, size: tuple[int, int], seconds: float) -> None:
    """Write a synthetic face in a picture of some width and height as H.264."""
    width, height = size
    config = SyntheticConfig(
        seconds=min(SCENE_S, seconds),
        difficulty=0.15,
        side=480,
        view=2.2,
        fps=FPS,
        negatives=0.0,
        off=("codec", "timing"),
    )
    film = make_film(1, config)
    across = (width - height) // 2
    wide = [_framed(picture, height, across) for picture in film.pictures]
    there_and_back = wide + wide[-2:0:-1]
    frames = round(seconds * FPS)
    pictures = [there_and_back[index % len(there_and_back)] for index in range(frames)]
    longer = Film(
        pictures, np.arange(frames) / FPS, [], np.zeros(frames, bool), film.pulse, film.truth
    )
    write_video(path, longer, quality=20)


def _framed(picture: NDArray[np.uint8], side: int, across: int) -> NDArray[np.uint8]:
    """A square picture at a side, its edges repeated to the left and right."""
    large = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
    framed = cv2.copyMakeBorder(large, 0, 0, across, across, cv2.BORDER_REPLICATE)
    return np.asarray(framed, np.uint8)


def measure_once(path: Path) -> dict[str, float]:
    """Decode a video, then measure it; seconds and peak memory of this process."""
    began = time.perf_counter()
    for _ in read_frames(path):
        pass
    alone = time.perf_counter() - began
    began = time.perf_counter()
    found = measure(path)
    total = time.perf_counter() - began
    parts = found.to_json()["seconds"]
    if not isinstance(parts, dict):
        raise ValueError("a measurement must give its seconds")
    return {
        "decode_alone_s": round(alone, 2),
        "total_s": round(total, 2),
        **{f"{name}_s": value for name, value in parts.items() if name != "total"},
        "peak_rss_mb": peak_rss_mb(),
    }


def _in_own_process(path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main(tyro.cli(BenchJob))
