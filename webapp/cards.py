"""Pieces of the page written in HTML: what was read, what the network saw, what it cost."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray

from kdphys.pipeline import Measurement
from kdphys.vitals import Reading
from webapp import texts
from webapp.costs import Costs, cost_texts, milliseconds, ms_per_frame, times

HEART = (
    '<svg class="kd-heart" viewBox="0 0 24 24" aria-hidden="true"><path d="M12 21s-7.6-4.6-10-9.3'
    "C.3 8.3 2 4.5 5.7 4.5c2.4 0 4.2 1.3 6.3 3.9 2.1-2.6 3.9-3.9 6.3-3.9"
    ' 3.7 0 5.4 3.8 3.7 7.2C19.6 16.4 12 21 12 21z"/></svg>'
)
BEAT = (
    '<svg class="kd-beat" viewBox="0 0 320 64" preserveAspectRatio="none" aria-hidden="true">'
    '<path d="M0 44 C14 44 16 12 28 12 S44 36 52 34 S66 44 80 44 S96 12 108 12 S124 36 132 34'
    " S146 44 160 44 S176 12 188 12 S204 36 212 34 S226 44 240 44 S256 12 268 12 S284 36 292 34"
    ' S306 44 320 44"/></svg>'
)


def header() -> str:
    """Name, headline and the two things to know before anything else."""
    return f"""<header class="kd-header">
  <p class="kd-brand">{HEART}<span>{texts.TITLE}</span></p>
  <h1>{texts.HEADLINE}</h1>
  <p class="kd-summary">{texts.SUMMARY}</p>
  <p class="kd-facts"><span>{texts.NOT_MEDICAL}</span><span>{texts.PRIVATE}</span></p>
</header>"""


def title(text: str, note: str = "") -> str:
    """Heading of a card, with a line that says how to read it."""
    return f'<div class="kd-title"><h2>{text}</h2><p>{note}</p></div>'


def placeholder() -> str:
    """What stands in the place of the reading before there is one: how to film."""
    tips = "".join(f"<li><b>{name}</b><span>{text}</span></li>" for name, text in texts.TIPS)
    return f"""<section class="kd-hero kd-empty">{BEAT}
  <h2>{texts.EMPTY_TITLE}</h2><p>{texts.EMPTY_TEXT}</p><ul class="kd-tips">{tips}</ul>
</section>"""


def preview(path: str) -> str:
    """The chosen video, playable where the browser knows its format."""
    return f"""<figure class="kd-preview">
  <video src="gradio_api/file={quote(path)}#t=0.1" controls muted playsinline preload="metadata"
    onerror="this.parentNode.classList.add('kd-unplayable')"></video>
  <figcaption>{texts.NO_PREVIEW}</figcaption>
</figure>"""


def hero(measurement: Measurement) -> str:
    """The heart rate with its confidence, or that there is none and why; then the rest."""
    vitals, heart_rate = measurement.vitals, measurement.vitals.heart_rate
    notes = "".join(f"<li>{escape(note)}</li>" for note in measurement.notes)
    name, note = texts.MODEL_NAMES[measurement.model], texts.MODEL_NOTES[measurement.model]
    return f"""<section class="kd-hero" role="status" aria-live="polite">
  {_rate(heart_rate)}
  {_confidence(heart_rate.quality)}
  <p class="kd-by">{texts.MODEL} <b>{name}</b>, {note}</p>
  <ul class="kd-notes">{notes}</ul>
  <dl class="kd-tiles">
    {_vital(texts.RMSSD, vitals.rmssd, texts.RMSSD_NOTE)}
    {_vital(texts.SDNN, vitals.sdnn, texts.SDNN_VIDEO_NOTE)}
    {_vital(texts.RESPIRATION, vitals.respiration, texts.RESPIRATION_NOTE)}
    {_tile(texts.BEATS, str(len(vitals.beats_s)), "", texts.BEATS_NOTE)}
    {_tile(texts.FACE_SHARE, f"{100 * measurement.face_fraction:.0f}", "%", texts.FACE_NOTE)}
    {_tile(texts.LENGTH, f"{measurement.duration_s:.1f}", "s", _source(measurement))}
  </dl>
