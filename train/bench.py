"""What all of it costs: `python train/bench.py` writes speed.json, speed.md and costs.png.

The networks beside public architectures (train/costs.py), after how much video a right rate is
shown (train/first_rate.py), KDPhys from its import to its first wave, and how the whole path from a
file to a reading grows with the video's length, its pictures' size and the number of videos
(train/growth.py). It takes some minutes, and wants the machine for itself. What visitors of the
live page cost is told too, where tests/probe_live.py left its live*.json (train/visitors.py).
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

from kdphys.noticed import LEAST_SECONDS
from kdphys.vitals import LEAST_SECONDS as LEAST_S
from train import first_rate, visitors
from train.aside import aside
from train.benchmark import markdown_table
from train.costs import LEAST, TURN_S, TURNS, Cost, alone, chart, table
from train.costs import compare as costs_of_networks
from train.first_rate import RATES_BPM, Wait, by_construction, waits
from train.growth import SIZES, Figures, batch_rows, batched, measured
from train.origin import Origin, origin
from train.peers import PEERS
from train.script import run_script

logger = logging.getLogger(__name__)

CLIP_S = 20.0  # of the films, and of the videos of a batch
STARTS = ("import_s", "open_s", "first_wave_s")


@dataclass(frozen=True)
class BenchJob:
    """Measure time and memory."""

    out: Path = Path("docs/results")
    """Folder for speed.json, speed.md and costs.png."""
    lengths_s: tuple[float, ...] = (10.0, 30.0, 60.0, 300.0)
    """Lengths of the videos of 640x480 that are measured."""
    sizes: tuple[str, ...] = tuple(SIZES)
    """Sizes of the videos of the first of these lengths."""
    minute: str | None = "1920x1080"
    """Size of one more video, of 60 s: what a camera gives, where a start counts for little."""
    rounds: int = 3
    """Times that each is measured; the median is given. The largest are measured once."""
    videos: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of videos in a batch, of 20 s each."""
    processes: tuple[int, ...] = (1, 2)
    """Numbers of processes that share a batch."""
    turns: int = TURNS
    """Processes of each network whose calls are timed."""
    scene_s: float = 10.0
    """Seconds that are drawn of what the videos show."""
    faces: int = len(RATES_BPM)
    """Clips on which it is seen when a right rate is shown, of 20 s each."""
    page_only: bool = False
    """Write speed.md anew from the JSON that is there, and measure nothing."""
    smoke: bool = False
    """Little of each, to see that it runs to its end."""


class Found(NamedTuple):
    """All that was measured."""

    origin: Origin
    networks: list[Cost]
    waits: list[Wait]
    start: Figures
    """KDPhys from import to first wave: the median of each part."""
    videos: dict[str, Figures]
    batch: dict[str, Figures]
    """Seconds, by number of videos, then of processes."""
    clip_s: float = CLIP_S
    """Length of each of those videos."""


