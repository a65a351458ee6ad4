"""Faces are found at any size, followed without jitter, and never made up."""

import subprocess
import sys
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from kdphys.face import BRIDGE_S, SEARCH_S, FaceBox, FaceFinder, FaceTracker
from kdphys.video import read_frames
from tests._media import SHARED, Picture, on_canvas, portrait

needs_portraits = pytest.mark.skipif(
    not (SHARED / "portraits").is_dir(), reason="no portraits at ../shared/data/portraits"
)
needs_clips = pytest.mark.skipif(
    not (SHARED / "clips").is_dir(), reason="no clips at ../shared/data/clips"
)
FPS = 30.0


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


def noisy(picture: Picture, sigma: float, rng: np.random.Generator) -> Picture:
    return np.clip(picture + rng.normal(0, sigma, picture.shape), 0, 255).astype(np.uint8)


# Finding ---------------------------------------------------------------------------------------


@needs_portraits
@pytest.mark.parametrize("name", ["male_00", "female_48", "male_64"])
@pytest.mark.parametrize("share", [0.08, 0.2, 0.5, 1.0])
def test_a_face_is_found_where_it_is_from_far_away_to_filling_the_frame(finder, name, share):
    picture = portrait(name)
    box = finder.find(picture)[0]
    scale = share * 640 / box.width
    x, y = box.centre
    at = 320 + scale * (160 - x), 240 + scale * (160 - y)  # puts the face in the middle
    faces = finder.find(on_canvas(picture, scale, *at, (640, 480)))
    assert len(faces) == 1
    # The detector's own error is 2 to 4 % of the box.
    assert np.allclose(faces[0].centre, (320, 240), rtol=0, atol=0.06 * share * 640)
    assert faces[0].width == pytest.approx(share * 640, rel=0.12)


def test_walls_noise_and_dark_frames_hold_no_face(finder):
    rng = np.random.default_rng(0)
    for blur in (0, 1, 3, 8, 20, 40):
        wall = rng.uniform(0, 255, (240, 320, 3)).astype(np.float32)
        wall = cv2.GaussianBlur(wall, (0, 0), blur) if blur else wall
        wall = (wall - wall.mean()) / wall.std() * 40 + (190, 150, 130)
        assert finder.find(np.clip(wall, 0, 255).astype(np.uint8)) == []
    assert finder.find(np.zeros((480, 640, 3), np.uint8)) == []
    assert finder.find(np.full((3, 5, 3), 200, np.uint8)) == []


@needs_portraits
def test_two_faces_are_both_told_the_larger_first(finder):
    left = on_canvas(portrait("male_00"), 0.8, 170, 240, (700, 480))
    both = np.where(np.arange(700)[:, None] < 330, left, 0) + np.where(
        np.arange(700)[:, None] >= 330,
        on_canvas(portrait("male_64"), 1.2, 520, 240, (700, 480)),
        0,
    )
    faces = finder.find(both.astype(np.uint8))
    assert len(faces) == 2
    assert faces[0].width > faces[1].width
    assert finder.follow(both.astype(np.uint8), faces[1]) is not None


def test_loading_the_models_says_nothing():
    script = "from kdphys.face import FaceFinder; FaceFinder()"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("", "")


def test_importing_the_file_does_not_import_mediapipe():
    script = "import sys, kdphys.face; print('mediapipe' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


# Following -------------------------------------------------------------------------------------


def track(finder: FaceFinder, pictures: Iterator[Picture]) -> NDArray[np.float64]:
    """Follow a face through pictures at `FPS`. Centre and side, shape (T, 3)."""
    tracker = FaceTracker(finder)
    boxes = [tracker.update(picture, k / FPS) for k, picture in enumerate(pictures)]
    return np.array([[*box.centre, box.width] if box else [np.nan] * 3 for box in boxes])


@needs_portraits
def test_a_still_face_has_a_still_box(finder):
    rng = np.random.default_rng(1)
    boxes = track(finder, (noisy(portrait(), 4, rng) for _ in range(90)))
    # A strong noise of 4 grey levels moves a single detection by 0.2 px.
    assert boxes.std(0).max() < 0.05


