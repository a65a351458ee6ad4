"""What evaluation found, as one HTML page to look at: `train/evaluate.py --report OUT.html`.

Everything is in the file: plotly's script, pictures and waves. It asks nothing of the network.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from kdphys.colours import COLOURS
from kdphys.runtime import CLASSICAL, FPS, Model, open_model
from train.datasets import ClipStore
from train.origin import Origin
from train.scores import Array, Scores, wave_of

WORST = 6
OTHER = "#555555"  # of a network that has no colour of its own
STYLE = """
body { font: 16px/1.5 "Helvetica Neue", Arial, sans-serif; max-width: 1060px; margin: 40px auto;
  padding: 0 20px; color: #1b2330; }
h1 { font-size: 30px; } h2 { margin-top: 48px; } table { border-collapse: collapse; }
td, th { padding: 5px 12px; border-bottom: 1px solid #dde3ec; text-align: right; }
td:first-child, th:first-child { text-align: left; } img { image-rendering: pixelated; }
.wide { overflow-x: auto; } .worst { display: grid; grid-template-columns: 150px 1fr; gap: 16px; }
"""

Kind = tuple[int, str]
"""Place among the others, and name."""
Group = Callable[[int], Kind]


@dataclass(frozen=True)
class Evidence:
    """All that was found."""

    command: str
    made: Origin
    weights: Mapping[str, str]
    """The sha256 of each network's trained numbers, by model."""
    pulsing: ClipStore
    """Test clips with a pulse."""
    scores: Mapping[str, Scores]
    """On those, by model."""
    silent: Mapping[str, Scores]
    """On test clips without a pulse, by model."""
    shorter: Mapping[float, Scores]
    """The first model's on the first seconds of each clip."""
    easier: Mapping[float, tuple[Array, Scores]]
    """True rates in bpm and the first model's scores, by difficulty."""
    real: Sequence[Mapping[str, object]]
    """Rows of `train.evaluate.replay`."""

    @property
    def first(self) -> str:
        """Name of the first model, which is looked at most closely."""
        return next(iter(self.scores))


def write_report(evidence: Evidence, path: Path) -> None:
    """Write the page."""
    parts = [
        "<h1>KDPhys: evaluation</h1>",
        f"<p>Made by <code>{escape(evidence.command)}</code>: {len(evidence.pulsing)} synthetic "
        "clips with a pulse and "
        f"{len(next(iter(evidence.silent.values())).bpm)} without, of people and seeds that "
        "training never saw. Errors are in bpm. Real faces against a contact sensor are "
        "<b>not measured</b>. This is not about a medical device.</p>",
        *_accuracy(evidence),
        *_agreement(evidence),
        *_groups(evidence),
        *_confidence(evidence),
        *_real(evidence),
        *_worst(evidence),
        *_origin(evidence),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>KDPhys: evaluation</title>'
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>",
        encoding="utf-8",
    )


def _accuracy(evidence: Evidence) -> list[str]:
    true = evidence.pulsing.bpm.astype(np.float64)
    rows = []
    for name, scores in evidence.scores.items():
        silent = float(np.isnan(evidence.silent[name].given).mean())
        rows.append([name, *_figures(scores, true), f"{100 * silent:.0f} %"])
    head = ["model", *FIGURES, "none without a pulse"]
    return ["<h2>Accuracy</h2>", _table(head, rows)]


def _agreement(evidence: Evidence) -> list[str]:
    """Scatter and Bland-Altman plots of both networks."""
    true = evidence.pulsing.bpm.astype(np.float64)
    figure = make_subplots(1, 2, subplot_titles=("Read against true", "Bland-Altman, readings"))
    for name in _networks(evidence):
        scores = evidence.scores[name]
        shown = np.isfinite(scores.given)
        difference = scores.given - true
        for column, across, up in (
            (1, true, scores.bpm),
            (2, (scores.given + true) / 2, difference),
        ):
            given = [name if is_shown else f"{name}, no reading" for is_shown in shown]
            figure.add_trace(
                go.Scatter(
                    x=across, y=up, mode="markers", name=name, showlegend=column == 1,
                    marker={"color": _colour(name), "opacity": np.where(shown, 0.85, 0.3)},
                    hovertext=[f"clip {at}: {text}" for at, text in enumerate(given)],
                ), 1, column,
            )  # fmt: skip
        if shown.sum() < 2:
            continue
        middle, spread = float(np.nanmean(difference)), float(np.nanstd(difference, ddof=1))
        for height in (middle - 1.96 * spread, middle, middle + 1.96 * spread):
            line = {"color": _colour(name), "dash": "dot", "width": 1}
            ends = {"x0": 0, "x1": 1, "y0": height, "y1": height}
            figure.add_shape(type="line", xref="x2 domain", yref="y2", line=line, **ends)
    figure.update_xaxes(title_text="true rate, bpm", row=1, col=1)
    figure.update_xaxes(title_text="mean of read and true, bpm", row=1, col=2)
    figure.update_yaxes(title_text="bpm", row=1, col=1)
    figure.update_yaxes(title_text="read minus true, bpm", row=1, col=2)
    note = "Faint: below the confidence at which a reading is shown. Dotted: mean and 95 % limits."
    return ["<h2>Agreement with the truth</h2>", f"<p>{note}</p>", _drawn(figure, 440, first=True)]


def _groups(evidence: Evidence) -> list[str]:
    """Error by what the clips are like."""
    store, true = evidence.pulsing, evidence.pulsing.bpm.astype(np.float64)
    light = np.array([store.clip(at).mean() for at in range(len(store))])
    strength = np.array([_told(store, at, "strength") for at in range(len(store))])
    unrest = np.array([_unrest(store.clip(at)) for at in range(len(store))])
    ways: dict[str, Group] = {
        "Heart rate": lambda at: _band(true[at], (60, 90, 120), "bpm"),
        "Skin": lambda at: _third(_told(store, at, "melanin"), ("light", "medium", "dark")),
        "Light": lambda at: _rank(light, at, ("dimmest third", "middle", "brightest third")),
        "Motion": lambda at: _rank(unrest, at, ("calmest third", "middle", "most restless third")),
        "Codec": lambda at: (0, str(store.truths[at]["codec"] or "none")),
        "Strength of the pulse": lambda at: _rank(
            strength, at, ("weakest third", "middle", "strongest third")
        ),
    }  # fmt: skip
    parts = [
        "<h2>By what the clips are like</h2>",
        "<p>Light and motion as measured in the crops: their mean level, and how much they change "
        "from frame to frame.</p>",
    ]
    for title, way in ways.items():
        kinds = [way(at) for at in range(len(store))]
        rows = [
            [
                f"{kind[1]} ({kinds.count(kind)})",
                name,
                *_figures(evidence.scores[name], true, chosen),
            ]
            for kind in sorted(set(kinds))
            for chosen in [np.array([one == kind for one in kinds])]
            for name in _networks(evidence)
        ]
        parts += [f"<h3>{title}</h3>", _table([title, "model", *FIGURES], rows)]
    lengths = [
        [f"{seconds:g} s", evidence.first, *_figures(scores, true)]
        for seconds, scores in evidence.shorter.items()
    ]
    parts += ["<h3>Length</h3>", _table(["Length", "model", *FIGURES], lengths)]
    hardness = [
        [f"{difficulty:g} ({len(rates)})", evidence.first, *_figures(scores, rates)]
        for difficulty, (rates, scores) in evidence.easier.items()
    ]
    return [*parts, "<h3>Difficulty</h3>", _table(["Difficulty", "model", *FIGURES], hardness)]


def _confidence(evidence: Evidence) -> list[str]:
    """Error of what is shown as the threshold moves, and how often a confidence is right."""
    figure = make_subplots(1, 2, subplot_titles=("Risk and coverage", "Calibration"))
    true = evidence.pulsing.bpm.astype(np.float64)
    for name in _networks(evidence):
        scores = evidence.scores[name]
        order = np.argsort(-scores.quality)
        order = order[np.isfinite(scores.bpm[order])]  # without those in which no face is found
        errors = np.abs(scores.bpm - true)[order]
        covered = np.arange(1, len(errors) + 1)
        figure.add_trace(
            go.Scatter(
                x=100 * covered / len(errors), y=np.cumsum(errors) / covered, mode="lines",
                name=name, line={"color": _colour(name)},
                hovertext=[f"confidence above {quality:.2f}" for quality in scores.quality[order]],
            ), 1, 1,
        )  # fmt: skip
        quality = np.concatenate([scores.quality, evidence.silent[name].quality])
        right = np.concatenate(
            [np.abs(scores.bpm - true) <= 3, np.zeros(len(quality))[len(true) :]]
        )
        bins = np.clip((quality * 5).astype(int), 0, 4)
        held = [at for at in range(5) if (bins == at).any()]
        figure.add_trace(
            go.Scatter(
                x=[quality[bins == at].mean() for at in held],
                y=[right[bins == at].mean() for at in held],
                mode="lines+markers", name=name, showlegend=False, line={"color": _colour(name)},
                hovertext=[f"{(bins == at).sum()} clips" for at in held],
            ), 1, 2,
        )  # fmt: skip
    line = {"color": "#b6bfcc", "dash": "dot"}
    figure.add_trace(
        go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, showlegend=False), 1, 2
    )
    figure.update_xaxes(title_text="clips with a reading, %", row=1, col=1)
    figure.update_yaxes(title_text="their mean error, bpm", row=1, col=1)
    figure.update_xaxes(title_text="confidence", row=1, col=2)
    figure.update_yaxes(title_text="share within 3 bpm", row=1, col=2)
    note = (
        "Left: only the surest clips are given a reading. Right: clips with and without a pulse, "
        "in five bins of confidence; the latter are never right."
    )
    return ["<h2>Confidence</h2>", f"<p>{note}</p>", _drawn(figure, 400)]


def _real(evidence: Evidence) -> list[str]:
    """Rates of real clips against the speed at which they are replayed."""
    if not evidence.real:
        return []
    figure = go.Figure()
    dashes = ("solid", "dash", "dot", "dashdot", "longdash")
    clips = sorted({str(row["clip"]) for row in evidence.real if "refused" not in row})
    for clip, dash in zip(clips, dashes * len(clips), strict=False):
        rows = [row for row in evidence.real if row["clip"] == clip and "refused" not in row]
        for name in _networks(evidence):
            figure.add_trace(
                go.Scatter(
                    x=[row["speed"] for row in rows], y=[row[name] for row in rows],
                    mode="lines+markers", name=f"{clip}, {name}",
                    line={"color": _colour(name), "dash": dash},
                )
            )  # fmt: skip
    figure.update_xaxes(title_text="speed")
    figure.update_yaxes(title_text="read, bpm", rangemode="tozero")
    note = (
        "A rate that is right lies on a line through 0; a gap is no reading. No contact sensor was "
        "worn in these clips."
    )
    return ["<h2>Real clips at several speeds</h2>", f"<p>{note}</p>", _drawn(figure, 460)]


def _worst(evidence: Evidence) -> list[str]:
    """The clips on which the first network errs most: picture, truth, and both waves."""
    name = _networks(evidence)[0]
    store, scores = evidence.pulsing, evidence.scores[name]
    true = store.bpm.astype(np.float64)
    errors = np.abs(scores.bpm - true)
    parts = [f"<h2>Where the {name} errs most</h2>"]
    for index in np.argsort(-errors)[:WORST]:
        truth = ", ".join(f"{key} {_said(value)}" for key, value in store.truths[index].items())
        shown = "" if np.isfinite(scores.given[index]) else ", so no reading is shown"
        said = (
            f"True {true[index]:.1f}, read {scores.bpm[index]:.1f} bpm with a confidence of "
            f"{scores.quality[index]:.2f}{shown}. {truth}."
        )
        parts.append(
            f'<div class="worst"><img src="{_picture(store.clip(int(index)))}" width="144" '
            f'height="144" alt="mean picture"><div><p>{escape(said)}</p>'
            f"{_drawn(_waves(store, int(index), open_model(name)), 190)}</div></div>"
        )
    return parts


def _origin(evidence: Evidence) -> list[str]:
    """What it was made with."""
    made = evidence.made
    rows = [
        ["command", evidence.command],
        ["machine", made.machine],
        ["day, UTC", made.date],
        ["commit", made.commit or "none"],
        ["Python", made.python],
        *([name, version] for name, version in made.versions.items()),
        *([f"weights of the {name}, sha256", digest] for name, digest in evidence.weights.items()),
    ]
    return ["<h2>Where these figures come from</h2>", _table(["", ""], rows)]


def _waves(store: ClipStore, index: int, model: Model) -> go.Figure:
    """The first ten seconds of the truth and of what a model says."""
    frames = round(10 * FPS)
    said = wave_of(model, store.clip(index))[:frames]
    true = store.waves[index][:frames].astype(np.float64)
    time_s = np.arange(frames) / FPS
    figure = go.Figure()
    for name, wave, colour in (("true", true, "#e5484d"), ("said", said, "#2b83d9")):
        height = (wave - wave.mean()) / max(float(wave.std()), 1e-9)
        figure.add_trace(go.Scatter(x=time_s, y=height, name=name, line={"color": colour}))
    figure.update_yaxes(showticklabels=False)
    return figure


FIGURES = ("within 3", "mean error", "median error", "readings", "their mean error")


def _figures(scores: Scores, true: Array, chosen: NDArray[np.bool_] | None = None) -> list[str]:
    """What `FIGURES` names."""
    chosen = np.ones(len(true), bool) if chosen is None else chosen
    errors = np.abs(scores.bpm - true)[chosen]
    shown = np.abs(scores.given - true)[chosen]
    shown = shown[np.isfinite(shown)]
    return [
        f"{100 * (errors <= 3).mean():.0f} %",
        f"{np.nanmean(errors):.2f}",
        f"{np.nanmedian(errors):.2f}",
        f"{100 * len(shown) / len(errors):.0f} %",
        f"{shown.mean():.2f}" if len(shown) else "none",
    ]


def _colour(name: str) -> str:
    """Colour of a model; that of a network on the Hub is none of the usual ones."""
    return COLOURS.get(name, OTHER)


def _networks(evidence: Evidence) -> list[str]:
    """The networks among the models; all of them where there is none."""
    return [name for name in evidence.scores if name not in CLASSICAL] or list(evidence.scores)


def _unrest(pixels: NDArray[np.uint8]) -> float:
    """Mean change of a crop from frame to frame at a third of the rate, in grey levels."""
    grey = pixels[::3].mean(3)
    return float(np.abs(np.diff(grey, axis=0)).mean())


def _told(store: ClipStore, index: int, name: str) -> float:
    return float(str(store.truths[index][name]))


def _band(value: float, edges: Sequence[float], unit: str) -> Kind:
    """The band that a value is in."""
    place = int(np.searchsorted(edges, value, side="right"))
    if place == 0:
        return place, f"below {edges[0]:g} {unit}"
    if place == len(edges):
        return place, f"from {edges[-1]:g} {unit}"
    return place, f"{edges[place - 1]:g} to {edges[place]:g} {unit}"


def _third(value: float, names: Sequence[str]) -> Kind:
    place = min(int(3 * value), 2)
    return place, names[place]


def _rank(values: Array, index: int, names: Sequence[str]) -> Kind:
    return _third(float((values < values[index]).mean()), names)


def _said(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _picture(pixels: NDArray[np.uint8]) -> str:
    """Mean picture of a clip as a data address."""
    mean = np.rint(pixels.mean(0)).astype(np.uint8)
    _, encoded = cv2.imencode(".png", mean[..., ::-1])
    return f"data:image/png;base64,{base64.b64encode(encoded.tobytes()).decode()}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def _drawn(figure: go.Figure, height: int, *, first: bool = False) -> str:
    """A figure as HTML; the first brings plotly's script for all."""
    margin = {"l": 50, "r": 20, "t": 40 if height > 300 else 10, "b": 40}
    figure.update_layout(height=height, margin=margin, template="plotly_white")
    return figure.to_html(full_html=False, include_plotlyjs=first)
