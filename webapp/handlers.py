"""What happens on a click: ask `kdphys`, hand what it found to charts and cards."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
import plotly.graph_objects as go
from gradio.components.plot import PlotData
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from kdphys.errors import KDPhysError
from kdphys.pipeline import MODELS, NOT_MEDICAL, Measurement, compare, measure
from kdphys.runtime import look_of, model_facts
from kdphys.video import Limits
from webapp import cards, charts, distillation, downloads, texts
from webapp.awaited import ENDED, awaited
from webapp.costs import Costs, costs_of

Measurements = Mapping[str, Measurement]
logger = logging.getLogger(__name__)

RECORDING_S, WORK_S = 1800.0, 600.0  # longest recording on the page, and longest work on one
TOAST_S = 10  # that a sentence stays which stands in the way of nothing
PLOT_CONFIG = {"displaylogo": False, "displayModeBar": False, "doubleClick": "reset"}


class Choice(NamedTuple):
    """What the page shows of a chosen video. The fields are names of its components."""

    preview: str
    hero: str
    crops: str
    looks: str
    found: None = None


class Reading(NamedTuple):
    """What the page shows of one model. The fields are names of its components."""

    hero: str
    crops: str
    trace: PlotData
    spectrum: PlotData
    history: PlotData


class Comparison(NamedTuple):
    """What the page shows of all models. The fields are names of its components."""

    verdict: str
    overlay: PlotData
    ratios: PlotData
    table: str
    timing: str


class SupersededError(Exception):
    """Nobody waits any more for what is being measured."""


@dataclass
class Chosen:
    """What a visitor chose: what is still being measured may be something else."""

    video: str | None = None
    """Video that the page shows."""
    model: str | None = None
    """Whose reading is to be shown; None before anything was measured or chosen."""
    measured: bool = False
    """Whether the video was measured."""

    def check(self, video: Path) -> None:
        """Make sure that a video is still the one that is shown.

        Raises:
            SupersededError: It is not.
        """
        if not self.is_still(video):
            raise SupersededError

    def is_still(self, video: Path) -> bool:
        """Tell whether it is this one, of which Gradio may have made a copy."""
        if self.video is None or Path(self.video) == video:
            return True
        shown = Path(self.video)
        try:
            return shown.name == video.name and shown.stat().st_size == video.stat().st_size
        except FileNotFoundError:  # what was shown long ago is not kept
            return False


def on_video(video: str | None, chosen: Chosen) -> tuple[Any, ...]:
    """Show the chosen video, and forget the reading of the one before.

    Returns:
        That the results are not to be seen, then the fields of `Choice`.
    """
    chosen.video, chosen.measured = video or "", False
    preview = cards.preview(video) if video else ""
    hero, looks = cards.placeholder(), distillation.no_looks()
    choice = Choice(preview=preview, hero=hero, crops="", looks=looks)
    return gr.update(visible=False), *choice


def on_example(path: str, chosen: Chosen) -> tuple[Any, ...]:
    """Choose an example: the video itself, then what `on_video` gives."""
    return path, *on_video(path, chosen)


def on_measure(
    video: str | None,
    model: str,
    chosen: Chosen,
    progress: gr.Progress = gr.Progress(),  # noqa: B008  (Gradio looks for it in the signature)
) -> tuple[Any, ...]:
    """Measure a video with every model in one pass.

    Returns:
        The measurements by model, that the results are to be seen, then the fields of `Reading`
        and of `Comparison`; nothing new if another video was chosen meanwhile, or the page closed.
    """
    chosen.model = chosen.model or model  # another may have been chosen since the click
    path = _path(video)
    told = _told(progress, chosen, path)
    with _said_in_a_toast():
        try:
            found = compare(path, MODELS, progress=told, limits=_limits())
            compared = comparison(found)
            chosen.check(path)
        except SupersededError:
            return (gr.skip(),) * (2 + len(Reading._fields) + len(Comparison._fields))
    return found, gr.update(visible=True), *reading(found, chosen.model), *compared


def on_model(found: Measurements | None, model: str, chosen: Chosen) -> tuple[Any, ...]:
    """Show another model's reading of the video that was measured, or will be.

    Returns:
        The fields of `Reading`; nothing new if nothing was measured yet.
    """
    chosen.model = model
    if found is None and not chosen.measured:
        return (gr.skip(),) * len(Reading._fields)
    return reading(_still_there(found), model)


def on_looks(found: Measurements | None, chosen: Chosen) -> str:
    """Show where both networks look on the video that was measured, if it is still shown."""
    if found is None:
        return distillation.no_looks()
    chosen.measured = True  # and the reading is there to be shown, until it expires
    stretch = found["student"].stretch
    return distillation.looks(stretch, {name: look_of(name, stretch) for name in texts.KINDS})


def on_downloads(found: Measurements | None, model: str) -> tuple[Any, Any, Any]:
    """Write the CSV, the JSON and the PNG where the page may serve and must delete them.

    Where they can't be written none is offered, those of the reading before neither.
    """
    if found is None:  # another video was chosen meanwhile
        return gr.skip(), gr.skip(), gr.skip()
    # Imported here: matplotlib adds half a second to the start, and only the picture needs it.
    from webapp.picture import png_of

    contents = {
        "kdphys-waves.csv": downloads.csv_of(found),
        "kdphys-measurement.json": downloads.json_of(found),
        "kdphys-picture.png": png_of(found, model),
    }
    try:
        waves, everything, picture = (
            save_bytes_to_cache(content, name, cache_dir=get_upload_folder())
            for name, content in contents.items()
        )
    except OSError as error:  # the disk is full: uploads leave room, but others write to it too
        logger.warning("no downloads could be written: %s", error.strerror)
        gr.Warning(texts.NO_DOWNLOADS, duration=TOAST_S)
        return None, None, None
    return waves, everything, picture


def measure_video(video: str | None, model: str | None) -> dict[str, Any]:
    """Measure the pulse of a face in a video: mp4, mov, webm, avi or mkv, of at least 6 seconds.

    It gives the heart rate in beats a minute with its confidence, or why there is no reading.
    Not a medical device: don't base a decision about health on it.

    Args:
        video: Its data address, or the one on this server that it got when it was uploaded.
        model: "student" (the default), "teacher", "pos", "chrom" or "green".
    """
    with _said_in_a_toast():
        path, model = _path(video), model or MODELS[0]
        return measure(path, model, progress=_while_awaited(), limits=_limits()).to_json()


def compare_video(video: str | None) -> dict[str, Any]:
    """Measure the pulse of a face in a video with every model, and say what each network costs.

    It may be mp4, mov, webm, avi or mkv, and takes at least 6 seconds.
    Not a medical device: don't base a decision about health on it.

    Args:
        video: Its data address, or the one on this server that it got when it was uploaded.
    """
    with _said_in_a_toast():
        found = compare(_path(video), MODELS, progress=_while_awaited(), limits=_limits())
    return {
        "note": NOT_MEDICAL,
        "models": {model: measurement.to_json() for model, measurement in found.items()},
        "costs": {model: costs._asdict() for model, costs in _costs(found).items()},
    }


def reading(found: Measurements, model: str) -> Reading:
    """Draw one model's reading."""
    measurement = found[model]
    return Reading(
        hero=cards.hero(measurement),
        crops=cards.crops(measurement),
        trace=plot(charts.trace(measurement)),
        spectrum=plot(charts.spectrum(measurement)),
        history=plot(charts.history(measurement)),
    )


