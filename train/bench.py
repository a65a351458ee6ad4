"""What measuring a video costs: `python train/bench.py` writes docs/results/speed.json.

A synthetic face of 640x480 at 30 frames a second is measured at two lengths, each in a process of
its own: decoding alone, then the whole path with its parts, and the peak memory of both lengths.
"""

import json
import logging
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import tyro

from kdphys.bench import peak_rss_mb
from kdphys.pipeline import measure
from kdphys.video import read_frames
from train.synthetic import Film, SyntheticConfig, make_film, write_video

logger = logging.getLogger(__name__)

FPS = 30.0
WIDTH, HEIGHT = 640, 480
SCENE_S = 10.0  # drawn once and shown to and fro, so that the motion has no break


@dataclass(frozen=True)
class BenchJob:
    """Measure time and memory of the whole path."""

    out: Path = Path("docs/results/speed.json")
    """File to write."""
    short_s: float = 60.0
    """Length of the video that is timed."""
    long_s: float = 600.0
    """Length of the video whose memory is compared."""
    rounds: int = 3
    """Times that the short one is measured; the median is given."""
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
        job = replace(job, short_s=8.0, long_s=12.0, rounds=1)
    with TemporaryDirectory() as folder:
        short, long = Path(folder) / "short.mp4", Path(folder) / "long.mp4"
        write_face(short, job.short_s)
        write_face(long, job.long_s)
        rounds = [_in_own_process(short) for _ in range(job.rounds)]
        longer = _in_own_process(long)
    middle = sorted(rounds, key=lambda figures: figures["total_s"])[len(rounds) // 2]
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}",
        "video": f"{WIDTH}x{HEIGHT}, H.264, {FPS:g} frames a second",
        "short_s": job.short_s,
        "rounds": rounds,
        "median": middle,
        "ratio_to_decoding": round((middle["total_s"]) / middle["decode_alone_s"], 2),
        "long_s": job.long_s,
        "long": longer,
        "memory_ratio": round(longer["peak_rss_mb"] / middle["peak_rss_mb"], 3),
    }
    job.out.parent.mkdir(parents=True, exist_ok=True)
    job.out.write_text(json.dumps(report, indent=1) + "\n")
    logger.info("%s", json.dumps(report, indent=1))


def write_face(path: Path, seconds: float) -> None:
    """Write a synthetic face of 640x480 as H.264."""
    config = SyntheticConfig(
        seconds=min(SCENE_S, seconds),
        difficulty=0.3,
        side=HEIGHT,
        view=2.2,
        fps=FPS,
        negatives=0.0,
        off=("codec", "timing"),
    )
    film = make_film(1, config)
    side = (WIDTH - HEIGHT) // 2
    wide = [
        np.asarray(cv2.copyMakeBorder(p, 0, 0, side, side, cv2.BORDER_REPLICATE), np.uint8)
        for p in film.pictures
    ]
    there_and_back = wide + wide[-2:0:-1]
    frames = round(seconds * FPS)
    pictures = [there_and_back[index % len(there_and_back)] for index in range(frames)]
    longer = Film(
        pictures, np.arange(frames) / FPS, [], np.zeros(frames, bool), film.pulse, film.truth
    )
    write_video(path, longer, quality=20)


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
