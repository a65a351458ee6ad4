"""The program on one page: a video file goes in, a pulse comes out.

    frames + stamps -> face box -> crop -> even grid -> network -> wave -> vitals

`kdphys.stream` runs the same stages for a camera.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kdphys.ahead import ahead
from kdphys.classical import skin_mean
from kdphys.errors import NoFaceError
from kdphys.noticed import LEAST_SECONDS, Noticed
from kdphys.runtime import FPS, Model, open_model
from kdphys.stream import FaceCrops, FaceStream
from kdphys.threads import one_thread
from kdphys.video import Frame, Limits, probe, read_frames
from kdphys.vitals import Vitals, change, measure_vitals

NOT_MEDICAL = "Not a medical device: don't base a decision about health on it."
MODELS = ("student", "teacher", "pos", "chrom", "green")
CHUNK = 64  # grid crops that are handed to the networks at once
SHOWN_CROPS = 8
STRETCH = 300  # crops in a row that are kept, to show where the networks look
SAID_EVERY = 30  # frames, between two words on how far it is

Progress = Callable[[str, float], None]
Samples = TypeVar("Samples", bound=NDArray[np.floating])


@dataclass(frozen=True)
class StageSeconds:
    """Where the time went."""

    decode: float
    """Waiting for pictures: they are decoded beside the rest."""
    face: float
    network: float
    signal: float
    total: float


@dataclass(frozen=True)
class Measurement:
    """What one model found in one recording."""

    model: str
    weights: str
    """Digest of the model's weights, short; empty for a classical method."""
    duration_s: float
    fps: float
    """Mean frame rate of the source in Hz."""
    frames: int
    face_fraction: float
    """Share of the frames in which the face was found."""
    wave: NDArray[np.float32]
    """Pulse wave, NaN where there was no face. Shape (T,)."""
    wave_fps: float
    vitals: Vitals
    seconds: StageSeconds
    notes: tuple[str, ...]
    """What else a person should know."""
    crops: NDArray[np.uint8]
    """Some crops as the network saw them. Shape (K, S, S, 3)."""
    stretch: NDArray[np.uint8]
    """The first of the longest row of crops at 30 Hz, up to 10 s. Shape (T, S, S, 3)."""
    speed: float = 1.0
    """What its frame times were divided by."""

    def to_json(self) -> dict[str, object]:
        """The record that `python -m kdphys measure --json` prints."""
        vitals = self.vitals
        return {
            "schema": 1,
            "model": self.model,
            "weights": self.weights,
            "speed": self.speed,
            "duration_s": round(self.duration_s, 3),
            "fps": round(self.fps, 3),
            "frames": self.frames,
            "face_fraction": round(self.face_fraction, 4),
            "heart_rate_bpm": _rounded(vitals.heart_rate.value, 2),
            "quality": round(vitals.heart_rate.quality, 3),
            "reason": vitals.heart_rate.reason,
            "rmssd_ms": _rounded(vitals.rmssd.value, 1),
            "sdnn_ms": _rounded(vitals.sdnn.value, 1),
            "respiration_bpm": _rounded(vitals.respiration.value, 1),
            "seconds": {
                name: round(getattr(self.seconds, name), 3)
                for name in ("decode", "face", "network", "signal", "total")
            },
            "notes": list(self.notes),
            "note": NOT_MEDICAL,
            "wave": {
                "fps": self.wave_fps,
                "values": [None if np.isnan(x) else round(float(x), 5) for x in self.wave],
            },
        }


def measure(
    path: str | Path,
    model: str | Path = "student",
    *,
    speed: float = 1.0,
    progress: Progress | None = None,
    limits: Limits | None = None,
) -> Measurement:
    """Measure the pulse in a recording.

    Args:
        path: A video file, or an .npz with frames (T, H, W, 3) uint8 and time_s (T,).
        model: "student", "teacher", "pos", "chrom" or "green", "owner/name@commit" on the Hub, or a
            folder of weights.
        speed: Frame times are divided by this, as if the recording were played that much faster.
        progress: Called with the stage and the share done, 0 to 1; what it raises ends the work.
        limits: What it may take; None: 4 hours of recording, however long they take.

    Returns:
        The measurement; its heart rate is None, with a reason, where there is nothing to trust.

    Raises:
        VideoError: The file can't be read as video, or goes beyond the limits.
        NoFaceError: No face was found in it.
        TooShortError: There are fewer than 6 s of it.
    """
    name = str(model)
    return compare(path, [name], speed=speed, progress=progress, limits=limits)[name]