</section>"""


def crops(measurement: Measurement) -> str:
    """The face crops as the network saw them, enlarged without smoothing."""
    size = measurement.crops.shape[1] if measurement.crops.size else 0
    images = "".join(
        f'<img src="{png(crop)}" width="{size}" height="{size}" alt="face crop {number}">'
        for number, crop in enumerate(measurement.crops, start=1)
    )
    heading = title(texts.CROPS, texts.CROPS_SIZE.format(size=size))
    return f'<section class="kd-crops">{heading}<div class="kd-strip">{images}</div></section>'


def timing(measurements: Mapping[str, Measurement]) -> str:
    """How long each stage took with the student, as parts of one bar."""
    measurement = measurements[texts.NETWORKS[0]]
    seconds = {stage: getattr(measurement.seconds, stage) for stage in texts.STAGES}
    names = {**texts.STAGES, "other": texts.OTHER}
    seconds["other"] = max(measurement.seconds.total - sum(seconds.values()), 0.0)
    parts = "".join(
        f'<i class="kd-{stage}" style="flex-grow:{value:.4f}"></i>'
        for stage, value in seconds.items()
    )
    said = "".join(
        f'<li class="kd-{stage}"><span>{names[stage]}</span><b>{value:.2f} s</b></li>'
        for stage, value in seconds.items()
    )
    total = measurement.seconds.total
    note = texts.TIMING_NOTE.format(
        total=total,
        video=measurement.duration_s,
        times=times(measurement.duration_s / max(total, 1e-9)),
    )
    return f"""<section class="kd-timing">{title(texts.TIMING, note)}
  <div class="kd-parts" aria-hidden="true">{parts}</div><ul>{said}</ul>
</section>"""


def verdict(student: Measurement, teacher: Measurement, costs: Mapping[str, Costs]) -> str:
    """Teacher and student side by side: both rates, and what the difference costs."""
    speed = costs["teacher"].ms / max(costs["student"].ms, 1e-9)
    work = costs["teacher"].macs / max(costs["student"].macs, 1e-9)
    return f"""{title(texts.COMPARISON, _agreement(student, teacher))}
<div class="kd-duel">
  {_side(student)}{_side(teacher)}
  {_gain(texts.ARITHMETIC, work)}
  {_gain(texts.SPEED, speed)}
</div>"""


def table(measurements: Mapping[str, Measurement], costs: Mapping[str, Costs]) -> str:
    """Every model's reading and cost on this clip."""
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Model", *texts.COLUMNS))
    rows = "".join(
        _row(measurement, costs.get(model)) for model, measurement in measurements.items()
    )
    return f"""<div class="kd-table"><table>
  <thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>
<p class="kd-fine">{texts.TABLE_NOTE}</p></div>"""


def example_label(video: Path) -> str:
    """Name of an example from its file name: 'synthetic_face_72bpm' is 'Synthetic face, 72 bpm'."""
    what, _, pulse = video.stem.replace("_", " ").rpartition(" ")
    pulse = pulse.replace("nopulse", "no pulse").replace("bpm", " bpm")
    return f"{what}, {pulse}"[:1].upper() + f"{what}, {pulse}"[1:]


def confidence_word(quality: float) -> str:
    """A confidence in [0, 1] as a word."""
    return next(word for least, word in texts.CONFIDENCE_WORDS if quality >= least)


def _rate(heart_rate: Reading) -> str:
    if heart_rate.value is None:
        return f"""<p class="kd-rate kd-none" id="kd-bpm">{texts.NO_READING}</p>
  <p class="kd-reason">{escape(heart_rate.reason or "")}</p>"""
    return f"""<p class="kd-rate" style="--beat:{60 / heart_rate.value:.3f}s">{HEART}
    <span id="kd-bpm">{heart_rate.value:.1f}</span><small>{texts.BPM}</small></p>"""