def main(job: BenchJob) -> None:
    """Measure as asked."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if job.smoke:
        job = replace(
            aside(job, "out"), lengths_s=(8.0,), sizes=("640x480", "1280x720"), minute=None,
            rounds=1, videos=(2,), processes=(2,), turns=1, faces=1, scene_s=2.0,
        )  # fmt: skip
    kept = job.out / "speed.json"
    if not job.page_only:
        found = find(job, 8.0 if job.smoke else CLIP_S)
        job.out.mkdir(parents=True, exist_ok=True)
        report = {name: _plain(part) for name, part in found._asdict().items()}
        kept.write_text(json.dumps(report, indent=1) + "\n")
        chart(found.networks, job.out / "costs.png")
    page = page_of(read(kept), visitors.read(job.out))
    (job.out / "speed.md").write_text(page)
    logger.info("%s", page)


def read(path: Path) -> Found:
    """What was measured, from its speed.json."""
    kept = json.loads(path.read_text())
    kept |= {"origin": Origin(**kept["origin"])}
    kept |= {"networks": [Cost(**cost) for cost in kept["networks"]]}
    kept |= {"waits": [Wait(**wait) for wait in kept["waits"]]}
    return Found(**kept)


def page_of(found: Found, live: Sequence[visitors.Live]) -> str:
    """All of it as Markdown."""
    lines = [*_networks(found), *_waits(found), *_start(found), *_growth(found)]
    crowd = visitors.section(live)
    return "\n".join([*lines, *([""] if crowd else []), *crowd]) + "\n"


def find(job: BenchJob, clip_s: float) -> Found:
    """Measure all of it; `clip_s` is the length of the films and of the videos of a batch."""
    made = origin()
    peers = PEERS[-1:] if job.smoke else PEERS
    costs = costs_of_networks(peers, job.turns, 0.0 if job.smoke else TURN_S)
    logger.info("networks are done")
    ours = waits(job.faces, clip_s)
    measured_here = {wait.name for wait in ours}
    theirs = [by_construction(cost) for cost in costs if cost.name not in measured_here]
    logger.info("first rates are done")
    starts = [alone("start") for _ in range(job.turns)]
    small, shortest = job.sizes[0], job.lengths_s[0]
    kinds = [(small, seconds) for seconds in job.lengths_s]
    kinds += [(size, shortest) for size in job.sizes[1:]]
    kinds += [(job.minute, 60.0)] if job.minute else []
    videos = {}
    for size, seconds in kinds:
        videos[f"{size}, {seconds:g} s"] = measured(SIZES[size], seconds, job.rounds, job.scene_s)
        logger.info("%s, %g s is done", size, seconds)
    return Found(
        origin=made,
        networks=costs,
        waits=[*ours, *theirs],
        start={name: round(median(one[name] for one in starts), 3) for name in starts[0]},
        videos=videos,
        batch=batched(job.videos, job.processes, clip_s, job.scene_s),
        clip_s=clip_s,
    )


def _plain(part: object) -> object:
    """A part of what was found as JSON has it."""
    if isinstance(part, list):
        return [asdict(one) for one in part]
    return asdict(part) if isinstance(part, Origin) else part


def _networks(found: Found) -> list[str]:
    said = {wait.name: str(wait) for wait in found.waits}
    runtime_mb = found.networks[0].runtime_mb
    return [
        "# What it costs",
        "",
        f"Made by `python train/bench.py` on {found.origin}; in one run.",
        "",
        "Each network runs in ONNX Runtime in processes of its own that import NumPy and the",
        f"runtime ({runtime_mb:.0f} MB) and nothing else, in turn with the others; load is opening",
        "the network there, memory the process's peak with one thread. Milliseconds are the median",
        f"of n calls (95th percentile), at least {LEAST} in each process. The public",
        "architectures are written from their papers and have random weights.",
        "",
        *table(found.networks, said),
        "",
        "![time a frame against parameters](costs.png)",
        "",
    ]


def _waits(found: Found) -> list[str]:
    return [
        "## Until a right rate is shown",
        "",
        f"Ours, measured on calm synthetic faces of {_rates(found.waits)} bpm, at 30 frames a",
        f"second: video until a rate within {first_rate.NEAR_BPM:g} bpm is shown and all that",
        "follow are as near, median (least to most); live as for a camera, else on the clip so",
        f"far, as for a file of that length, every {first_rate.EVERY_S:g} s. Of networks with",
        "random weights only the least is known: as many frames as they take in, and one call. A",
        f"rate needs some beats whatever the network: KDPhys shows none of less than {LEAST_S:g} s",
        f"of a camera, or {LEAST_SECONDS:g} s of a file.",
        "",
        *first_rate.table(found.waits),
        "",
    ]


def _rates(found: Sequence[Wait]) -> str:
    return ", ".join(f"{rate:g}" for rate in RATES_BPM[: len(found[0].video_s)])


def _start(found: Found) -> list[str]:
    cells = [f"{found.start[name]:.3f}" for name in STARTS]
    cells.append(f"{sum(found.start[name] for name in STARTS):.2f}")
    return [
        "## KDPhys from import to first wave",
        "",
        "Seconds to import all that measures, to open the student, and to the first samples from a",
        "second of crops; MB, with detection of faces and reading of videos imported.",
        "",
        *markdown_table(
            ["import", "open", "first wave", "together", "memory"],
            [[*cells, f"{found.start['peak_mb']:.0f}"]],
        ),
        "",
    ]


def _growth(found: Found) -> list[str]:
    columns = list(next(iter(found.videos.values())))
    videos = [[name, *(f"{row[key]:g}" for key in columns)] for name, row in found.videos.items()]
    jobs = list(next(iter(found.batch.values())))
    head = ["videos", *(f"s, {count} process{'es' * (count != '1')}" for count in jobs)]
    return [
        "## From a file to a reading",
        "",
        "Synthetic faces in H.264, 30 frames a second, each in a process of its own that imports",
        "KDPhys alone; seconds, and its peak memory. Decoding goes on beside the rest: its column",
        "is what the rest waited for it.",
        "",
        *markdown_table(["video", *columns], videos),
        "",
        "## Many files",
        "",
        "`python -m kdphys batch FOLDER`, 640x480, from the command to the table.",
        "",
        *markdown_table(head, batch_rows(found.batch, found.clip_s)),
    ]


if __name__ == "__main__":
    run_script(main, BenchJob)
