"""The live tab in HTML: where `static/live.js` shows the camera, the pulse and what to do."""

import json
from html import escape

from kdphys.classical import ELLIPSE_CENTRE, ELLIPSE_RADII
from kdphys.pipeline import NOT_MEDICAL
from kdphys.runtime import FPS
from kdphys.view import SEARCH_PX
from webapp import texts
from webapp.cards import HEART, title

LATE_S = 10  # after which a script that has not come is not waited for in silence
SAY_IF_LATE = f"""setTimeout(() => {{
  const view = element.querySelector('#kd-live-view[data-state="loading"]');
  if (!view) return;
  view.dataset.state = "failed";
  view.querySelector('[data-live="status"]').textContent = {json.dumps(texts.LIVE_LATE)};
}}, {1000 * LATE_S});"""  # of an element of the page that holds `stage`


def stage(ahead_s: float) -> str:
    """Everything of the live tab; parts that the script fills have a name in `data-live`.

    Nothing can be clicked before the script hears it.

    Args:
        ahead_s: How far the network looks ahead.
    """
    words = json.dumps(
        {
            "status": dict(texts.LIVE_STATUS),
            "verdict": texts.LIVE_VERDICT,
            "none": texts.NO_READING,
            "record": texts.LIVE_RECORD,
            "recording": texts.LIVE_RECORDING,
            "recorded": texts.LIVE_RECORDED,
            "nothing_recorded": texts.LIVE_NOTHING_RECORDED,
            "spoken": texts.LIVE_SPOKEN,
            "under": texts.UNDER.format(least=texts.LEAST_MS),
            "least": {"ms": texts.LEAST_MS},
            "sent": texts.LIVE_SENT,
            "kept": texts.LIVE_PRIVATE_NOTE,
            "note": NOT_MEDICAL,
            "fps": FPS,
            "search_px": SEARCH_PX,
            "oval": [ELLIPSE_CENTRE, ELLIPSE_RADII],
        }
    )
    return f"""<div id="kd-live-view" data-state="loading" data-reading="no" data-files="no">
  <div data-live="texts" hidden>{escape(words)}</div>
  <div class="kd-live-top">
    <section class="kd-card kd-scene">
      <div class="kd-mirror">
        <video data-live="video" playsinline muted aria-label="Your camera"></video>
        <canvas data-live="over" aria-hidden="true"></canvas>
        {HEART}
      </div>
      <div class="kd-controls">
        <button class="kd-go" data-live="start" disabled>{texts.LIVE_START}</button>
        <button data-live="stop" disabled>{texts.LIVE_STOP}</button>
        <button data-live="record" data-on="no" disabled>{texts.LIVE_RECORD}</button>
        <select data-live="camera" aria-label="{texts.LIVE_CAMERA}" hidden></select>
      </div>
      <p class="kd-fine" data-live="recorded" role="status"></p>
      <label class="kd-switch"><input type="checkbox" role="switch" data-live="private"
        disabled> {texts.LIVE_PRIVATE}</label>
      <p class="kd-fine" data-live="privacy">{texts.LIVE_SENT}</p>
      <p class="kd-fine" data-live="clock" hidden>{texts.LIVE_CLOCK}</p>
    </section>
    <section class="kd-card kd-hero kd-now">
      <p class="kd-status" data-live="status" role="status" aria-live="polite">
        {texts.LIVE_LOADING}</p>
      <p class="kd-spoken" data-live="spoken" role="status" aria-live="polite"></p>
      <p class="kd-rate">{HEART}<span data-live="bpm">{texts.NOTHING}</span>
        <small>{texts.BPM}</small></p>
      <div class="kd-confidence"><div class="kd-meter"><i data-live="confidence"></i></div>
        <p>{texts.CONFIDENCE} <b data-live="percent">{texts.NOTHING}</b></p></div>
      <p class="kd-reason" data-live="reason"></p>
      <dl class="kd-tiles">
        {_tile("respiration", texts.RESPIRATION, texts.RESPIRATION_NOTE)}
        {_tile("rmssd", texts.RMSSD, texts.RMSSD_NOTE)}
        {_tile("sdnn", texts.SDNN, texts.SDNN_NOTE)}
        {_tile("lag", texts.LIVE_LAG, texts.LIVE_LAG_NOTE.format(ahead_s=ahead_s))}
        {_tile("network", texts.LIVE_NETWORK, texts.LIVE_NETWORK_NOTE)}
        {_tile("filmed", texts.LIVE_FILMED, texts.LIVE_FILMED_NOTE)}
      </dl>
    </section>
  </div>
  <section class="kd-card">{title(texts.LIVE_TRACE, texts.LIVE_TRACE_NOTE)}
    <canvas class="kd-wave" data-live="trace" aria-label="{texts.LIVE_TRACE}"></canvas></section>
  <div class="kd-live-pair">
    <section class="kd-card">{title(texts.LIVE_HISTORY, texts.LIVE_HISTORY_NOTE)}
      <canvas class="kd-past" data-live="history" aria-label="{texts.LIVE_HISTORY}"></canvas>
    </section>
    <section class="kd-card">{title(texts.LIVE_LATENCY, texts.LIVE_LATENCY_NOTE)}
      <p class="kd-verdict" data-live="verdict" role="status"></p>
      <div class="kd-controls">
        <button data-live="compare" disabled>{texts.LIVE_COMPARE}</button></div>
    </section>
  </div>
  <section class="kd-card kd-live-files">{title(texts.LIVE_DOWNLOADS, texts.LIVE_DOWNLOADS_NOTE)}
    <div class="kd-controls">
      <button data-live="csv">CSV</button><button data-live="json">JSON</button>
      <button data-live="png">PNG</button><button data-live="npz" disabled>.npz</button>
    </div>
  </section>
</div>"""


def _tile(name: str, label: str, note: str) -> str:
    return f"""<div><dt>{label}</dt><dd><b data-live="{name}">{texts.NOTHING}</b>
      <span data-live="{name}-why">{note}</span></dd></div>"""
