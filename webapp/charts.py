"""Figures of the page. Pure functions: a measurement goes in, a plotly figure comes out.

Grounds are transparent; `style.css` colours text, axes and grid for the light and the dark page.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from kdphys.colours import COLOURS
from kdphys.pipeline import Measurement
from webapp import texts
from webapp.costs import Costs, cost_texts, times

PULSE = "#e5484d"  # beats and the heart-rate peak
INK = "#7d8799"  # text and lines where the style sheet doesn't reach
GRID = "rgba(125, 135, 153, 0.22)"
FONT = '"Helvetica Neue", Arial, "Liberation Sans", sans-serif'
RATIO_TICKS = (0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 1000)
FIRST_VIEW_S = 12.0  # a longer trace starts zoomed in, so that single beats can be seen


def trace(measurement: Measurement) -> go.Figure:
    """Draw the pulse wave over time, with its beats, a zoom and an overview strip."""
    time_s, wave = time_axis(measurement), measurement.wave
    beats_s = trusted_beats(measurement)
    colour = COLOURS[measurement.model]
    figure = _figure(height=330, margin_bottom=8)
    figure.add_trace(_line(time_s, wave, colour, "pulse wave"))
    figure.add_trace(
        go.Scatter(
            x=beats_s,
            y=heights_at(time_s, wave, beats_s),
            mode="markers",
            name="beats",
            marker={"color": PULSE, "size": 7, "line": {"width": 0}},
            hovertemplate="beat at %{x:.2f} s<extra></extra>",
        )
    )
    # All at once: Plotly's `add_vrect` takes the longer the more there are.
    figure.update_layout(shapes=[_gap(start_s, end_s) for start_s, end_s in gaps(time_s, wave)])
    _time_with_overview(figure, measurement.duration_s)
    figure.update_yaxes(showticklabels=False, zeroline=False, fixedrange=True)
    return figure


def _gap(start_s: float, end_s: float) -> dict[str, object]:
    """A stretch without a face, behind the wave."""
    return {
        "type": "rect",
        "xref": "x",
        "yref": "y domain",
        "x0": start_s,
        "x1": end_s,
        "y0": 0,
        "y1": 1,
        "fillcolor": INK,
        "opacity": 0.16,
        "line": {"width": 0},
        "layer": "below",
    }


def spectrum(measurement: Measurement) -> go.Figure:
    """Draw the power over rate, with the heart rate at its peak."""
    found = measurement.vitals.spectrum
    rate = measurement.vitals.heart_rate.value
    colour = COLOURS[measurement.model]
    figure = _figure(height=270)
    figure.add_trace(
        go.Scatter(
            x=_short(found.bpm),
            y=_short(found.power),
            mode="lines",
            name="power",
            line={"color": colour, "width": 2},
            fill="tozeroy",
            fillcolor=_faded(colour, 0.16),
            hovertemplate="%{x:.1f} bpm<extra></extra>",
        )
    )
    if rate is not None:
        line = {"color": PULSE, "width": 1.5, "dash": "dot"}
        figure.add_shape(type="line", x0=rate, x1=rate, y0=0, y1=1, line=line)
        figure.add_annotation(
            x=rate,
            y=1.0,
            yshift=12,
            text=f"<b>{rate:.1f} bpm</b>",
            showarrow=False,
            font={"color": PULSE, "size": 13},
        )
    figure.update_xaxes(
        title_text="beats per minute", fixedrange=True, range=_ends(found.bpm), nticks=9
    )
    figure.update_yaxes(showticklabels=False, fixedrange=True, range=[0, 1.16], dtick=0.5)
    return figure


def history(measurement: Measurement) -> go.Figure:
    """Draw the heart rate of each window, above the confidence of each."""
    windows = measurement.vitals.windows
    time_s = [window.time_s for window in windows]
    quality = [window.quality for window in windows]
    colour = COLOURS[measurement.model]
    figure = _figure(height=270, margin_left=42)
    figure.add_trace(
        go.Scatter(
            x=time_s,
            y=[window.heart_rate_bpm for window in windows],
            mode="lines+markers",
            name="heart rate",
            line={"color": colour, "width": 2},
            marker={"color": colour, "size": 7, "opacity": [max(q, 0.15) for q in quality]},
            customdata=[100 * q for q in quality],
            hovertemplate="%{y:.1f} bpm at %{x:.0f} s<br>confidence %{customdata:.0f} %"
            "<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            x=time_s,
            y=quality,
            yaxis="y2",
            mode="lines",
            name="confidence",
            line={"color": INK, "width": 1, "shape": "hvh"},
            fill="tozeroy",
            fillcolor=_faded(INK, 0.30),
            hovertemplate="confidence %{y:.0%}<extra></extra>",
        )
    )
    figure.update_layout(
        yaxis={"domain": [0.30, 1.0], "range": rate_range(measurement), "fixedrange": True},
        yaxis2={
            "domain": [0.0, 0.20],
            "range": [0, 1],
            "tickvals": [0, 1],
            "ticktext": ["0 %", "100 %"],
            "fixedrange": True,
            "gridcolor": GRID,
            "zeroline": False,
        },
    )
    if all(window.heart_rate_bpm is None for window in windows):
        figure.add_annotation(
            text=texts.HISTORY_NONE, x=0.5, y=0.65, xref="paper", yref="paper", showarrow=False
        )
    figure.update_xaxes(
        title_text="seconds", fixedrange=True, range=[0, measurement.duration_s], anchor="y2"
    )
    return figure


def overlay(measurements: Sequence[Measurement]) -> go.Figure:
    """Draw several models' waves over each other, each scaled to zero mean and unit height."""
    figure = _figure(height=330, margin_bottom=8)
    for measurement in measurements:
        figure.add_trace(
            _line(
                time_axis(measurement),
                standardised(measurement.wave),
                COLOURS[measurement.model],
                texts.MODEL_NAMES[measurement.model],
            )
        )
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        margin_t=34,
    )
    _time_with_overview(figure, max(measurement.duration_s for measurement in measurements))
    figure.update_yaxes(showticklabels=False, zeroline=False, fixedrange=True)
    return figure


