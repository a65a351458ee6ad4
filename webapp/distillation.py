"""The Distillation tab: what was measured, from docs/results, and where both networks look."""

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from kdphys.metrics import pearson
from kdphys.runtime import ModelFacts
from webapp import texts
from webapp.cards import png, title
from webapp.costs import short_count

RESULTS = Path(__file__).parent.parent / "docs" / "results"
DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError)  # of a file of results
SIDE = 216  # of the pictures, in pixels


def kept(facts: dict[str, ModelFacts], results: Path = RESULTS) -> str:
    """What teacher and student are and cost, and how well they read the test clips."""
    heading = title(texts.TAUGHT, texts.TAUGHT_NOTE)
    try:
        found = json.loads((results / "results.json").read_text(encoding="utf-8"))
        scores = {name: found["synthetic"][name]["all"] for name in texts.KINDS}
        rows = [
            [f"{texts.MODEL_NAMES[name]}: {kind}", *_costs(facts[name]), *_scores(scores[name])]
            for name, kind in texts.KINDS.items()
        ]
        note = texts.KEPT_NOTE.format(clips=scores["student"]["n"])
    except DAMAGE:
        return heading + _fine(texts.RESULTS_GONE)
    return heading + _table(["Network", *texts.KEPT_COLUMNS], rows) + _fine(note)


def worth(results: Path = RESULTS) -> str:
    """The table of the ablation."""
    try:
        found = json.loads((results / "ablation.json").read_text(encoding="utf-8"))
        arms = {
            name: list(found["arms"][name].values())
            for name in texts.WORTH_NAMES
            if name in found["arms"]
        }
        rows = [
            [texts.WORTH_NAMES[name], str(len(seeds))]
            + [_spread([seed[key] for seed in seeds]) for key in list(texts.WORTH_COLUMNS)[1:]]
            for name, seeds in arms.items()
        ]
        note = texts.WORTH_NOTE.format(
            steps=found["settings"]["schedule"]["steps"], seeds=max(map(len, arms.values()))
        )
    except DAMAGE:
        return title(texts.WORTH) + _fine(texts.RESULTS_GONE)
    columns = ["Learned from", *texts.WORTH_COLUMNS.values()]
    return title(texts.WORTH, note) + _table(columns, rows)


def looks(stretch: NDArray[np.uint8], maps: dict[str, NDArray[np.float32]]) -> str:
    """Where teacher and student look on a clip.

    Args:
        stretch: Crops in a row. Shape (T, S, S, 3).
        maps: What `kdphys.runtime.look_of` gives for both, each of shape (H, W).
    """
    face = np.rint(stretch.mean(0)).astype(np.uint8)
    large = np.asarray(cv2.resize(face, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)
    pictures = {texts.LOOKS_FACE: large} | {
        texts.MODEL_NAMES[name]: _lit(large, maps[name]) for name in texts.KINDS
    }
    figures = "".join(
        f'<figure><img src="{png(picture)}" width="{SIDE}" height="{SIDE}" alt="{name}">'
        f"<figcaption>{name}</figcaption></figure>"
        for name, picture in pictures.items()
    )
    one, other = (look.ravel().astype(np.float64) for look in maps.values())
    alike = _fine(texts.LOOKS_ALIKE.format(alike=pearson(one, other)))
    return f'{title(texts.LOOKS, texts.LOOKS_NOTE)}<div class="kd-looks">{figures}</div>{alike}'


def no_looks() -> str:
    """What stands there before a video was measured."""
    return title(texts.LOOKS, texts.LOOKS_NOTE) + _fine(texts.LOOKS_EMPTY)


def _lit(face: NDArray[np.uint8], look: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A face in grey under a map in colour. Shape (SIDE, SIDE, 3)."""
    fine = cv2.resize(
        look / max(float(look.max()), 1e-9), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
    )
    levels = np.rint(255 * np.clip(fine, 0, 1)).astype(np.uint8)
    heat = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    grey = cv2.cvtColor(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(grey, 0.4, heat, 0.6, 0), np.uint8)


def _costs(facts: ModelFacts) -> list[str]:
    return [
        short_count(facts.parameters),
        short_count(facts.macs_per_frame),
        f"{short_count(facts.file_bytes)}B",
    ]


def _scores(score: dict[str, float]) -> list[str]:
    return [
        f"{100 * score['within 3']:.0f} %",
        f"{score['MAE']:.1f} {texts.BPM}",
        f"{100 * score['readings']:.0f} %",
        f"{score['MAE of readings']:.1f} {texts.BPM}",
    ]


def _spread(values: list[float]) -> str:
    """Mean, and standard deviation where there are several."""
    mean = f"{np.mean(values):.3g}"
    return mean if len(values) == 1 else f"{mean} \N{PLUS-MINUS SIGN} {np.std(values, ddof=1):.2g}"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = "".join(
        f'<tr><th scope="row">{name}</th>'
        + "".join(
            f'<td data-label="{column}">{cell}</td>'
            for column, cell in zip(columns[1:], cells, strict=True)
        )
        + "</tr>"
        for name, *cells in rows
    )
    return (
        f'<div class="kd-table kd-plain"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _fine(text: str) -> str:
    return f'<p class="kd-fine">{text}</p>'