@needs_portraits
@pytest.mark.parametrize(("reach_px", "hz"), [(5, 0.3), (25, 0.7), (10, 1.5)])
def test_a_moving_face_is_followed_to_a_tenth_of_a_pixel(finder, reach_px, hz):
    rng = np.random.default_rng(2)
    phase = 2 * np.pi * hz * np.arange(90) / FPS
    true_x, true_y = 160 + reach_px * np.sin(phase), 120 + reach_px / 2 * np.sin(1.3 * phase)
    face = portrait("female_20")
    pictures = (
        noisy(on_canvas(face, 0.6, x, y, (320, 240)), 2, rng)
        for x, y in zip(true_x, true_y, strict=True)
    )
    boxes = track(finder, pictures)
    # A constant offset from the truth does no harm; what moves against the face does.
    assert (boxes[:, 0] - true_x).std() < 0.1
    assert (boxes[:, 1] - true_y).std() < 0.1
    assert boxes[:, 2].std() < 0.3


class Script(FaceFinder):
    """A finder that gives, for a frame of light k, the faces written down for k."""

    def __init__(self, faces: dict[int, list[FaceBox]]) -> None:
        self.faces = faces
        self.looks = 0

    def find(self, rgb: Picture) -> list[FaceBox]:
        self.looks += 1
        return self.faces.get(int(rgb[0, 0, 0]), [])

    def follow(self, rgb: Picture, box: FaceBox) -> FaceBox | None:
        near = [face for face in self.find(rgb) if abs(face.centre[0] - box.centre[0]) < 30]
        return near[0] if near else None


LEFT, RIGHT = FaceBox(20, 40, 80, 100, 0.9), FaceBox(120, 40, 182, 102, 0.9)
NEAR = FaceBox(60, 10, 200, 150, 0.9)


def play(
    scenes: list[tuple[float, list[FaceBox]]], share: float = 0.25
) -> tuple[FaceTracker, list[FaceBox | None], list]:
    """Show scenes, each for some seconds; a share of the picture is its own in each of them.

    So registration fails between scenes.
    """
    tracker = FaceTracker(Script({k: faces for k, (_, faces) in enumerate(scenes)}))
    boxes, changes, time_s = [], [], 0.0
    for k, (seconds, _) in enumerate(scenes):
        common, own = (
            np.random.default_rng(seed).integers(0, 255, (24, 32, 3)) for seed in (99, k)
        )
        texture = ((1 - share) * common + share * own).astype(np.uint8)
        frame = np.asarray(cv2.resize(texture, (256, 192)), np.uint8).copy()
        frame[0, 0, 0] = k
        for _ in range(round(seconds * FPS)):
            boxes.append(tracker.update(frame, time_s))
            changes.append(tracker.changed)
            time_s += 1 / FPS
    return tracker, boxes, changes


def test_a_view_that_makes_a_face_larger_than_two_pictures_loses_it():
    tracker = FaceTracker(Script({0: [LEFT], 1: []}))
    assert tracker.update(np.zeros((160, 160, 3), np.uint8), 0.0)
    tracker.reframe(40.0, 0.0, 0.0)
    assert tracker.update(np.ones((72, 72, 3), np.uint8), 0.033) is None


def test_no_face_is_no_box():
    _, boxes, _ = play([(2.0, [])])
    assert boxes == [None] * 60


def test_a_face_that_comes_is_found_soon():
    _, boxes, _ = play([(1.0, []), (1.0, [LEFT])])
    assert boxes[:30] == [None] * 30
    assert sum(box is None for box in boxes[30:]) <= np.ceil(SEARCH_S * FPS)


def test_a_short_loss_is_bridged_and_marked():
    _, boxes, changes = play([(1.0, [LEFT]), (0.5, []), (1.0, [LEFT])])
    assert all(boxes)
    bridged = [box.score == 0 for box in boxes if box]
    assert bridged == [False] * 30 + [True] * 15 + [False] * 30
    assert not any(changes)


def test_a_long_loss_ends_in_no_box_and_what_comes_then_is_new():
    _, boxes, changes = play([(1.0, [LEFT]), (3.0, []), (1.0, [LEFT])])
    kept = sum(box is not None for box in boxes[30:120])
    assert kept == pytest.approx(BRIDGE_S * FPS, abs=2 + 0.3 * FPS)  # counted from the last look
    assert [k for k, changed in enumerate(changes) if changed] == [
        next(k for k in range(120, 150) if boxes[k])
    ]


