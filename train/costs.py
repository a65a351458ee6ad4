"""What networks cost: ours and public architectures, side by side in one run.

Each runs in ONNX Runtime in a process of its own, as it would in use: the public ones on a whole
clip at their usual size, ours on a whole clip and, the student, frame by frame as well.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from kdphys.bench import bench_alone
from kdphys.colours import COLOURS
from train.benchmark import markdown_table
from train.peers import PEERS, Peer

THREADS = (1, 2)
ROUNDS = 7
OTHERS = "#7d8799"  # their colour
ALONE = """
import json, sys, time
began = time.perf_counter()
import numpy as np
import onnxruntime
given = json.loads(sys.argv[1])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = given["threads"]
options.inter_op_num_threads = 1
network = onnxruntime.InferenceSession(
    given["path"], options, providers=["CPUExecutionProvider"]
)
load_s = time.perf_counter() - began
clip = np.random.default_rng(0).random(given["shape"], np.float32)
call_ms = []
for _ in range(given["rounds"] + 1):
    began = time.perf_counter()
    network.run(None, {"clip": clip})
    call_ms.append(1000 * (time.perf_counter() - began))
from kdphys.bench import peak_rss_mb
found = {"load_s": load_s, "call_ms": call_ms[1:], "peak_rss_mb": peak_rss_mb()}
sys.stdout.write(json.dumps(found))
"""


@dataclass(frozen=True)
class Cost:
    """What one network costs."""

    name: str
    input: str
    """Side in pixels, and frames at once."""
    parameters: int
    macs_per_frame: float
    """Multiply-accumulates."""
    file_bytes: int
    load_s: float
    """From nothing imported to ready."""
    ms: dict[str, tuple[float, float]]
    """Milliseconds a frame, median and 95th percentile of the calls, by number of threads."""
    peak_rss_mb: float
    """Of the process, with one thread."""


def compare(peers: Sequence[Peer] = PEERS, rounds: int = ROUNDS) -> list[Cost]:
    """Measure ours, then others.

    Args:
        peers: The others.
        rounds: Calls of each that are timed.
    """
    with TemporaryDirectory() as folder:
        return _ours() + [_cost_of(peer, Path(folder), rounds) for peer in peers]


def table(costs: list[Cost]) -> list[str]:
    """Lines of a Markdown table, with each one's time against the first one's."""
    head = ["network", "input", "parameters", "multiply-accumulates a frame", "file"]
    head += [f"ms a frame, {count} thread{'s' * (count > 1)}" for count in THREADS]
    head += ["times the first", "load", "memory"]
    first = costs[0].ms["1"][0]
    rows = [
        [
            cost.name,
            cost.input,
            f"{cost.parameters / 1e6:.3f} M",
            f"{cost.macs_per_frame / 1e6:.1f} M",
            f"{cost.file_bytes / 1e6:.1f} MB",
            *("{:.2f} ({:.2f})".format(*cost.ms[str(count)]) for count in THREADS),
            f"{cost.ms['1'][0] / first:.1f}",
            f"{cost.load_s:.1f} s",
            f"{cost.peak_rss_mb:.0f} MB",
        ]
        for cost in costs
    ]
    return markdown_table(head, rows)


def chart(costs: list[Cost], path: Path) -> None:
    """Draw time a frame against parameters, both logarithmic."""
    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.2, 4.2), dpi=150)
    for cost in costs:
        ours = cost.name.startswith("KDPhys")
        place = (cost.parameters / 1e6, cost.ms["1"][0])
        axes.scatter(
            *place, s=90 if ours else 55, color=COLOURS["student"] if ours else OTHERS, zorder=3
        )
        beside = (8, -13 if ours else 4)
        axes.annotate(cost.name, place, xytext=beside, textcoords="offset points", fontsize=9)
    axes.set(xscale="log", yscale="log", xlabel="parameters, million", ylabel="ms a frame")
    axes.set_xlim(0.03, 3)
    axes.margins(y=0.15)
    axes.grid(alpha=0.3, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def _ours() -> list[Cost]:
    """Ours, with the student twice: frame by frame, and a whole clip at a time."""
    found = {
        name: [bench_alone(name, threads) for threads in THREADS] for name in ("student", "teacher")
    }
    clip, frame = (
        ("clip_ms_per_frame", "clip_ms_per_frame_p95"),
        ("streaming_ms_p50", "streaming_ms_p95"),
    )
    names = {
        "KDPhys student, live": ("student", "36, one frame", frame),
        "KDPhys student": ("student", "36, 300 frames", clip),
        "KDPhys teacher": ("teacher", "36, 300 frames", clip),
    }
    costs = []
    for name, (model, given, (middle, high)) in names.items():
        one = found[model][0]
        ms = {
            str(threads): (each[middle], each[high])
            for threads, each in zip(THREADS, found[model], strict=True)
        }
        costs.append(
            Cost(
                name, given, one["parameters"], one["macs_per_frame"], one["file_bytes"],
                one["load_s"], ms, one["peak_rss_mb"],
            )
        )  # fmt: skip
    return costs


def _cost_of(peer: Peer, folder: Path, rounds: int) -> Cost:
    """Export a public architecture with random weights, and measure it."""
    torch.manual_seed(0)
    network = peer.build(peer.side).eval()
    clip = torch.rand(1, 3, peer.frames, peer.side, peer.side)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(clip)
    path = folder / f"{peer.name}.onnx"
    torch.onnx.export(
        network, (clip,), str(path), input_names=["clip"], output_names=["wave"],
        dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip
    runs = {threads: _in_own_process(path, clip.shape, threads, rounds) for threads in THREADS}
    per_frame = {
        str(threads): tuple(
            round(float(np.percentile(run["call_ms"], share)) / peer.frames, 4)
            for share in (50, 95)
        )
        for threads, run in runs.items()
    }
    return Cost(
        peer.name,
        f"{peer.side}, {peer.frames} frames",
        sum(weight.numel() for weight in network.parameters()),
        counter.get_total_flops() / 2 / peer.frames,
        path.stat().st_size,
        round(runs[1]["load_s"], 3),
        {threads: (low, high) for threads, (low, high) in per_frame.items()},
        runs[1]["peak_rss_mb"],
    )


def _in_own_process(path: Path, shape: torch.Size, threads: int, rounds: int) -> dict:
    given = json.dumps({"path": str(path), "shape": shape, "threads": threads, "rounds": rounds})
    done = subprocess.run(
        [sys.executable, "-c", ALONE, given], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)
