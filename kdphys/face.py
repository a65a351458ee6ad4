"""Where the face is: detection on thumbnails, and one steady box that follows a face.

The only file that imports MediaPipe. Its BlazeFace models (Bazarevsky et al. 2019, arXiv
1907.05047) come inside the wheel. A detector's box jitters by a hundredth of its side, and on a
moving face the crop is the main noise of a pulse. So the box is carried by the picture itself: in
each frame it is registered to the face as it was, by the method of Lucas and Kanade (Baker &
Matthews 2004, doi 10.1023/B:VISI.0000011205.11775.fd), which is exact to thousandths of its side.
Detections tell that the face is still there, and draw the box back where it has drifted.
"""

import importlib
import math
import os
import sys
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from threading import RLock, Thread
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from kdphys.crop import FaceBox, crop_face

__all__ = ["FaceBox", "FaceFinder", "FaceTracker", "find_landmarks"]

NEAR, FAR = 0, 1  # MediaPipe's models: faces within 2 m of the camera, and within 5 m
INPUT_PX = {NEAR: 128, FAR: 192}
MIN_SCORE = {NEAR: 0.5, FAR: 0.6}  # of a face that is being followed; the far model has its own
NEW_SCORE = 0.7  # of a face that is found: walls, noise and lettering reach 0.63, portraits 0.86

# From BlazeFace's square (brows to chin) to ours (forehead to chin, ear to ear).
GROW = 1.2
RAISE = 0.08  # of BlazeFace's width
ZOOM = 2.1  # width of the view in which a face is measured, in widths of our box
PADDED = 1.7  # width of the view for a face that fills the picture, in long sides of the picture

LOOK_S = 0.3  # between detections of a face that is being followed
SURVEY_S = 1.0  # between looks over the whole picture
SEARCH_S = 0.25  # between looks for a face where there is none
RETRY_S = 0.1  # between looks over the whole picture for a face just lost
MOST_WIDTH = 2.0  # of a face, in sides of the picture
BRIDGE_S = 1.0  # longest loss over which the last box is kept
PATIENCE_S = 0.3  # a face must be lost for this long before another one is followed instead
MUCH_LARGER = 2.0  # another face that is this much wider is followed at once

JITTER = 0.01  # of the box's side, of single detections: moves are followed by what exceeds it
SLACK = 0.04  # of the box's side: detections this close to the box leave it where it is
PULL_HZ = 0.5  # cut-off of the pull towards detections further off
PULL_HZ_PER_SIDE = 10.0  # rise of that cut-off with the distance, in sides of the box

PATCH_PX = 32  # side of the patch that is registered, over the box
REGISTER_STEPS = 4  # Gauss-Newton steps a frame, at most
FINE_MOTION = 0.002  # a step below this share of the box is the last one
MAX_MOTION = 0.08  # a step above this share of the box can't be trusted
MAX_MISFIT = 0.35  # what may remain of the patch's contrast after registration
CUT_MISFIT = 0.75  # more remains from one person to another by a hard cut, and less in any movement
MAX_STRAY = 0.2  # of the box's side, by which registrations may add up to leave the face
STALE_MISFIT = 0.2  # what may remain before the reference is taken anew at the next detection
MIN_CONTRAST = 4.0  # grey levels
WINDOW_SPREAD = (0.25, 0.3)  # of its width and height: the face counts, not what is behind it

SAME_DISTANCE, SAME_WIDTH = 0.5, 2.0  # below which, in widths and times, two boxes are one face

_DOWN, _ACROSS = np.mgrid[:PATCH_PX, :PATCH_PX] / PATCH_PX + (0.5 / PATCH_PX - 0.5)
_WINDOW = np.exp(-((_ACROSS / WINDOW_SPREAD[0]) ** 2 + (_DOWN / WINDOW_SPREAD[1]) ** 2) / 2)
_WEIGHT = (_WINDOW / _WINDOW.sum()).ravel()

_stderr_turn = RLock()

State = NDArray[np.float64]  # centre x, centre y, side of a square, in pixels. Shape (3,).


