"""Running the models: crops in, pulse wave out, piece by piece.

Both networks run in ONNX Runtime, so that their latency is compared like for like; the classical
methods wear the same interface. A `Session` holds all state of one recording: push crops as they
come, and finish. Every crop gets exactly one sample of the wave, in order.
"""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from kdphys import classical
from kdphys.errors import WeightsError
from kdphys.hub import Weights, is_folder, load_named, sha256
from kdphys.ort import onnxruntime
from kdphys.vitals import DEFAULT, Calibration

Pixels = NDArray[np.uint8]
Wave = NDArray[np.float32]

FPS = 30.0
SIZE = 36
MOST_LAG, MOST_REACH, MOST_FRAMES = 60, 90, 3600  # that a network may have
MOST_NUMBER = 1e15  # in a manifest
LATER = {"log_standing"}  # numbers of a confidence that manifests of older weights lack
STREAM_CHUNK = 32  # frames that the student takes at most in one call: more leave the caches
MOST_OPEN = 16  # models that stay open
NOISE_FRAMES = 8  # that a network is tried with when it is opened
CLASSICAL = {"pos": classical.pos, "chrom": classical.chrom, "green": classical.green}


@dataclass(frozen=True)
class ModelFacts:
    """What a model costs, for tables."""

    name: str
    parameters: int
    """Trained numbers; 0 for a classical method."""
    macs_per_frame: float
    """Multiply-accumulates for one frame."""
    file_bytes: int
    """Size of the file that is loaded."""
    training: str
    """What it was trained on."""
    weights: str = ""
    """Digest of its weights, short; empty for a classical method."""
    ahead_s: float = 0.0
    """How far it looks ahead, and so how much later than its pictures a live wave is."""


class Session(Protocol):
    """One recording on its way through a model."""

    @property
    def seconds(self) -> float:
        """Time spent in the model so far."""
        ...

    def push(self, pixels: Pixels) -> Wave:
        """Take the next crops, shape (T, S, S, 3); give the samples that are ready, shape (n,)."""
        ...

    def finish(self) -> Wave:
        """End the recording; give the samples still owed. Shape (n,)."""
        ...


class Model(Protocol):
    """A way to turn face crops into a pulse wave."""

    @property
    def calibration(self) -> Calibration:
        """From features of its wave to confidence."""
        ...

    @property
    def facts(self) -> ModelFacts:
        """What it costs."""
        ...

    def start(self) -> Session:
        """Begin a recording with a fresh state."""
        ...


def open_model(name: str | Path, threads: int = 1) -> Model:
    """Open a model by name; it is loaded once and holds no state of any recording.

    A folder whose manifest has changed is loaded again.

    Args:
        name: "student", "teacher", "pos", "chrom" or "green", or a network on the Hub at a commit,
            "owner/name@commit", or a folder that train/export.py wrote.
        threads: Threads that ONNX Runtime uses within a call.

    Raises:
        ValueError: There is no such model.
        WeightsError: Its weights are missing or damaged, or the Hub does not give them.
    """
    name = str(name)
    return _opened(name, _state_of(name), threads)


def _state_of(name: str) -> str:
    """Which folder a name means now, and what it holds; nothing for what has one meaning."""
    if name in CLASSICAL or name in NETWORKS or not is_folder(name):
        return ""
    folder = Path(name).resolve()
    try:
        return f"{folder} {sha256(folder / 'manifest.json')}"
    except OSError:  # told when it is opened
        return str(folder)


@lru_cache(maxsize=MOST_OPEN)
def _opened(name: str, _state: str, threads: int) -> Model:
    """Open a model; the state of its folder only tells it from others of the same name."""
    if name in CLASSICAL:
        return ClassicalModel(name)
    if name not in NETWORKS and "@" not in name and not is_folder(name):
        raise ValueError(
            f"name={name!r} must be student, teacher, pos, chrom, green, owner/name@commit or a "
            "folder of weights"
        )
    weights = load_named(name)
    kind = name if name in NETWORKS else str(weights.manifest.get("model"))
    if kind not in NETWORKS:
        raise WeightsError(f"{name} is neither a student nor a teacher of KDPhys, but {kind}.")
    return _open_network(name, kind, weights, threads)


