"""The program for a camera: frames are pushed one by one, and vitals come back.

No thread and no clock of its own: time is the stamp of each frame. The stages are those of
`kdphys.pipeline`, in the same order.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from kdphys.classical import skin_mean
from kdphys.clip import EvenGrid
from kdphys.crop import crop_face
from kdphys.face import FaceBox, FaceFinder, FaceTracker
from kdphys.flicker import flickers
from kdphys.runtime import FPS, SIZE, Model, ModelFacts, Session, open_model
from kdphys.sparse import REACH_S, SPARSE_FPS, PictureSteps
from kdphys.view import View
from kdphys.vitals import LEAST_SECONDS, Context, Reading, Vitals, measure_vitals

WINDOW_S = 12.0  # that a heart rate looks back
LATEST = 0.5  # of that, at its end, in which beats are counted, so that it follows a change
MOST_WINDOW_S = 600.0
MOST_STAMP_S = 1e12  # stamps beyond this are no seconds of anyone's clock
RECENT_CROPS_S = 10.0  # remembered, so that another model can be shown the same
TIMED = 300  # latest frames over which the network's time is told
MEMORY_S = 60.0  # heart rate variability and breathing need longer than a heart rate, and how sure
# that is is judged by as much; these
LONGER_EVERY_S = 2.0  # take longer to work out, and change more slowly
GONE_S = 2.0  # without a wave, after which nothing of before is read: a face was lost long ago
HELD = (
    "The camera has shown the same picture for {held:.0f} s, and a pulse needs new ones: see "
    "whether it has stopped, and start it anew."
)

TOO_FAR_PX = 45.0  # width of a face in the camera's picture
TOO_DARK, TOO_BRIGHT = 40.0, 235.0  # mean of its brightest colour, 0 to 255
RECENT_S, RESTLESS = 2.0, 0.25  # how far a face goes in the last seconds, in its widths
MOST_BOXES = 200  # of the last seconds that are remembered
COMPARED_PX = 128  # about so many points of a picture's side tell whether it is the one before

Hint = Literal[
    "no face", "face lost", "too far", "too dark", "too bright", "restless", "sparse", "flicker"
]

Real = TypeVar("Real", np.float32, np.float64)


@dataclass(frozen=True)
class FaceCrops:
    """Crops of one face on the even grid, as far as one frame completed them."""

    pixels: NDArray[np.uint8]
    """RGB in 0..255. Shape (n, S, S, 3), n >= 0."""
    places: NDArray[np.float64]
    """Where the face was in each, as `kdphys.sway` takes it. Shape (n, 3)."""
    first_step: int
    """Grid step of the first, counted from the first frame of the recording."""
    opens: bool
    """A new segment begins here: nothing before it is to be remembered."""
    is_another: bool
    """The face was lost before: this may be another than the one of before."""
    crop: NDArray[np.uint8]
    """The crop of this very frame. Shape (S, S, 3)."""
    time_s: float
    """When that was taken, counted from the first frame of the recording."""
    step_s: float | None
    """Seconds since the last other picture of its segment; None where one opens or the picture is
    the one before again, as where a slow source is shown fast."""
    held_s: float
    """Seconds since the last other picture, 0 where this is another."""

    def tell(self, pictures: PictureSteps) -> None:
        """Tell how this picture came after the last other one."""
        if self.step_s:
            pictures.push(self.time_s, self.step_s)
        elif self.held_s:
            pictures.wait(self.time_s, self.held_s)


class FaceStream:
    """Frames in, crops of the face on an even time grid out.

    Args:
        finder: What detects faces; it may serve several streams in turn.
    """

    def __init__(self, finder: FaceFinder | None = None) -> None:
        self._tracker = FaceTracker(finder or FaceFinder())
        self._grid = EvenGrid(FPS)
        self._first_s: float | None = None
        self._step = 0
        self._new_s = -math.inf
        self._place = -math.inf, (0.0, 0.0, 0.0)
        self._seen: NDArray[np.uint8] | None = None
        self._view: View | None = None
        self.box: FaceBox | None = None
        """Where the face is in the latest frame, or in the camera's picture of which that showed a
        part; None where there is no face."""

    @property
    def is_seen(self) -> bool:
        """Whether there is a face in the latest frame, not only the place where it was."""
        return self.box is not None and self.box.score > 0

    @property
    def faces_seen(self) -> int:
        """Largest number of faces in one picture so far."""
        return self._tracker.faces_seen

    def push(
        self, rgb: NDArray[np.uint8], time_s: float, view: View | None = None
    ) -> FaceCrops | None:
        """Take one frame; give what it adds to the grid, None where there is no face.

        Args:
            rgb: Upright frame, 0..255. Shape (H, W, 3).
            time_s: Its stamp, later than the one before.
            view: Which part of the camera's picture it shows; all of it, as it is, unless given.

        Raises:
            ValueError: `time_s` does not increase.
        """
        if self._first_s is None:
            self._first_s = time_s
        every = max(1, min(rgb.shape[:2]) // COMPARED_PX)
        seen = rgb[::every, ::every].copy()
        repeats = view == self._view and self._seen is not None and np.array_equal(seen, self._seen)
        self._show(view)
        box = self._tracker.update(rgb, time_s)
        self._seen = seen  # only now: a picture that is refused for its stamp was not seen
        self.box = view.in_camera(box) if box and view else box
        if box is None or self._tracker.changed:
            self._grid.restart()
        if box is None:
            return None
        crop = crop_face(rgb, box, SIZE)
        pixels = self._grid.push(crop, time_s)
        if self._grid.split:
            self._step = round((self._grid.start_s - self._first_s) * FPS)
        first, self._step = self._step, self._step + len(pixels)
        steps_s = self._first_s + (first + np.arange(len(pixels))) / FPS
        places = self._go_to(self.box or box, time_s, steps_s)
        is_step = not (self._grid.split or repeats)
        step_s = time_s - self._new_s if is_step else None
        if not repeats or self._grid.split:
            self._new_s = time_s
        return FaceCrops(
            pixels,
            places,
            first,
            self._grid.split,
            self._tracker.changed,
            crop,
            time_s - self._first_s,
            step_s,
            time_s - self._new_s,
        )

    def step_at(self, time_s: float) -> int:
        """Grid step before a time."""
        return 0 if self._first_s is None else math.floor((time_s - self._first_s) * FPS)

    def _go_to(
        self, box: FaceBox, time_s: float, steps_s: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Note where the face is now; give where it was at steps before. Shape (n, 3)."""
        before_s, before = self._place
        self._place = time_s, (*box.centre, box.width)
        ways = zip(before, self._place[1], strict=True)
        return np.stack([np.interp(steps_s, (before_s, time_s), ends) for ends in ways], 1)

    def _show(self, view: View | None) -> None:
        """Carry what is known of the face over to another view."""
        if view and self._view and view != self._view:
            scale = view.scale / self._view.scale
            x, y = (self._view.x - view.x) * view.scale, (self._view.y - view.y) * view.scale
            self._tracker.reframe(scale, x, y)
        self._view = view


