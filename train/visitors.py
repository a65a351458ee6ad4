"""What one visitor of the live page costs, and what several do, by tests/probe_live.py."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from train.benchmark import markdown_table
from train.origin import Origin


@dataclass(frozen=True)
class Live:
    """Figures of one run of the probe."""

    visitors: int
    """The one in a browser, and clients that send the same pictures."""
    seconds: float
    frames_per_s: float
    """Of the browser's, that reached the network."""
    lag_p95_ms: float
    """From a picture of the browser's camera to the answer in its page, 95th percentile."""
    clients_lag_p95_ms: float | None
    """From a client's picture to its answer; None without clients."""
    rss_mb: float
    """Memory of the server at the end."""
    rss_growth_mb: float
    """Of that, what came in the second half."""
    origin: Origin


def read(folder: Path) -> list[Live]:
    """What the probe left in a folder, the fewest visitors first; what a server did not do is not.

    Args:
        folder: Where live*.json lie, if any do.
    """
    written = [json.loads(file.read_text()) for file in sorted(folder.glob("live*.json"))]
    found = [
        Live(
            clients_lag_p95_ms=row.get("clients_lag_p95_ms"),
            origin=Origin(**{field.name: row[field.name] for field in fields(Origin)}),
            **{name: row[name] for name in _PLAIN},
        )
        for row in written
        if not row["private"]
    ]
    return sorted(found, key=lambda live: (live.visitors, live.seconds))


def section(found: Sequence[Live]) -> list[str]:
    """Lines of Markdown; none where nothing was found."""
    if not found:
        return []
    made = " and on ".join(dict.fromkeys(str(live.origin) for live in found))
    rows = [
        [
            f"{live.visitors}, {live.seconds:g} s",
            f"{live.frames_per_s:.1f}",
            f"{live.lag_p95_ms:.0f}",
            "" if live.clients_lag_p95_ms is None else f"{live.clients_lag_p95_ms:.0f}",
            f"{live.rss_mb:.0f}",
            f"{live.rss_growth_mb:.1f}",
        ]
        for live in found
    ]
    return [
        "## Visitors of the live page",
        "",
        "Made by `python tests/probe_live.py --visitors N --out FILE`, not in the run above; on",
        f"{made}.",
        "One is a Chromium that films a synthetic face, the others are clients that send the",
        "same, all on the machine that serves them; milliseconds from a picture to its answer",
        "(95th percentile), and memory of the server at the end, and what it gained over the",
        "second half.",
        "",
        *markdown_table(
            ["visitors", "pictures a second", "ms, Chromium", "ms, clients", "MB", "MB gained"],
            rows,
        ),
    ]


_PLAIN = ("visitors", "seconds", "frames_per_s", "lag_p95_ms", "rss_mb", "rss_growth_mb")