def compare(
    path: str | Path,
    models: Sequence[str] = MODELS,
    *,
    speed: float = 1.0,
    progress: Progress | None = None,
    limits: Limits | None = None,
    frames: Iterator[Frame] | None = None,
) -> dict[str, Measurement]:
    """Measure the pulse with several models in one pass over a recording.

    Args:
        path: As for `measure`.
        models: Names of the models.
        speed: As for `measure`.
        progress: As for `measure`.
        limits: As for `measure`.
        frames: Frames of a recording that is no video file; `path` then only names it, and their
            times count from the first, whatever `speed`.

    Returns:
        One measurement for each model, in the order of `models`.
    """
    if isinstance(models, str) or not models:
        raise ValueError(f"models={models!r} must be a sequence of names, at least one")
    began = time.perf_counter()
    path = Path(path)
    opened = {name: open_model(name) for name in models}
    say = progress or _say_nothing
    say("Opening the video", 0.0)
    watch = _Watch(path, speed, say, limits or Limits(), frames)
    waves = {name: _Wave(model) for name, model in opened.items()}
    with one_thread(), closing(watch):
        for piece in watch.pieces():
            for wave in waves.values():
                wave.take(piece)
    watch.check()
    noticed = watch.noticed
    for wave in waves.values():
        wave.end()
    shared_s = time.perf_counter() - began - sum(wave.seconds for wave in waves.values())
    say("Reading the pulse", 0.95)
    colours, places = watch.colours(), watch.places()
    results = {}
    for name, wave in waves.items():
        values, few = noticed.without_sparse(wave.joined(noticed.steps))
        values = noticed.without_faint(values, opened[name])
        signal_began = time.perf_counter()
        vitals = measure_vitals(
            values.astype(np.float64),
            FPS,
            calibration=opened[name].calibration,
            key_times_s=noticed.key_times_s,
            colours=colours,
            places=places,
            distrust=noticed.distrust or few or noticed.other_face(values, opened[name]),
        )
        signal_s = time.perf_counter() - signal_began
        own_s = wave.seconds + signal_s
        seconds = StageSeconds(
            watch.decode_s, watch.face_s, wave.seconds, signal_s, shared_s + own_s
        )
        results[name] = watch.measurement(name, opened[name], values, vitals, seconds)
    return results


@dataclass(frozen=True)
class _Piece:
    """Grid crops in a row."""

    pixels: NDArray[np.uint8]
    """Shape (n, S, S, 3)."""
    first_step: int
    """Grid step of the first."""
    opens: bool
    """They begin a new segment: nothing before them is to be remembered."""