class Samples(NamedTuple):
    """Some samples of the pulse wave, in a row."""

    first_step: int
    """Grid step of the first, at 30 Hz from the first frame."""
    wave: NDArray[np.float32]
    """NaN without a face. Shape (n,)."""


class Compared(NamedTuple):
    """What a model makes of crops, and what it costs."""

    heart_rate: Reading
    """What it reads."""
    ms_per_frame: float
    """Time in the model, as measured now."""
    facts: ModelFacts


def compare_crops(
    crops: NDArray[np.uint8],
    models: Sequence[str] = ("student", "teacher"),
    distrust: str | None = None,
    places: NDArray[np.float64] | None = None,
) -> dict[str, Compared]:
    """Show the same crops to several models, one after the other.

    Args:
        crops: RGB crops at 30 Hz, 0..255, from `LiveMeter.recent_crops`. Shape (T, S, S, 3).
        models: Their names.
        distrust: What speaks against any reading, in words, as `LiveMeter.distrust` has it.
        places: Where the face was in each, as `LiveMeter.recent_places` has it. Shape (T, 3).

    Returns:
        What came of it, by name.
    """
    rows, colours = {}, skin_mean(crops) if len(crops) else None
    for name in models:
        model = open_model(name)
        session = model.start()
        wave = np.concatenate([session.push(crops), session.finish()]).astype(np.float64)
        vitals = measure_vitals(
            wave,
            FPS,
            calibration=model.calibration,
            colours=colours,
            places=places,
            distrust=distrust,
        )
        ms = 1000 * session.seconds / max(len(crops), 1)
        rows[name] = Compared(vitals.heart_rate, ms, model.facts)
    return rows


