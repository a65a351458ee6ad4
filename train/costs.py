"""What networks cost: ours and public architectures, side by side in one run.

Each runs in ONNX Runtime in a process of its own that imports nothing else (train/alone.py): the
public ones on a whole clip at their usual size, the teacher on one of ten seconds, and the student
frame by frame and in pieces, its state carried on, as the program calls it. They take turns, so
that what else the machine does falls on all alike.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from kdphys.bench import CLIP_FRAMES
from kdphys.colours import COLOURS
from kdphys.hub import load_weights
from kdphys.runtime import SIZE, STREAM_CHUNK, open_model
from train.benchmark import markdown_table
from train.peers import PEERS, Peer

LIVE, STUDENT, TEACHER = "KDPhys student, live", "KDPhys student", "KDPhys teacher"
THREADS = (1, 2)
TURNS, LEAST, TURN_S = 5, 6, 0.5  # of each: processes, timed calls in one, and seconds of calls
OTHERS = "#7d8799"  # their colour
ALONE = Path(__file__).with_name("alone.py")


@dataclass(frozen=True)
class Network:
    """An ONNX file and how it is called."""

    name: str
    path: Path
    side: int
    """Of its input in pixels."""
    frames: int
    """In one call."""
    parameters: int
    macs_per_frame: float


@dataclass(frozen=True)
class Cost:
    """What one network costs."""

    name: str
    side: int
    """Of its input in pixels."""
    frames: int
    """In one call."""
    parameters: int
    macs_per_frame: float
    """Multiply-accumulates."""
    file_bytes: int
    load_s: float
    """To open it, in a process that has imported NumPy and ONNX Runtime; the median."""
    ms: dict[str, tuple[float, float]]
    """Milliseconds a frame, median and 95th percentile of the calls, by number of threads."""
    calls: dict[str, int]
    """That were timed, by number of threads."""
    peak_mb: float
    """Peak memory of the process, with one thread; the median."""
    runtime_mb: float
    """Of that, before the network was opened."""

    @property
    def input(self) -> str:
        """Side in pixels, and frames at once."""
        return f"{self.side}, {'one frame' if self.frames == 1 else f'{self.frames} frames'}"

    @property
    def call_s(self) -> float:
        """Median time of a call with one thread, in seconds."""
        return self.ms["1"][0] * self.frames / 1000


def compare(
    peers: Sequence[Peer] = PEERS, turns: int = TURNS, turn_s: float = TURN_S
) -> list[Cost]:
    """Measure ours and others, in turn.

    Args:
        peers: The others.
        turns: Processes of each, with each number of threads.
        turn_s: Seconds of calls in each, in which there are at least `LEAST`.

    Returns:
        Ours, the student first, then the others.
    """
    with TemporaryDirectory() as folder:
        networks = [*_ours(), *(_exported(peer, Path(folder)) for peer in peers)]
        runs: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for _ in range(turns):
            for network in networks:
                for threads in THREADS:
                    given = {"path": str(network.path), "frames": network.frames}
                    given |= {"threads": threads, "least": LEAST, "turn_s": turn_s}
                    runs.setdefault((network.name, threads), []).append(alone("network", **given))
        return [
            _cost(network, {threads: runs[network.name, threads] for threads in THREADS})
            for network in networks
        ]


def alone(what: str, **given: object) -> dict[str, Any]:
    """Measure something in a process of its own; see train/alone.py."""
    command = [sys.executable, str(ALONE), what, json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def table(costs: Sequence[Cost], waits: Mapping[str, str]) -> list[str]:
    """Lines of a Markdown table, with each one's time against the first one's.

    Args:
        costs: Of each network.
        waits: By name, how long it takes until a right rate is shown, in words.
    """
    head = ["network", "input", "parameters", "multiply-accumulates a frame", "file"]
    head += [f"ms a frame, {count} thread{'s' * (count > 1)}" for count in THREADS]
    head += ["times the first", "until a right rate", "load", "memory"]
    first = costs[0].ms["1"][0]
    rows = [
        [
            cost.name,
            cost.input,
            f"{cost.parameters / 1e6:.3f} M",
            f"{cost.macs_per_frame / 1e6:.1f} M",
            f"{cost.file_bytes / 1e6:.1f} MB",
            *(_timed(cost, str(count)) for count in THREADS),
            f"{cost.ms['1'][0] / first:.1f}",
            waits.get(cost.name, ""),
            f"{1000 * cost.load_s:.0f} ms",
            f"{cost.peak_mb:.0f} MB",
        ]
        for cost in costs
    ]
    return markdown_table(head, rows)


def _timed(cost: Cost, threads: str) -> str:
    """Median, 95th percentile and number of calls."""
    middle, high = cost.ms[threads]
    return f"{middle:.2f} ({high:.2f}, n {cost.calls[threads]})"


def chart(costs: Sequence[Cost], path: Path) -> None:
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


def _ours() -> list[Network]:
    """Ours, with the student twice: frame by frame, and as many at a time as for a file."""
    networks = []
    for name, model, frames in (
        (LIVE, "student", 1),
        (STUDENT, "student", STREAM_CHUNK),
        (TEACHER, "teacher", CLIP_FRAMES),
    ):
        facts, path = open_model(model).facts, load_weights(model).onnx
        networks.append(Network(name, path, SIZE, frames, facts.parameters, facts.macs_per_frame))
    return networks


def _exported(peer: Peer, folder: Path) -> Network:
    """Export a public architecture with random weights."""
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
    parameters = sum(weight.numel() for weight in network.parameters())
    macs = counter.get_total_flops() / 2 / peer.frames
    return Network(peer.name, path, peer.side, peer.frames, parameters, macs)


def _cost(network: Network, runs: Mapping[int, Sequence[Mapping[str, Any]]]) -> Cost:
    """Sum up what the processes of one network found, by number of threads."""
    calls = {
        str(threads): np.concatenate([run["call_ms"] for run in found])
        for threads, found in runs.items()
    }
    single = runs[1]
    return Cost(
        name=network.name,
        side=network.side,
        frames=network.frames,
        parameters=network.parameters,
        macs_per_frame=network.macs_per_frame,
        file_bytes=network.path.stat().st_size,
        load_s=round(median(run["load_s"] for run in single), 4),
        ms={threads: _percentiles(ms / network.frames) for threads, ms in calls.items()},
        calls={threads: len(ms) for threads, ms in calls.items()},
        peak_mb=round(median(run["peak_mb"] for run in single), 1),
        runtime_mb=round(median(run["runtime_mb"] for run in single), 1),
    )


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    """Median and 95th percentile."""
    middle, high = np.percentile(values, (50, 95))
    return round(float(middle), 4), round(float(high), 4)