def _confidence(quality: float) -> str:
    percent = round(100 * quality)
    low = "" if quality >= texts.CONFIDENCE_WORDS[1][0] else " kd-low"
    return f"""<div class="kd-confidence">
    <div class="kd-meter{low}" role="meter" aria-label="{texts.CONFIDENCE}" aria-valuemin="0"
      aria-valuemax="100" aria-valuenow="{percent}"><i style="width:{percent}%"></i></div>
    <p><b>{confidence_word(quality)}</b> {texts.CONFIDENCE}, {percent} %</p>
  </div>"""


def _vital(name: str, reading: Reading, note: str) -> str:
    if reading.value is None:
        return _tile(name, texts.NOTHING, "", reading.reason or "", kind="kd-missing")
    is_under = reading.unit == "ms" and reading.value < texts.LEAST_MS
    shown = texts.UNDER.format(least=texts.LEAST_MS) if is_under else f"{reading.value:.0f}"
    return _tile(name, shown, reading.unit, note)


def _tile(name: str, value: str, unit: str, note: str, *, kind: str = "") -> str:
    return f"""<div class="{kind}"><dt>{name}</dt>
      <dd><b>{value} <small>{escape(unit)}</small></b><span>{escape(note)}</span></dd></div>"""


def _source(measurement: Measurement) -> str:
    return f"{measurement.frames} frames, {measurement.fps:.2f} a second"


def png(crop: NDArray[np.uint8]) -> str:
    """A crop as a data address. Shape (S, S, 3), RGB."""
    _, encoded = cv2.imencode(".png", crop[..., ::-1])
    return f"data:image/png;base64,{base64.b64encode(encoded.tobytes()).decode()}"


def _agreement(student: Measurement, teacher: Measurement) -> str:
    ours, theirs = student.vitals.heart_rate.value, teacher.vitals.heart_rate.value
    if ours is None and theirs is None:
        return "Neither finds a pulse it would vouch for."
    if ours is None or theirs is None:
        return "Only one of them finds a pulse it would vouch for."
    return f"Their readings differ by {abs(ours - theirs):.1f} bpm."


def _gain(what: tuple[str, str, str], ratio: float) -> str:
    """A ratio teacher / student, the right way round, as a tile of the same shape as `_side`."""
    name, more, less = what
    said, word = (ratio, more) if ratio >= 1 else (1 / max(ratio, 1e-9), less)
    return f"<div><span>{name}</span><b>{times(said)} {word}</b><span>{texts.THAN}</span></div>"


def _side(measurement: Measurement) -> str:
    model, taken = measurement.model, milliseconds(ms_per_frame(measurement))
    return f"""<div class="kd-side kd-{model}"><span>{texts.MODEL_NAMES[model]}</span>
    <b>{_bpm(measurement)}</b><span>{taken} a frame</span></div>"""


def _bpm(measurement: Measurement) -> str:
    value = measurement.vitals.heart_rate.value
    return texts.NO_READING if value is None else f"{value:.1f} {texts.BPM}"


def _row(measurement: Measurement, costs: Costs | None) -> str:
    taken = milliseconds(ms_per_frame(measurement))
    parameters, macs, size, _ = cost_texts(costs) if costs else 4 * (texts.NOTHING,)
    cells = (
        _bpm(measurement),
        f"{measurement.vitals.heart_rate.quality:.0%}".replace("%", " %"),
        parameters,
        macs,
        size,
        taken,
        f"{measurement.seconds.total:.1f} s",
    )
    said = "".join(
        f'<td data-label="{name}"{_empty(cell)}>{cell}</td>'
        for name, cell in zip(texts.COLUMNS, cells, strict=True)
    )
    return f"""<tr class="kd-{measurement.model}">
  <th scope="row">{texts.MODEL_NAMES[measurement.model]}</th>{said}</tr>"""


def _empty(cell: str) -> str:
    return ' class="kd-nothing"' if cell == texts.NOTHING else ""