class FaceFinder:
    """Find all faces in a picture, and measure them alike.

    The near model looks at the whole picture, then with a border around it (a face that fills the
    picture), then the far model (faces narrower than an eighth of it). Whatever they propose is
    looked at again in a zoom where a face has always the same size. This gives near and far faces
    the same box, and turns down what only resembled a face.
    """

    def __init__(self) -> None:
        self._models = {NEAR: _load_model(NEAR), FAR: _load_model(FAR)}
        # A model that is only forgotten keeps its threads and 10 MB for ever.
        weakref.finalize(self, _close, list(self._models.values())).atexit = False

    def find(self, rgb: NDArray[np.uint8]) -> list[FaceBox]:
        """Give all faces, the largest first; none is an answer.

        Args:
            rgb: Upright picture, 0..255. Shape (H, W, 3).

        Returns:
            Square boxes, forehead to chin, that may reach beyond the picture.
        """
        height, width = rgb.shape[:2]
        centre, side = (width / 2, height / 2), max(width, height)
        for model, scale in ((NEAR, 1.0), (NEAR, PADDED), (FAR, 1.0)):
            proposed = self._look(model, rgb, _View.around(centre, scale * side))
            measured = [self.follow(rgb, box) for box in proposed]
            faces = [face for face in measured if face and face.score >= NEW_SCORE]
            if faces:
                return _without_twins(sorted(faces, key=lambda face: -face.width))
        return []

    def follow(self, rgb: NDArray[np.uint8], box: FaceBox) -> FaceBox | None:
        """Find the face that was in `box` a moment ago.

        Args:
            rgb: Upright picture, 0..255. Shape (H, W, 3).
            box: Where it was.

        Returns:
            A square box; None where there is no face any more.
        """
        faces = self._look(NEAR, rgb, _View.around(box.centre, ZOOM * box.width))
        return _nearest(faces, box)

    def _look(self, model: int, rgb: NDArray[np.uint8], view: "_View") -> list[FaceBox]:
        thumbnail = view.thumbnail(rgb, INPUT_PX[model])
        found = self._models[model].process(thumbnail).detections or ()
        return [view.box(face.location_data.relative_bounding_box, face.score[0]) for face in found]