class LiveMeter:
    """Vitals over the last seconds of camera frames: push a frame, and read.

    One meter serves one visitor; it holds all state of that visitor and nothing else does.

    Args:
        model: "student", or one on the Hub, "owner/name@commit": a student alone gives samples as
            frames come.
        window_s: Seconds that the heart rate looks back, at least 5; how sure it is is judged by
            the last minute, which heart rate variability and breathing look back too, or as far as
            that.
        every_s: Seconds between two vitals.
        finder: What detects faces, if it is shared.

    Raises:
        ValueError: The model can't stream, or a time is out of range.
    """

    def __init__(
        self,
        model: str | Path = "student",
        *,
        window_s: float = WINDOW_S,
        every_s: float = 1.0,
        finder: FaceFinder | None = None,
    ) -> None:
        self._model: Model = open_model(model)
        if self._model.facts.name != "student":
            raise ValueError(f"model={model!r} needs a whole recording; only 'student' streams")
        if not (LEAST_SECONDS <= window_s <= MOST_WINDOW_S and 0 < every_s <= MOST_WINDOW_S):
            raise ValueError(
                f"window_s={window_s} must be {LEAST_SECONDS:g} to {MOST_WINDOW_S:g} s, and "
                f"every_s={every_s} above 0"
            )
        self.faces = FaceStream(finder)
        self.every_s = every_s
        self._session: Session = self._model.start()
        self._window = round(window_s * FPS)
        self._wave = np.full(max(self._window, round(MEMORY_S * FPS)), np.nan, np.float32)
        self._colours = np.full((len(self._wave), 3), np.nan)
        self._places = np.full((len(self._wave), 3), np.nan)
        self._end_step = self._taken_step = 0
        self._shown_step = 0  # end of colours and places, of which the wave is a little short
        self._next_s: float | None = None
        self._longer: Vitals | None = None
        self._longer_step, self._longer_s = 0, 0.0
        self._flickers = False
        self._sparse = False
        self._held_s = 0.0
        self._pictures = PictureSteps(len(self._wave) / FPS + REACH_S)
        self._crop: NDArray[np.uint8] | None = None
        self._recent_boxes: deque[tuple[float, FaceBox]] = deque(maxlen=MOST_BOXES)
        self._recent: deque[NDArray[np.uint8]] = deque(maxlen=round(RECENT_CROPS_S * FPS))
        self._network_ms: deque[float] = deque(maxlen=TIMED)

    @property
    def wave(self) -> NDArray[np.float32]:
        """The last `window_s` of the pulse wave at 30 Hz, NaN without a face. Shape (T,)."""
        return self._wave[-self._window :].copy()

    @property
    def hint(self) -> Hint | None:
        """What stands in the way of a reading, by the latest frames; None where nothing does."""
        box = self.faces.box
        if box is None or self._crop is None:
            return "no face"
        if not self.faces.is_seen:
            return "face lost"
        if box.width < TOO_FAR_PX:
            return "too far"
        level = float(skin_mean(self._crop[None]).max())
        if level < TOO_DARK:
            return "too dark"
        if level > TOO_BRIGHT:
            return "too bright"
        way = np.array([box.centre for _, box in self._recent_boxes])
        if np.ptp(way, axis=0).max() > RESTLESS * box.width:
            return "restless"
        if self._sparse and self._held_s <= GONE_S:  # else the reading itself says what it is
            return "sparse"
        return "flicker" if self._flickers else None

    @property
    def network_ms(self) -> float | None:
        """Median time of the network for one of the latest frames; None before there is one."""
        return float(np.median(self._network_ms)) if self._network_ms else None

    @property
    def distrust(self) -> str | None:
        """What speaks against reading the recent crops, in words; None where nothing does."""
        recent = np.zeros(len(self._recent))
        return self._pictures.without_sparse(recent, self._end_step, FPS, len(recent) / FPS)[1]

    def recent_crops(self) -> NDArray[np.uint8]:
        """The latest crops of the open segment at 30 Hz, up to 10 s. Shape (T, S, S, 3)."""
        return np.stack(self._recent) if self._recent else np.empty((0, SIZE, SIZE, 3), np.uint8)

    def recent_places(self) -> NDArray[np.float64]:
        """Where the face was in each of these, as `kdphys.sway` takes it. Shape (T, 3)."""
        return self._places[len(self._places) - len(self._recent) :].copy()

    def take(self) -> Samples:
        """Give the samples of the wave since the last call, as far as they are remembered."""
        new = min(self._end_step - self._taken_step, len(self._wave))
        self._taken_step = self._end_step
        return Samples(self._end_step - new, self._wave[len(self._wave) - new :].copy())

    def push(
        self, rgb: NDArray[np.uint8], time_s: float, view: View | None = None
    ) -> Vitals | None:
        """Take one frame; give new vitals at most every `every_s`, else None.

        Args:
            rgb: Upright frame, 0..255. Shape (H, W, 3).
            time_s: Its stamp in seconds, later than the one before.
            view: Which part of the camera's picture it shows; all of it, as it is, unless given.

        Raises:
            ValueError: `time_s` is no number or does not increase, or the frame is no RGB picture
                of 8 bits.
        """
        if not (
            isinstance(time_s, int | float | np.integer | np.floating)
            and abs(time_s) <= MOST_STAMP_S
        ):
            raise ValueError(f"time_s={time_s!r} must be seconds, at most {MOST_STAMP_S:g} from 0")
        if not isinstance(rgb, np.ndarray):
            raise ValueError(f"rgb is of {type(rgb)}; it must be a NumPy array, uint8 (H, W, 3)")
        if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or 0 in rgb.shape:
            raise ValueError(f"rgb is {rgb.dtype} of shape {rgb.shape}; it must be uint8 (H, W, 3)")
        crops = self.faces.push(rgb, time_s, view)
        self._notice(crops, time_s)
        if crops is not None:
            self._continue(crops)
        else:
            self._lose(time_s)
        if self._next_s is None:
            self._next_s = time_s + self.every_s
        if time_s < self._next_s:
            return None
        self._next_s += self.every_s * (math.floor((time_s - self._next_s) / self.every_s) + 1)
        return self._read()

    def _continue(self, crops: FaceCrops) -> None:
        """Go on with a face, or begin with it."""
        if crops.is_another:
            self._forget()
        if crops.opens:
            self._session = self._model.start()
            self._recent.clear()
            self._advance_to(crops.first_step)
        self._watch(crops)

    def _lose(self, time_s: float) -> None:
        """Leave a gap while there is no face: its crops are no one's who is there now."""
        self._recent.clear()
        if (step := self.faces.step_at(time_s)) > self._end_step:
            self._advance_to(step)

    def _forget(self) -> None:
        """Begin anew with a face that came back: it may be another person's."""
        self._wave = np.full_like(self._wave, np.nan)
        self._colours = np.full_like(self._colours, np.nan)
        self._places = np.full_like(self._places, np.nan)
        self._longer, self._flickers, self._sparse = None, False, False
        self._pictures.clear()
        while len(self._recent_boxes) > 1:  # where this one is stays
            self._recent_boxes.popleft()

    def _watch(self, crops: FaceCrops) -> None:
        """Show the network the next crops."""
        pixels = crops.pixels
        if not len(pixels):
            return
        before_s = self._session.seconds
        self._append(self._session.push(pixels))
        self._network_ms.append(1000 * (self._session.seconds - before_s) / len(pixels))
        self._colours = _last(self._colours, skin_mean(pixels))
        self._places = _last(self._places, crops.places)
        self._shown_step += len(pixels)
        self._recent.extend(pixels)

    def _read(self) -> Vitals:
        """Read the rate of the last seconds, and what needs longer from all that is remembered."""
        wave = self._wave.astype(np.float64)
        if not np.isfinite(wave[-round(GONE_S * FPS) :]).any():
            wave[:] = np.nan  # what is known is no one's who is there now
        colours = self._colours[-self._window :]
        self._sparse = bool(self._pictures.fps_at(np.array([self._end_step / FPS])) < SPARSE_FPS)
        known = int(np.isfinite(wave).sum())
        context = self._longer.context if self._longer and known > self._window else None
        latest_s = LATEST * self._window / FPS
        now = self._read_wave(wave[-self._window :], latest_s, context)
        self._flickers = now.heart_rate.value is None and flickers(colours, FPS)
        if self._window == len(wave):
            return now
        if self._longer is None or self._is_behind(now):
            self._longer = self._read_wave(wave)
            self._longer_step, self._longer_s = self._end_step, known / FPS
        longer = self._longer
        return replace(now, rmssd=longer.rmssd, sdnn=longer.sdnn, respiration=longer.respiration)

    def _is_behind(self, now: Vitals) -> bool:
        """Tell whether what needs longer is to be worked out again."""
        begins = now.heart_rate.value is not None and self._longer_s < LEAST_SECONDS
        return begins or self._end_step - self._longer_step >= LONGER_EVERY_S * FPS

    def _read_wave(
        self,
        wave: NDArray[np.float64],
        latest_s: float | None = None,
        context: Context | None = None,
    ) -> Vitals:
        """Read the end of the wave, but for what too few pictures tell."""
        kept, distrust = self._pictures.without_sparse(wave, self._end_step, FPS, LEAST_SECONDS)
        if self._held_s > GONE_S:
            distrust = HELD.format(held=self._held_s)
        return measure_vitals(
            kept,
            fps=FPS,
            calibration=self._model.calibration,
            colours=self._colours[-len(wave) :],
            places=self._places[-len(wave) :],
            distrust=distrust,
            latest_s=latest_s,
            context=context,
        )

    def _notice(self, crops: FaceCrops | None, time_s: float) -> None:
        """Remember what the hint needs, and how the pictures came."""
        self._crop = crops.crop if crops else None
        self._held_s = crops.held_s if crops else 0.0
        if crops:
            crops.tell(self._pictures)
        if self.faces.box:
            self._recent_boxes.append((time_s, self.faces.box))
        while self._recent_boxes and self._recent_boxes[0][0] < time_s - RECENT_S:
            self._recent_boxes.popleft()

    def _advance_to(self, step: int) -> None:
        """Leave a gap up to a grid step."""
        missing = min(max(step - self._end_step, 0), len(self._wave))
        self._append(np.full(missing, np.nan, np.float32))
        unseen = min(max(step - self._shown_step, 0), len(self._wave))
        self._colours = _last(self._colours, np.full((unseen, 3), np.nan))
        self._places = _last(self._places, np.full((unseen, 3), np.nan))
        self._end_step, self._shown_step = step, max(step, self._shown_step)

    def _append(self, wave: NDArray[np.float32]) -> None:
        self._wave = _last(self._wave, wave)
        self._end_step += len(wave)


def _last(before: NDArray[Real], more: NDArray[Real]) -> NDArray[Real]:
    """Samples with more after them, as many as there were."""
    return np.concatenate([before, more])[len(more) :]