def _open_network(name: str, kind: str, weights: Weights, threads: int) -> Model:
    """Open a network whose files are the ones of its manifest, which may say anything."""
    try:
        model = NETWORKS[kind](weights, threads)
        _check_wave(model)
    except Exception as error:
        raise WeightsError(
            f"{name} is no {kind} that can be run ({error}): export it again, or choose another "
            "commit."
        ) from error
    return model


def _check_wave(model: Model) -> None:
    """Refuse a network that makes no numbers of a little noise; it takes it some milliseconds."""
    noise = np.random.default_rng(0).integers(0, 256, (NOISE_FRAMES, SIZE, SIZE, 3), np.uint8)
    session = model.start()
    if not np.isfinite(np.concatenate([session.push(noise), session.finish()])).all():
        raise WeightsError("its wave holds values that are no numbers")


def model_facts(name: str | Path) -> ModelFacts:
    """Say what a model costs."""
    return open_model(name).facts


def look_of(name: str, pixels: Pixels) -> NDArray[np.float32]:
    """Where a network looks, in the mean over crops.

    Args:
        name: A network's name, as for `open_model`.
        pixels: RGB crops in a row at 30 Hz, at least one. Shape (T, S, S, 3).

    Returns:
        What attention transfer hands on (Zagoruyko & Komodakis, 2017, arXiv 1612.03928): squares of
        its maps summed over channels, of unit length over space in each frame. Shape (H, W).

    Raises:
        ValueError: It is no network.
        WeightsError: Its file was exported without its maps.
    """
    model = open_model(name)
    if not isinstance(model, StudentModel | TeacherModel):
        raise ValueError(f"name={name!r} must be a network: a classical method looks nowhere")
    if "maps" not in {output.name for output in model.network.get_outputs()}:
        raise WeightsError(f"{name} was exported without its maps; export it again.")
    return model.looks(pixels).mean(0)


class StudentModel:
    """The streaming network: constant memory, one sample a frame, a fixed lag.

    Args:
        weights: Checked files.
        threads: Threads within a call.
    """

    def __init__(self, weights: Weights, threads: int = 1) -> None:
        self.network = _open_onnx(weights.onnx, threads)
        self.lag = _whole(weights.config, "lag", range(MOST_LAG + 1))
        self.reach = _whole(weights.config, "reach", range(1, MOST_REACH + 1))
        _, frames, features = (given.shape for given in self.network.get_inputs())
        if frames != [1, self.reach, 3, SIZE, SIZE]:
            raise WeightsError(f"its network remembers frames of shape {frames}")
        self.past = (1, int(features[1]), int(features[2]))
        self.calibration = _calibration(weights)
        self.facts = replace(_facts("student", weights), ahead_s=self.lag / FPS)

    def start(self) -> "StudentSession":
        """Begin a recording."""
        return StudentSession(self)

    def looks(self, pixels: Pixels) -> NDArray[np.float32]:
        """Where it looks in each of some crops in a row, shape (T, S, S, 3). Shape (T, H, W)."""
        session = StudentSession(self)
        found = [
            _strength(session.run(pixels[i : i + STREAM_CHUNK], "maps").swapaxes(0, 1))
            for i in range(0, len(pixels), STREAM_CHUNK)
        ]
        return np.concatenate(found)