def test_a_face_at_the_place_of_another_is_another():
    _, boxes, changes = play([(1.0, [LEFT]), (1.0, [LEFT])], share=1.0)  # a hard cut
    assert all(boxes)
    assert [k for k, changed in enumerate(changes) if changed] == [30]
    _, boxes, changes = play([(1.0, [LEFT]), (1.0, [LEFT])])
    assert not any(changes)


def test_of_two_faces_of_similar_size_the_first_is_kept():
    tracker, boxes, changes = play([(0.5, [LEFT]), (3.0, [RIGHT, LEFT]), (1.0, [RIGHT, LEFT])])
    assert all(box and box.centre == pytest.approx(LEFT.centre) for box in boxes)
    assert tracker.faces_seen == 2
    assert not any(changes)


def test_when_the_face_is_gone_the_other_one_is_taken_and_said_to_be_new():
    _, boxes, changes = play([(1.0, [RIGHT, LEFT]), (2.0, [LEFT])])
    assert sum(changes) == 1
    when = next(k for k, changed in enumerate(changes) if changed)
    assert when - 30 <= 0.6 * FPS
    assert all(box and box.centre == pytest.approx(LEFT.centre) for box in boxes[when:])


def test_someone_much_nearer_is_followed_instead():
    _, boxes, changes = play([(1.0, [LEFT]), (3.0, [NEAR, LEFT])])
    assert boxes[-1] is not None
    assert boxes[-1].width == pytest.approx(NEAR.width)
    assert sum(changes) == 1


def test_a_face_that_stays_is_looked_at_a_few_times_a_second():
    tracker, _, _ = play([(10.0, [LEFT])])
    assert isinstance(tracker._finder, Script)
    assert tracker._finder.looks <= 45


def test_the_same_frames_give_the_same_boxes():
    scenes = [(0.7, [LEFT]), (0.3, []), (1.0, [LEFT, RIGHT])]
    assert play(scenes)[1] == play(scenes)[1]


def test_times_that_do_not_increase_are_refused():
    tracker = FaceTracker(Script({}))
    frame = np.zeros((10, 10, 3), np.uint8)
    tracker.update(frame, 1.0)
    with pytest.raises(ValueError, match="later"):
        tracker.update(frame, 1.0)


# Real recordings -------------------------------------------------------------------------------


@needs_clips
def test_a_real_face_is_followed_throughout_and_smoothly(finder):
    tracker = FaceTracker(finder)
    frames = read_frames(SHARED / "clips" / "single_face.mp4")
    boxes = [tracker.update(frame.rgb, frame.time_s) for frame in frames]
    assert all(boxes)
    centres = np.array([box.centre for box in boxes if box])
    shake = np.abs(np.diff(centres, 2, axis=0)).mean()
    assert shake < 0.3  # px of a box of 205 px; single detections shake by 0.5


@needs_clips
def test_a_real_face_that_leaves_is_let_go(finder):
    tracker = FaceTracker(finder)
    frames = read_frames(SHARED / "clips" / "face_noface.mov")
    boxes = [(frame.time_s, tracker.update(frame.rgb, frame.time_s)) for frame in frames]
    assert all(box for time_s, box in boxes if time_s < 2)
    assert not any(box for time_s, box in boxes if time_s > 4.6)  # an animation of lettering


def test_registrations_that_all_err_alike_never_lose_the_face(monkeypatch):
    near, far = FaceBox(100, 80, 200, 180, 0.9), FaceBox(110, 90, 180, 160, 0.9)
    seen = [near]
    finder = FaceFinder()
    monkeypatch.setattr(finder, "find", lambda rgb: seen)  # noqa: ARG005
    monkeypatch.setattr(finder, "follow", lambda rgb, box: seen[0])  # noqa: ARG005
    growth = [-0.001]
    monkeypatch.setattr(
        "kdphys.face._Pattern.motion", lambda *_: (np.array([0.0, 0.0, growth[0]]), 0.0)
    )
    tracker = FaceTracker(finder)
    picture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    box = None
    for frame in range(3000):
        box = tracker.update(picture, frame / 30)
        assert box is not None
        assert box.width == pytest.approx(near.width, rel=0.15)  # as far as a box may lag
    # Now the picture holds the face no more, and it is further away.
    seen[0], growth[0] = far, -0.2
    for frame in range(3000, 3060):
        box = tracker.update(picture, frame / 30)
    assert box is not None
    assert box.width == pytest.approx(far.width, rel=0.15)