def find_landmarks(rgb: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Places of the 468 landmarks of MediaPipe's face mesh.

    After Kartynnik et al. (2019, arXiv 1907.06724).

    Args:
        rgb: A single upright picture, 0..255. Shape (H, W, 3).

    Returns:
        Places (x, y) in pixels, shape (468, 2); None where there is no face.
    """
    found = _load_mesh().process(rgb).multi_face_landmarks
    if not found:
        return None
    height, width = rgb.shape[:2]
    return np.array([(point.x * width, point.y * height) for point in found[0].landmark])


class FaceTracker:
    """Follow one face through a recording: causal, and timed by the stamps alone.

    It starts with the largest face and keeps to it. A face that is lost is looked for in each of
    the next frames; for up to `BRIDGE_S` the last box is kept with score 0, and then there is none.

    Args:
        finder: What detects faces.
        every_s: Time between detections of a face that is followed, in seconds.
    """

    def __init__(self, finder: FaceFinder, every_s: float = LOOK_S) -> None:
        self._finder = finder
        self._every_s = every_s
        self.faces_seen = 0
        """Largest number of faces in one picture so far."""
        self.changed = False
        """The latest box is on another face than the box before, or on one found after a loss or a
        hard cut."""
        self._face: _Followed | None = None
        self._had_face = False
        self._time_s = -math.inf
        self._next_look_s = self._next_survey_s = -math.inf

    def update(self, rgb: NDArray[np.uint8], time_s: float) -> FaceBox | None:
        """Take the next frame; give the box of the face in it, None where there is no face.

        Args:
            rgb: Upright frame, 0..255. Shape (H, W, 3).
            time_s: Its stamp, later than the one before.

        Raises:
            ValueError: `time_s` does not increase.
        """
        if not time_s > self._time_s:
            raise ValueError(f"time_s={time_s} must be later than the stamp before it")
        step_s, self._time_s = time_s - self._time_s, time_s
        self.changed = False
        if self._face and self._face.at.width > MOST_WIDTH * max(rgb.shape[:2]):
            self._face = None  # after `reframe`: it can't be in this picture
        if self._face is None:
            self._search(rgb)
        else:
            self._continue(self._face, rgb, step_s)
        return self._face.box(bridged=self._face.missing) if self._face else None

    def reframe(self, scale: float, x: float, y: float) -> None:
        """Go over to pictures that show another part of the same scene.

        Args:
            scale: Pixels in the next pictures for each pixel in those before.
            x: Where the left edge of those before lies in the next, in pixels.
            y: Where their upper edge lies in the next, in pixels.
        """
        if self._face:
            self._face.reframe(scale, x, y)

    def _search(self, rgb: NDArray[np.uint8]) -> None:
        """Look for a first face, or for one after a loss."""
        if self._time_s >= self._next_look_s:
            self._next_look_s = self._time_s + SEARCH_S
            faces = self._survey(rgb)
            if faces:
                self._start(rgb, faces[0])

    def _continue(self, face: "_Followed", rgb: NDArray[np.uint8], step_s: float) -> None:
        """Carry the box on with the picture, and look again when it is time or needed."""
        held = face.register(rgb)
        if not held or self._time_s >= self._next_look_s:
            self._look_again(face, rgb, held)
        face.pull(step_s)
        is_bridged = self._face is face and face.missing
        if is_bridged and self._time_s - face.seen_s > BRIDGE_S:
            self._face = None

    def _look_again(self, face: "_Followed", rgb: NDArray[np.uint8], held: bool) -> None:
        """Detect the face that is followed; when it is gone, take the one that is there."""
        others = self._survey(rgb) if self._time_s >= self._next_survey_s else []
        found = _nearest(others, face.at) or self._finder.follow(rgb, face.at)
        if others and self._prefer(others[0], found, face):
            self._start(rgb, others[0])
        elif found and not held and not face.missing and face.misfit > CUT_MISFIT:
            self._start(rgb, found)
        elif found:
            face.see(rgb, found, self._time_s, held=held)
            self._next_look_s = self._time_s + self._every_s
        else:
            face.missing = True
            self._next_look_s = self._time_s  # look again at once
            self._next_survey_s = min(self._next_survey_s, self._time_s + RETRY_S)

    def _prefer(self, other: FaceBox, found: FaceBox | None, face: "_Followed") -> bool:
        """Tell whether to leave the face that is followed for the largest one in the picture."""
        if found is None:
            return self._time_s - face.seen_s > PATIENCE_S
        return other.width > MUCH_LARGER * found.width

    def _survey(self, rgb: NDArray[np.uint8]) -> list[FaceBox]:
        self._next_survey_s = self._time_s + SURVEY_S
        faces = self._finder.find(rgb)
        self.faces_seen = max(self.faces_seen, len(faces))
        return faces

    def _start(self, rgb: NDArray[np.uint8], box: FaceBox) -> None:
        self._face = _Followed(rgb, box, self._time_s)
        self.changed, self._had_face = self._had_face, True
        self._next_look_s = self._time_s + self._every_s


class _Followed:
    """One face that is being followed: where the picture has carried it, and what it looks like.

    `_anchor` moves with the picture only. The box is `_anchor + _offset`, and the offset is drawn
    smoothly towards where the latest detection saw the face relative to the anchor, `_goal`.
    """

    def __init__(self, rgb: NDArray[np.uint8], box: FaceBox, time_s: float) -> None:
        self._anchor, self._offset, self._goal = _state(box), np.zeros(3), np.zeros(3)
        self.misfit = 0.0
        """What the latest picture leaves of the patch's contrast."""
        self.see(rgb, box, time_s, held=False)

    @property
    def at(self) -> FaceBox:
        """The box as it stands."""
        return self.box(bridged=False)

    def box(self, *, bridged: bool) -> FaceBox:
        """Give the box; a bridged one has score 0."""
        x, y, side = self._anchor + self._offset
        half = side / 2
        return FaceBox(x - half, y - half, x + half, y + half, 0.0 if bridged else self._score)

    def reframe(self, scale: float, x: float, y: float) -> None:
        """Go over to pictures that show another part of the same scene."""
        self._anchor = scale * self._anchor + np.array([x, y, 0.0])
        self._offset, self._goal = scale * self._offset, scale * self._goal

    def see(self, rgb: NDArray[np.uint8], found: FaceBox, time_s: float, *, held: bool) -> None:
        """Take in a detection; where the picture did not hold the box, go where it says."""
        if not held:
            move = _state(found) - self._goal - self._anchor
            size = float(np.abs(move).max()) / self._anchor[2]
            self._anchor = self._anchor + move * size / (size + JITTER)
        strayed = float(np.abs(self._offset).max()) > MAX_STRAY * found.width
        if strayed:  # the box stays where it is, on an anchor of its own
            self._anchor, self._offset = self._anchor + self._offset, np.zeros(3)
        self._goal = _state(found) - self._anchor
        self._score, self.seen_s, self.missing = found.score, time_s, False
        if not held or strayed or self.misfit > STALE_MISFIT:
            self._pattern, self.misfit = _Pattern.of(_patch(rgb, self._anchor)), 0.0

    def register(self, rgb: NDArray[np.uint8]) -> bool:
        """Move with the picture; False, and no move, where it no longer looks like the face."""
        anchor = self._anchor
        for _ in range(REGISTER_STEPS):
            moved, self.misfit = self._pattern.motion(_patch(rgb, anchor))
            step = float(np.abs(moved).max())
            if step > MAX_MOTION:
                return False
            anchor = anchor + moved * anchor[2]
            if step < FINE_MOTION:
                break
        if self.misfit > MAX_MISFIT:
            return False
        self._anchor = anchor
        return True

    def pull(self, step_s: float) -> None:
        """Draw the box towards the latest detection."""
        error = self._goal - self._offset
        distance = float(np.abs(error).max()) / self._anchor[2]
        if distance > SLACK:
            cut_off_hz = PULL_HZ + PULL_HZ_PER_SIDE * (distance - SLACK)
            share = -math.expm1(-2 * math.pi * cut_off_hz * step_s)
            self._offset = self._offset + error * (1 - SLACK / distance) * share


class _Pattern(NamedTuple):
    """What a face looks like, and how that changes where it moves by a little."""

    grey: NDArray[np.float64]
    """Reference patch. Shape (P * P,)."""
    solve: NDArray[np.float64]
    """From a change to (x, y, size) as shares of the box, gain, shift. Shape (5, P * P)."""
    modes: NDArray[np.float64]
    """The change of the patch that each of these brings. Shape (P * P, 5)."""
    contrast: float
    """Weighted standard deviation of the patch."""

    @classmethod
    def of(cls, patch: NDArray[np.float64]) -> "_Pattern":
        """Learn a reference patch. Shape (P, P)."""
        down, across = np.gradient(patch, 1 / PATCH_PX)  # per box
        modes = np.stack(
            [-across, -down, -(_ACROSS * across + _DOWN * down), patch, np.ones_like(patch)], -1
        ).reshape(-1, 5)
        weighted = modes * _WEIGHT[:, None]
        ridge = 1e-6 * np.trace(modes.T @ weighted) * np.eye(5)  # a flat patch must not blow up
        solve = np.linalg.inv(modes.T @ weighted + ridge) @ weighted.T
        grey = patch.ravel()
        contrast = math.sqrt(_WEIGHT @ (grey - _WEIGHT @ grey) ** 2)
        return cls(grey, solve, modes, contrast)

    def motion(self, patch: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Compare a patch with the reference.

        Returns:
            Shift in x and y and growth, as shares of the box, shape (3,); and the misfit that
            remains, as a share of the contrast.
        """
        change = patch.ravel() - self.grey
        found = self.solve @ change
        rest = math.sqrt(_WEIGHT @ (change - self.modes @ found) ** 2)
        return found[:3], rest / max(self.contrast, MIN_CONTRAST)


class _View(NamedTuple):
    """A square part of a picture, in whole pixels; it may reach beyond the picture."""

    x: int
    y: int
    side: int

    @classmethod
    def around(cls, centre: tuple[float, float], side: float) -> "_View":
        """Place a view of about `side` pixels."""
        return cls(round(centre[0] - side / 2), round(centre[1] - side / 2), max(2, round(side)))

    def thumbnail(self, rgb: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        """Average the view down, black beyond the picture. Shape (size, size, 3)."""
        height, width = rgb.shape[:2]
        canvas = np.zeros((size, size, 3), np.uint8)
        x0, x1 = max(self.x, 0), min(self.x + self.side, width)
        y0, y1 = max(self.y, 0), min(self.y + self.side, height)
        scale = size / self.side
        left, right = round((x0 - self.x) * scale), round((x1 - self.x) * scale)
        top, bottom = round((y0 - self.y) * scale), round((y1 - self.y) * scale)
        if right > left and bottom > top:
            part = cv2.resize(
                rgb[y0:y1, x0:x1], (right - left, bottom - top), interpolation=cv2.INTER_AREA
            )
            canvas[top:bottom, left:right] = part
        return canvas

    def box(self, relative: Any, score: float) -> FaceBox:  # MediaPipe has no types
        """Turn BlazeFace's square, relative to the view, into our box in the picture."""
        width = relative.width * self.side
        x = self.x + (relative.xmin + relative.width / 2) * self.side
        y = self.y + (relative.ymin + relative.height / 2) * self.side - RAISE * width
        half = GROW * width / 2
        return FaceBox(x - half, y - half, x + half, y + half, float(score))


def _state(box: FaceBox) -> State:
    return np.array([*box.centre, box.width])


def _distance(box: FaceBox, other: FaceBox) -> float:
    """Distance of the centres, in widths of the larger box."""
    return math.dist(box.centre, other.centre) / max(box.width, other.width)


def _same_face(box: FaceBox, other: FaceBox) -> bool:
    """Tell whether two boxes of about the same moment can be one face."""
    alike = 1 / SAME_WIDTH < box.width / other.width < SAME_WIDTH
    return _distance(box, other) < SAME_DISTANCE and alike


def _nearest(faces: list[FaceBox], box: FaceBox) -> FaceBox | None:
    """Pick the face that was in `box` a moment ago, if it is among `faces`."""
    same = [face for face in faces if _same_face(face, box)]
    return min(same, key=lambda face: _distance(face, box), default=None)


def _without_twins(faces: list[FaceBox]) -> list[FaceBox]:
    """Keep one box a face: two proposals may have led to the same one."""
    kept: list[FaceBox] = []
    for face in faces:
        if not any(_same_face(face, other) for other in kept):
            kept.append(face)
    return kept


def _patch(rgb: NDArray[np.uint8], state: State) -> NDArray[np.float64]:
    """Average a square of the frame down to a small grey one. Shape (P, P)."""
    x, y, half = state[0], state[1], state[2] / 2
    box = FaceBox(x - half, y - half, x + half, y + half, 0.0)
    return crop_face(rgb, box, PATCH_PX).mean(2)


def _load_model(model: int) -> Any:  # MediaPipe has no types
    """Load one of MediaPipe's face models, without its chatter on standard error."""
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _silent_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _import_mediapipe()
        from mediapipe.python.solutions.face_detection import FaceDetection

        detector = FaceDetection(min_detection_confidence=MIN_SCORE[model], model_selection=model)
        detector.process(np.zeros((64, 64, 3), np.uint8))  # it still talks when it first runs
    return detector


def _import_mediapipe() -> None:
    """Import MediaPipe from a thread of its own, and so with nobody's frames below it.

    Where there is no PortAudio, it keeps the error of a failed import, whose traceback would hold
    what all functions that were running then knew, such as the pictures of whoever came first.
    """

    def load() -> None:
        with suppress(ImportError):  # told where its names are used
            importlib.import_module("mediapipe.python.solutions")

    thread = Thread(target=load, name="import MediaPipe")
    thread.start()
    thread.join()


def _close(models: list[Any]) -> None:
    """Give back what MediaPipe's models hold."""
    for model in models:
        model.close()


@cache
def _load_mesh() -> Any:  # MediaPipe has no types
    """Load MediaPipe's face mesh for single pictures, without its chatter."""
    with _silent_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _import_mediapipe()
        from mediapipe.python.solutions.face_mesh import FaceMesh

        mesh = FaceMesh(static_image_mode=True, max_num_faces=1, min_detection_confidence=0.3)
        mesh.process(np.zeros((64, 64, 3), np.uint8))
    return mesh


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Send what C++ code writes to standard error nowhere; it is the whole process's."""
    with _stderr_turn:
        with suppress(AttributeError, ValueError, OSError):  # there is none, or it is closed
            sys.stderr.flush()
        try:
            kept = os.dup(2)
        except OSError:  # it is closed, and says nothing
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)
