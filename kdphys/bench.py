"""What teacher and student cost on this machine, measured in one run.

Each model is loaded and timed in a process of its own, so that load time and peak memory are its
own; both run in ONNX Runtime with one thread on the same crops.
"""

import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdphys.memory import peak_rss_mb
from kdphys.runtime import NETWORKS, SIZE, Session, open_model

CLIP_FRAMES = 300
ROUNDS = 5
STREAM_FRAMES = 300
WARM_UP = 30
CPUINFO = Path("/proc/cpuinfo")


def bench() -> dict[str, Any]:
    """Measure student and teacher.

    Returns:
        {"student": {...}, "teacher": {...}, "machine": ...}; each model with parameters,
        macs_per_frame, file_bytes, load_s, clip_ms_per_frame and clip_ms_per_frame_p95 (median and
        95th percentile over clips), streaming_ms_p50 and streaming_ms_p95 (over frames; None where
        a model can't stream) and peak_rss_mb.

    Raises:
        WeightsError: Those of one are missing or damaged.
    """
    for name in NETWORKS:  # here a sentence says what is wrong with one
        open_model(name)
    return {
        "student": bench_alone("student"),
        "teacher": bench_alone("teacher"),
        "machine": f"{machine_name()}, one thread, Python {platform.python_version()}, "
        f"{platform.system()}",
    }


def machine_name() -> str:
    """What computes here: model of the processor, its kind, and the number of cores."""
    told = CPUINFO.read_text() if CPUINFO.exists() else ""
    model = re.search(r"^model name\s*: (.+)$", told, re.MULTILINE)
    named = model[1].strip() if model else platform.processor()
    parts = dict.fromkeys(part for part in (named, platform.machine()) if part)
    return ", ".join([*parts, f"{os.cpu_count()} cores"])


IN_OWN_PROCESS = """
import sys, time
began = time.perf_counter()
from kdphys.bench import bench_model
sys.stdout.write(bench_model(sys.argv[1], began))
"""


def bench_alone(model: str) -> dict[str, Any]:
    """Measure one model in a process of its own.

    Args:
        model: "student" or "teacher".

    Returns:
        What `bench` gives for it.
    """
    command = [sys.executable, "-c", IN_OWN_PROCESS, model]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def bench_model(name: str, began: float) -> str:
    """Measure one model in this process.

    Args:
        name: "student" or "teacher".
        began: Value of `time.perf_counter` before anything of KDPhys was imported.

    Returns:
        The figures as JSON.
    """
    model = open_model(name)
    load_s = time.perf_counter() - began
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 255, (CLIP_FRAMES, SIZE, SIZE, 3), np.uint8)
    clip_s = []
    for _ in range(ROUNDS + 1):
        session = model.start()
        began = time.perf_counter()
        session.push(crops)
        session.finish()
        clip_s.append(time.perf_counter() - began)
    clip_ms = 1000 * np.array(clip_s[1:]) / CLIP_FRAMES
    steps_ms = _step_times_ms(model.start(), crops) if name == "student" else None
    figures = {
        "parameters": model.facts.parameters,
        "macs_per_frame": model.facts.macs_per_frame,
        "file_bytes": model.facts.file_bytes,
        "load_s": round(load_s, 3),
        "clip_ms_per_frame": round(float(np.median(clip_ms)), 4),
        "clip_ms_per_frame_p95": _p95(clip_ms),
        "streaming_ms_p50": None if steps_ms is None else round(float(np.median(steps_ms)), 4),
        "streaming_ms_p95": None if steps_ms is None else _p95(steps_ms),
        "peak_rss_mb": peak_rss_mb(),
    }
    return json.dumps(figures)


def _step_times_ms(session: Session, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Time of each frame, pushed one by one. Shape (STREAM_FRAMES,)."""
    times = []
    for frame in range(WARM_UP + STREAM_FRAMES):
        began = time.perf_counter()
        session.push(crops[frame % CLIP_FRAMES][None])
        times.append(1000 * (time.perf_counter() - began))
    return np.array(times[WARM_UP:])


def _p95(values: NDArray[np.float64]) -> float:
    return round(float(np.percentile(values, 95)), 4)