class StudentSession:
    """State of one recording in the student."""

    def __init__(self, model: StudentModel) -> None:
        self._model = model
        self._frames: NDArray[np.float32] | None = None
        self._past = np.zeros(model.past, np.float32)
        self._last: Pixels | None = None
        self._to_skip = model.lag
        self.seconds = 0.0

    def push(self, pixels: Pixels) -> Wave:
        """Take the next crops, shape (T, S, S, 3); give what is ready, `lag` frames late."""
        if not len(pixels):
            return np.empty(0, np.float32)
        pieces = [
            self.run(pixels[i : i + STREAM_CHUNK], "wave")
            for i in range(0, len(pixels), STREAM_CHUNK)
        ]
        self._last = pixels[-1:]
        wave = np.concatenate(pieces)
        skipped = min(self._to_skip, len(wave))
        self._to_skip -= skipped
        return wave[skipped:]

    def finish(self) -> Wave:
        """Give the last `lag` samples, as if the last frame stood still."""
        if self._last is None:
            return np.empty(0, np.float32)
        return self.push(np.repeat(self._last, self._model.lag, axis=0))

    def run(self, pixels: Pixels, wanted: str) -> NDArray[np.float32]:
        """Take the next crops; give one output of the network. Shape (T, ...)."""
        began = time.perf_counter()
        clip = _as_clip(pixels)
        if self._frames is None:
            self._frames = np.repeat(clip[:, :1], self._model.reach, axis=1)
        found, self._frames, self._past = _run_onnx(
            self._model.network,
            (wanted, "next_frames", "next_features"),
            clip=clip,
            frames=self._frames,
            features=self._past,
        )
        self.seconds += time.perf_counter() - began
        return found[0]


class TeacherModel:
    """The clip-wise network, in half-overlapping windows, each weighed by a Hann window.

    Args:
        weights: Checked files.
        threads: Threads within a call.
    """

    def __init__(self, weights: Weights, threads: int = 1) -> None:
        self.network = _open_onnx(weights.onnx, threads)
        self.frames = _whole(weights.config, "frames", range(8, MOST_FRAMES + 1)) // 4 * 4
        self.calibration = _calibration(weights)
        self.facts = _facts("teacher", weights)

    def start(self) -> "TeacherSession":
        """Begin a recording."""
        return TeacherSession(self)

    def looks(self, pixels: Pixels) -> NDArray[np.float32]:
        """Where it looks in each of some crops in a row, shape (T, S, S, 3). Shape (T, H, W)."""
        found = []
        for i in range(0, len(pixels), self.frames):
            piece = pixels[i : i + self.frames]
            missing = -len(piece) % 4
            clip = _as_clip(np.concatenate([piece, np.repeat(piece[-1:], missing, axis=0)]))
            (maps,) = _run_onnx(self.network, ("maps",), clip=clip)
            found.append(_strength(maps[0])[: len(piece)])
        return np.concatenate(found)