class _Watch:
    """The eyes: frames to crops on the even grid."""

    def __init__(
        self,
        path: Path,
        speed: float,
        say: Progress,
        limits: Limits,
        frames: Iterator[Frame] | None,
    ) -> None:
        if not (speed > 0 and math.isfinite(speed)):
            raise ValueError(f"speed={speed} must be above 0")
        self.noticed, self.say, self.limits = Noticed(path.name), say, limits
        self.decode_s = self.face_s = 0.0
        self._colours: list[tuple[int, NDArray[np.float64]]] = []
        self._places: list[tuple[int, NDArray[np.float64]]] = []
        self._shown: list[NDArray[np.uint8]] = []
        self._shown_every = 1
        self._row: list[NDArray[np.uint8]] = []
        self._longest_row = self._row
        self._faces = FaceStream()
        self._expected_s, self._speed = 0.0, 1.0
        if frames is None:
            self._speed = float(speed)
            self._expected_s = (probe(path, limits).duration_s or 0.0) / speed
            frames = read_frames(path, speed, limits, self.noticed.unread)
        self._source = ahead(frames)

    def close(self) -> None:
        """End the thread that decodes, and close the recording, however the reading ended."""
        self._source.close()

    def pieces(self) -> Iterator[_Piece]:
        """Decode the recording; yield its face in chunks of crops."""
        waiting: list[NDArray[np.uint8]] = []
        first, opens = 0, True
        for frame in self._timed_frames():
            crops = self._face_of(frame)
            if crops is None:
                continue
            if waiting and (crops.opens or len(waiting) >= CHUNK):
                yield self._piece(waiting, first, opens=opens)
                waiting, first, opens = [], crops.first_step, False
            if crops.opens:
                first, opens = crops.first_step, True
            waiting.extend(crops.pixels)
            self._places.append((crops.first_step, crops.places))
        if waiting:
            yield self._piece(waiting, first, opens=opens)

    def _face_of(self, frame: Frame) -> FaceCrops | None:
        """Follow the face into a frame."""
        began = time.perf_counter()
        crops = self._faces.push(frame.rgb, frame.time_s, frame.view)
        self.face_s += time.perf_counter() - began
        if crops is None:
            return None
        self.noticed.face(frame, crops, self._faces)
        if self._faces.is_seen:
            self._keep_to_show(crops.crop)
        return crops

    def _piece(self, crops: list[NDArray[np.uint8]], first: int, *, opens: bool) -> _Piece:
        """Put crops together, noting their mean colours."""
        pixels = np.stack(crops)
        self._colours.append((first, skin_mean(pixels)))
        self._keep_in_a_row(crops, opens=opens)
        return _Piece(pixels, first, opens)

    def colours(self) -> NDArray[np.float64]:
        """Mean colour of the face on the grid, NaN where there is none. Shape (steps, 3)."""
        return _on_grid(self._colours, np.full((self.noticed.steps, 3), np.nan))

    def places(self) -> NDArray[np.float64]:
        """Where the face is on the grid, as `kdphys.sway` takes it. Shape (steps, 3)."""
        return _on_grid(self._places, np.full((self.noticed.steps, 3), np.nan))

    def _timed_frames(self) -> Iterator[Frame]:
        """Frames of the recording, noting how long decoding took; times begin at 0."""
        first_s: float | None = None
        while True:
            began = time.perf_counter()
            frame = next(self._source, None)
            self.decode_s += time.perf_counter() - began
            if frame is None:
                break
            first_s = frame.time_s if first_s is None else first_s
            if first_s:
                frame = replace(frame, time_s=frame.time_s - first_s)
            self.limits.check_work(self.noticed.name)
            self.noticed.frame(frame)
            if self.noticed.frames % SAID_EVERY == 1:
                share = min(frame.time_s / self._expected_s, 1.0) if self._expected_s else 0.0
                self.say("Watching the face", 0.95 * share)
            yield frame

    def _keep_to_show(self, crop: NDArray[np.uint8]) -> None:
        """Keep a few crops, evenly spread however long the recording is."""
        if (self.noticed.with_face - 1) % self._shown_every == 0:
            self._shown.append(crop)
        if len(self._shown) == 2 * SHOWN_CROPS:
            self._shown = self._shown[::2]
            self._shown_every *= 2

    def _keep_in_a_row(self, crops: list[NDArray[np.uint8]], *, opens: bool) -> None:
        """Keep the longest row of crops, up to `STRETCH` of them."""
        if opens:
            self._row = []
        self._row.extend(crops[: STRETCH - len(self._row)])
        if len(self._row) > len(self._longest_row):
            self._longest_row = self._row

    def check(self) -> None:
        """Refuse what can't hold a pulse.

        Raises:
            VideoError: The pictures are black, too few a second, or without colour.
            NoFaceError: There was no face at all, or for a moment only.
            TooShortError: The recording is too short.
        """
        self.noticed.check()
        if not self._longest_row:
            raise NoFaceError(
                f"The face in {self.noticed.name} is seen for a moment only; keep it in view for "
                f"{LEAST_SECONDS:.0f} s."
            )

    def measurement(
        self,
        name: str,
        model: Model,
        wave: NDArray[np.float32],
        vitals: Vitals,
        seconds: StageSeconds,
    ) -> Measurement:
        """Put together what was found."""
        return Measurement(
            model=name,
            weights=model.facts.weights,
            duration_s=self.noticed.last_s,
            fps=self.noticed.fps,
            frames=self.noticed.frames,
            face_fraction=self.noticed.face_fraction,
            wave=wave,
            wave_fps=FPS,
            vitals=vitals,
            seconds=seconds,
            notes=(*self.noticed.notes(), *filter(None, [change(vitals)])),
            crops=self.crops,
            stretch=self.stretch,
            speed=self._speed,
        )

    @cached_property
    def crops(self) -> NDArray[np.uint8]:
        """Some crops to show, once for all models. Shape (K, S, S, 3)."""
        chosen = np.linspace(0, len(self._shown) - 1, min(SHOWN_CROPS, len(self._shown)))
        return np.stack([self._shown[round(place)] for place in chosen])

    @cached_property
    def stretch(self) -> NDArray[np.uint8]:
        """The longest row of crops, once for all models. Shape (T, S, S, 3)."""
        return np.stack(self._longest_row)


class _Wave:
    """A model's wave as it grows, segment by segment."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._session = model.start()
        self._parts: list[tuple[int, NDArray[np.float32]]] = []
        self._step = 0
        self._began = False
        self.seconds = 0.0

    def take(self, piece: _Piece) -> None:
        """Run the model on the next crops; a piece that opens a segment ends the one before."""
        if piece.opens:
            self.end()
            self._step = piece.first_step
            self._began = True
        self._keep(self._session.push(piece.pixels))

    def end(self) -> None:
        """End the open segment."""
        if self._began:
            self._keep(self._session.finish())
            self.seconds += self._session.seconds
            self._session = self._model.start()
            self._began = False

    def _keep(self, wave: NDArray[np.float32]) -> None:
        self._parts.append((self._step, wave))
        self._step += len(wave)

    def joined(self, steps: int) -> NDArray[np.float32]:
        """The wave of the whole recording, NaN where there was no face. Shape (steps,)."""
        return _on_grid(self._parts, np.full(steps, np.nan, np.float32))


def _on_grid(parts: Iterable[tuple[int, Samples]], whole: Samples) -> Samples:
    """Lay parts, each with the step of its first sample, into `whole` as far as it reaches."""
    for step, part in parts:
        room = max(0, min(len(part), len(whole) - step))
        whole[step : step + room] = part[:room]
    return whole


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _say_nothing(_stage: str, _share: float) -> None:
    pass