def cost_ratios(student: Costs, teacher: Costs) -> go.Figure:
    """Draw how many times the student's cost the teacher's is, one bar for each kind of cost."""
    ratios = [t / max(s, 1e-9) for s, t in zip(student, teacher, strict=True)]
    names = [texts.COST_NAMES[field] for field in Costs._fields]
    said = [
        f"student {ours}, teacher {theirs}"
        for ours, theirs in zip(cost_texts(student), cost_texts(teacher), strict=True)
    ]
    figure = _figure(height=250, margin_bottom=24)
    figure.add_trace(
        go.Bar(
            x=[ratio - 1 for ratio in ratios],
            base=1,
            y=list(range(len(ratios))),
            orientation="h",
            width=0.34,
            name="teacher / student",
            marker={
                "color": [COLOURS["teacher" if ratio >= 1 else "student"] for ratio in ratios],
                "cornerradius": 5,
            },
            hovertext=[f"{name}<br>{text}" for name, text in zip(names, said, strict=True)],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    for row, (name, ratio) in enumerate(zip(names, ratios, strict=True)):
        figure.add_annotation(
            x=0,
            xref="paper",
            y=row,
            yshift=19,
            text=f"{name}  <b>{times(ratio)}</b>",
            showarrow=False,
            xanchor="left",
            align="left",
            font={"size": 12},
        )
    low, high = min(*ratios, 1.0), max(*ratios, 2.0)
    figure.update_xaxes(
        type="log",
        range=[np.log10(low) - (0.05 if low < 1 else 0.0), np.log10(high) + 0.05],
        tickvals=list(RATIO_TICKS),
        ticktext=[f"{ratio:g} {texts.TIMES}" for ratio in RATIO_TICKS],
        fixedrange=True,
    )
    figure.update_yaxes(
        range=[len(ratios) - 0.6, -0.85], showticklabels=False, showgrid=False, fixedrange=True
    )
    return figure


def time_axis(measurement: Measurement) -> NDArray[np.float64]:
    """Time of each sample of the wave in s. Shape (T,)."""
    return np.arange(measurement.wave.size) / measurement.wave_fps


def trusted_beats(measurement: Measurement) -> NDArray[np.floating]:
    """Times of the beats in s, or none where there is no reading to vouch for them. Shape (N,)."""
    vitals = measurement.vitals
    return vitals.beats_s if vitals.heart_rate.value is not None else vitals.beats_s[:0]


def heights_at(
    time_s: NDArray[np.float64], wave: NDArray[np.floating], beats_s: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Height of the wave at the beats, to put their dots on the line. Shape (N,)."""
    return np.interp(beats_s, time_s, wave) if wave.size else np.zeros_like(beats_s)


def gaps(time_s: NDArray[np.float64], wave: NDArray[np.floating]) -> list[tuple[float, float]]:
    """Stretches without a wave, because no face was there, as (start, end) in s."""
    missing = np.concatenate([[False], np.isnan(wave), [False]])
    edges = np.flatnonzero(missing[1:] != missing[:-1])
    return [
        (float(time_s[start]), float(time_s[end - 1]))
        for start, end in list(pairwise(edges.tolist()))[::2]
    ]


def standardised(wave: NDArray[np.floating]) -> NDArray[np.floating]:
    """The wave with zero mean and unit deviation; gaps stay gaps. Shape (T,)."""
    here = wave[np.isfinite(wave)]
    if here.size == 0:
        return wave
    return (wave - here.mean()) / max(float(here.std()), 1e-9)


def rate_range(measurement: Measurement) -> list[float]:
    """Limits of the heart-rate axis in bpm: the readings with room, at least 30 bpm high."""
    rates = [w.heart_rate_bpm for w in measurement.vitals.windows if w.heart_rate_bpm is not None]
    if not rates:
        return [40.0, 180.0]
    middle, half = (min(rates) + max(rates)) / 2, (max(rates) - min(rates)) / 2
    return [middle - max(half + 5, 15), middle + max(half + 5, 15)]


def _figure(height: int, margin_left: int = 10, margin_bottom: int = 40) -> go.Figure:
    """An empty figure in the look of the page."""
    axis = {"gridcolor": GRID, "linecolor": GRID, "zeroline": False, "title_font_size": 12}
    return go.Figure(
        layout={
            "template": {},
            "height": height,
            "margin": {"l": margin_left, "r": 12, "t": 10, "b": margin_bottom},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": FONT, "size": 12, "color": INK},
            "showlegend": False,
            "hovermode": "closest",
            "dragmode": False,
            "xaxis": axis,
            "yaxis": axis,
        }
    )


def _line(
    time_s: NDArray[np.float64], wave: NDArray[np.floating], colour: str, name: str
) -> go.Scatter:
    return go.Scatter(
        x=_short(time_s),
        y=_short(wave),
        mode="lines",
        name=name,
        line={"color": colour, "width": 2},
        hovertemplate=f"%{{x:.2f}} s<extra>{name}</extra>",
    )


def _time_with_overview(figure: go.Figure, duration_s: float) -> None:
    """Give the time axis a zoom by dragging, and a strip of the whole video below."""
    figure.update_layout(dragmode="zoom")
    figure.update_xaxes(
        range=[0, min(duration_s, FIRST_VIEW_S)],
        ticksuffix=" s",
        rangeslider={
            "visible": True,
            "thickness": 0.16,
            "range": [0, duration_s],
            "bgcolor": _faded(INK, 0.08),
            "borderwidth": 0,
        },
    )


def _ends(values: NDArray[np.floating]) -> list[float]:
    return [float(values[0]), float(values[-1])] if values.size else [40.0, 180.0]


def _short(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Half the bytes on the way to the browser; no eye sees the difference."""
    return np.asarray(values, dtype=np.float32)


def _faded(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"