class TeacherSession:
    """Crops that wait for a full window, and the windows' tails that wait to be joined."""

    def __init__(self, model: TeacherModel) -> None:
        self._model = model
        self._hop = model.frames // 2
        self._waiting: deque[Pixels] = deque()
        self._tail: Wave | None = None
        self._owed = 0
        self.seconds = 0.0

    def push(self, pixels: Pixels) -> Wave:
        """Take the next crops; give half a window of samples whenever a window is full."""
        self._waiting.extend(pixels)
        self._owed += len(pixels)
        ready = []
        while len(self._waiting) >= self._model.frames:
            ready.append(self._join(self._run(self._model.frames))[: self._hop])
            for _ in range(self._hop):
                self._waiting.popleft()
        wave = np.concatenate(ready) if ready else np.empty(0, np.float32)
        self._owed -= len(wave)
        return wave

    def finish(self) -> Wave:
        """Run what is left, its last frame repeated to a multiple of 4."""
        if not self._owed:
            return np.empty(0, np.float32)
        frames = max(4, -(-len(self._waiting) // 4) * 4)
        wave = self._join(self._run(frames))[: self._owed]
        self._owed = 0
        return wave

    def _run(self, frames: int) -> Wave:
        began = time.perf_counter()
        window = list(self._waiting)[:frames]
        window += [window[-1]] * (frames - len(window))
        (wave,) = _run_onnx(self._model.network, ("wave",), clip=_as_clip(np.stack(window)))
        self.seconds += time.perf_counter() - began
        return wave[0]

    def _join(self, wave: Wave) -> Wave:
        """Fade from the window before into this one over their common half."""
        if self._tail is not None:
            common = min(len(self._tail), len(wave))
            rise = (np.arange(common, dtype=np.float32) + 0.5) / common
            fade = np.sin(rise * np.float32(np.pi / 2)) ** 2
            wave = wave.copy()
            wave[:common] = fade * wave[:common] + (1 - fade) * self._tail[:common]
        self._tail = wave[self._hop :]
        return wave


class ClassicalModel:
    """POS, CHROM or GREEN on the mean colour of the skin; nothing is trained."""

    def __init__(self, name: str) -> None:
        self.method = CLASSICAL[name]
        self.calibration = DEFAULT
        self.facts = ModelFacts(name, 0, float(SIZE * SIZE * 3), 0, "nothing")

    def start(self) -> "ClassicalSession":
        """Begin a recording."""
        return ClassicalSession(self)


@dataclass
class ClassicalSession:
    """Mean colours so far; the wave comes when the recording ends."""

    model: ClassicalModel
    seconds: float = 0.0
    _colours: list[NDArray[np.float64]] = field(default_factory=list)

    def push(self, pixels: Pixels) -> Wave:
        """Take the next crops; nothing is ready before the end."""
        began = time.perf_counter()
        if len(pixels):
            self._colours.append(classical.skin_mean(pixels))
        self.seconds += time.perf_counter() - began
        return np.empty(0, np.float32)

    def finish(self) -> Wave:
        """Give the whole wave. Shape (T,)."""
        if not self._colours:
            return np.empty(0, np.float32)
        began = time.perf_counter()
        colours = np.concatenate(self._colours)
        self._colours = []
        if len(colours) < 2 * FPS:
            return np.zeros(len(colours), np.float32)
        wave = self.model.method(colours, FPS).astype(np.float32)
        self.seconds += time.perf_counter() - began
        return wave


NETWORKS = {"student": StudentModel, "teacher": TeacherModel}


def _open_onnx(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run_onnx(
    network: onnxruntime.InferenceSession, wanted: Sequence[str], **given: NDArray[np.float32]
) -> list[NDArray[np.float32]]:
    """Outputs of a network by their names."""
    return cast(list[NDArray[np.float32]], network.run(list(wanted), given))


def _strength(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squares of maps (C, T, H, W) summed over channels, of unit length over space: (T, H, W)."""
    energy = np.square(maps).sum(0)
    length = np.sqrt(np.square(energy).sum((1, 2), keepdims=True))
    return energy / np.maximum(length, np.float32(1e-12))


def _as_clip(pixels: Pixels) -> NDArray[np.float32]:
    """Crops (T, S, S, 3) as the networks take them: shape (1, T, 3, S, S), in [0, 1]."""
    clip = pixels.transpose(0, 3, 1, 2)[None].astype(np.float32)
    clip *= np.float32(1 / 255)
    return clip


def _whole(config: dict[str, object], name: str, allowed: range) -> int:
    value = config.get(name)
    if type(value) is not int or value not in allowed:
        raise WeightsError(
            f"config.json has {name}={value}, and a whole number from {allowed[0]} to "
            f"{allowed[-1]} is needed"
        )
    return value


def _number(record: dict[str, object], name: str) -> float:
    value = record.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST_NUMBER:
        return value
    raise WeightsError(f"its manifest has {name}={value}, and a number is needed")


def _calibration(weights: Weights) -> Calibration:
    found = weights.manifest.get("calibration", asdict(DEFAULT))
    names = {one.name for one in fields(Calibration)} - {"slope_ms"}
    if not isinstance(found, dict) or not names - LATER <= found.keys() - {"slope_ms"} <= names:
        raise WeightsError(f"its calibration is {found}, and {', '.join(sorted(names))} are needed")
    # A network draws all beats alike.
    return Calibration(
        slope_ms=0.0, **{name: _number(found, name) for name in names & found.keys()}
    )


def _facts(name: str, weights: Weights) -> ModelFacts:
    cost = cast(dict[str, object], weights.manifest["cost"])
    return ModelFacts(
        name,
        int(_number(cost, "parameters")),
        float(_number(cost, "macs_per_frame")),
        weights.onnx.stat().st_size,
        str(weights.manifest.get("training", "")),
        weights.digest,
    )