def comparison(found: Measurements) -> Comparison:
    """Draw teacher and student over each other, and what each model costs."""
    student, teacher = (found[model] for model in texts.NETWORKS)
    costs = _costs(found)
    return Comparison(
        verdict=cards.verdict(student, teacher, costs),
        overlay=plot(charts.overlay([teacher, student])),
        ratios=plot(charts.cost_ratios(costs["student"], costs["teacher"])),
        table=cards.table(found, costs),
        timing=cards.timing(found),
    )


def plot(figure: go.Figure) -> PlotData:
    """A figure with the page's own settings, which a bare figure can't carry."""
    content = json.loads(figure.to_json() or "{}")
    return PlotData(type="plotly", plot=json.dumps({**content, "config": PLOT_CONFIG}))


def _costs(found: Measurements) -> dict[str, Costs]:
    return {model: costs_of(model_facts(model), found[model]) for model in texts.NETWORKS}


def _limits() -> Limits:
    """What the video whose turn it is may take."""
    return Limits(recording_s=RECORDING_S, work_s=WORK_S)


def _path(video: str | None) -> Path:
    if video is None:
        raise gr.Error(texts.NO_VIDEO, duration=TOAST_S, print_exception=False)
    path = Path(video)
    if not path.exists():
        raise gr.Error(texts.VIDEO_GONE, duration=None, print_exception=False)
    return path


def _still_there(found: Measurements | None) -> Measurements:
    if found is None:
        raise gr.Error(texts.GONE, duration=TOAST_S, print_exception=False)
    return found


def _told(progress: gr.Progress, chosen: Chosen, video: Path) -> Callable[[str, float], None]:
    """Pass a stage and its fraction on to the page's progress bar, while it shows the video."""
    go_on = _while_awaited()

    def tell(stage: str, fraction: float) -> None:
        go_on(stage, fraction)
        chosen.check(video)
        progress(fraction, desc=stage)

    return tell


def _while_awaited() -> Callable[[str, float], None]:
    """End what is being measured when nobody waits for it any more."""
    is_awaited = awaited()

    def go_on(_stage: str, _fraction: float) -> None:
        if not is_awaited():
            raise SupersededError

    return go_on


@contextmanager
def _said_in_a_toast() -> Iterator[None]:
    """Show what the library says of a video it can't measure, for as long as it takes to read."""
    try:
        yield
    except gr.Error:
        raise
    except SupersededError as error:  # a program left; nobody hears this
        raise gr.Error(texts.LEFT, print_exception=False) from error
    except KDPhysError as error:
        # A toast is rendered as HTML, and the sentence may hold a visitor's file name.
        message = escape(str(error), quote=False)
        raise gr.Error(message, duration=None, print_exception=False) from error
    except Exception as error:
        if ENDED.is_set():  # Python starts no work any more, and the upload may be gone
            raise gr.Error(texts.LEFT, print_exception=False) from error
        logger.exception("a video could not be measured")
        raise gr.Error(texts.FAILED, duration=None, print_exception=False) from error
