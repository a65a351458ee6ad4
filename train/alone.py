"""What is measured in a process of its own: `python train/alone.py WHAT JSON`, for train/bench.py.

Each function imports what it measures and nothing else, so that loading and memory are that thing's
own; it prints one JSON object.
"""

import json
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path

# From their files: by their names they would bring all of kdphys.
KDPHYS = Path(__file__).resolve().parent.parent / "kdphys"
peak_rss_mb: Callable[[], float] = runpy.run_path(str(KDPHYS / "memory.py"))["peak_rss_mb"]
FIRST_CROPS = 30


def network(path: str, frames: int, threads: int, least: int, turn_s: float) -> dict[str, object]:
    """Open an ONNX network and call it again and again with the same clip.

    A state that it gives out as `next_NAME` goes into its next call as NAME.

    Args:
        path: The file; its input `clip` has the shape (1, T, 3, S, S) or (1, 3, T, S, S).
        frames: T.
        threads: Threads within a call.
        least: Calls that are timed at least.
        turn_s: Seconds for which it is called at least.
    """
    import numpy as np

    onnxruntime = runpy.run_path(str(KDPHYS / "ort.py"))["onnxruntime"]
    runtime_mb = peak_rss_mb()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    began = time.perf_counter()
    opened = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    load_s = time.perf_counter() - began
    rng = np.random.default_rng(0)
    shapes = {
        one.name: [size if isinstance(size, int) else frames for size in one.shape]
        for one in opened.get_inputs()
    }
    given = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    states = [name for name in given if name != "clip"]
    call_ms: list[float] = []
    first = time.perf_counter()
    while len(call_ms) <= least or time.perf_counter() - first < turn_s:
        began = time.perf_counter()
        _, *after = opened.run(["wave", *(f"next_{name}" for name in states)], given)
        call_ms.append(1000 * (time.perf_counter() - began))
        given |= dict(zip(states, after, strict=True))
    return {
        "load_s": load_s,
        "call_ms": call_ms[1:],
        "runtime_mb": runtime_mb,
        "peak_mb": peak_rss_mb(),
    }


def start() -> dict[str, object]:
    """Import KDPhys, open the student and show it one second of crops, as a program of its own."""
    began = time.perf_counter()
    from kdphys.runtime import SIZE, open_model  # brings the rest of kdphys too

    imported = time.perf_counter()
    session = open_model("student").start()
    opened = time.perf_counter()
    import numpy as np

    wave = session.push(np.zeros((FIRST_CROPS, SIZE, SIZE, 3), np.uint8))
    if not len(wave):
        raise ValueError(f"{FIRST_CROPS} crops must be enough for a first sample")
    return {
        "import_s": imported - began,
        "open_s": opened - imported,
        "first_wave_s": time.perf_counter() - opened,
        "peak_mb": peak_rss_mb(),
    }


def video(path: str) -> dict[str, object]:
    """Decode a video, then measure it."""
    from kdphys.pipeline import measure
    from kdphys.video import read_frames

    began = time.perf_counter()
    for _ in read_frames(Path(path)):
        pass
    alone_s = time.perf_counter() - began
    began = time.perf_counter()
    found = measure(path)
    total_s, parts = time.perf_counter() - began, found.seconds
    return {
        "decode_alone_s": alone_s,
        "total_s": total_s,
        "decode_s": parts.decode,
        "face_s": parts.face,
        "network_s": parts.network,
        "signal_s": parts.signal,
        "peak_mb": peak_rss_mb(),
    }


if __name__ == "__main__":
    measured = {"network": network, "start": start, "video": video}[sys.argv[1]]
    sys.stdout.write(json.dumps(measured(**json.loads(sys.argv[2]))))
