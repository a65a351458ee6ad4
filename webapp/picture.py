"""A reading as one PNG picture, drawn without a browser."""

import io
from collections.abc import Mapping
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from kdphys.colours import COLOURS
from kdphys.pipeline import Measurement
from webapp import texts
from webapp.charts import (
    PULSE,
    heights_at,
    rate_range,
    standardised,
    time_axis,
    trusted_beats,
)

LETTERS, LINE = 130, 0.0225  # of a line below the headline, and its share of the picture's height
DUEL_S = 15.0  # of the two waves over each other; more would be too dense to compare


def png_of(measurements: Mapping[str, Measurement], model: str) -> bytes:
    """Draw one model's reading, with teacher and student over each other below."""
    chosen = measurements[model]
    duel = [measurements[each] for each in texts.NETWORKS if each in measurements]
    figure = Figure(figsize=(12, 9), dpi=130, facecolor="white")
    byline = _byline(chosen)
    room = (0.02, 0.04, 0.96, 0.85 - LINE * byline.count("\n"))
    figure.set_layout_engine("constrained", rect=room, hspace=0.06, wspace=0.04)
    FigureCanvasAgg(figure)
    figure.text(0.027, 0.935, _headline(chosen), fontsize=26, fontweight="bold")
    figure.text(0.027, 0.92, byline, fontsize=12, color="#566072", va="top")
    figure.text(0.027, 0.018, f"{texts.TITLE} · {texts.NOT_MEDICAL}", fontsize=9, color="#566072")
    axes = figure.subplot_mosaic([["wave", "wave"], ["spectrum", "history"], ["duel", "duel"]])
    _draw_wave(axes["wave"], chosen)
    _draw_spectrum(axes["spectrum"], chosen)
    _draw_history(axes["history"], chosen)
    _draw_duel(axes["duel"], duel)
    for ax in axes.values():
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.grid(alpha=0.25)
        ax.tick_params(length=0)
        ax.title.set(ha="left", x=0, fontsize=12, fontweight="bold")
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _headline(measurement: Measurement) -> str:
    rate = measurement.vitals.heart_rate.value
    return texts.NO_READING if rate is None else f"{rate:.1f} {texts.BPM}"


def _byline(measurement: Measurement) -> str:
    heart_rate, name = measurement.vitals.heart_rate, texts.MODEL_NAMES[measurement.model]
    said = f"{texts.MODEL} {name}, {texts.CONFIDENCE} {100 * heart_rate.quality:.0f} %"
    return fill(f"{said}. {heart_rate.reason}", LETTERS) if heart_rate.reason else said


def _draw_wave(ax: Axes, measurement: Measurement) -> None:
    time_s, beats_s = time_axis(measurement), trusted_beats(measurement)
    ax.plot(time_s, measurement.wave, color=COLOURS[measurement.model], linewidth=1)
    ax.plot(beats_s, heights_at(time_s, measurement.wave, beats_s), ".", color=PULSE)
    ax.set(title=texts.TRACE, xlabel="seconds", yticks=[], xlim=(0, measurement.duration_s))


def _draw_spectrum(ax: Axes, measurement: Measurement) -> None:
    found, rate = measurement.vitals.spectrum, measurement.vitals.heart_rate.value
    ax.fill_between(found.bpm, found.power, color=COLOURS[measurement.model], alpha=0.2)
    ax.plot(found.bpm, found.power, color=COLOURS[measurement.model])
    if rate is not None:
        ax.axvline(rate, color=PULSE, linestyle=":")
    ax.set(title=texts.SPECTRUM, xlabel="beats per minute", yticks=[], ylim=(0, 1.1))


def _draw_history(ax: Axes, measurement: Measurement) -> None:
    windows = measurement.vitals.windows
    time_s = [window.time_s for window in windows]
    rates = [float("nan") if w.heart_rate_bpm is None else w.heart_rate_bpm for w in windows]
    colour = COLOURS[measurement.model]
    ax.plot(time_s, rates, "-", color=colour)
    ax.scatter(time_s, rates, color=[to_rgba(colour, max(w.quality, 0.15)) for w in windows])
    ax.set(title=texts.HISTORY, xlabel="seconds", xlim=(0, measurement.duration_s))
    ax.set_ylim(*rate_range(measurement))


def _draw_duel(ax: Axes, measurements: list[Measurement]) -> None:
    known = [time_axis(each)[np.isfinite(each.wave)] for each in measurements]
    first_s = min((time_s[0] for time_s in known if len(time_s)), default=0.0)
    for each in measurements:
        label = texts.MODEL_NAMES[each.model]
        wave = standardised(each.wave)
        ax.plot(time_axis(each), wave, color=COLOURS[each.model], label=label, linewidth=1.4)
    ax.set(title=texts.COMPARISON, xlabel="seconds", yticks=[], xlim=(first_s, first_s + DUEL_S))
    ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2)
