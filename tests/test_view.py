"""The part of a camera's picture that is looked at follows the face, rarely and traceably."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdphys import LiveMeter
from kdphys.crop import FaceBox
from kdphys.view import FOLLOW_PX, SEARCH_PX, View, follow, whole
from tests._camera import shown
from tests._films import Recording, easy_config, record

WIDTH, HEIGHT = 640, 480


def box(x: float, y: float, side: float) -> FaceBox:
    return FaceBox(x - side / 2, y - side / 2, x + side / 2, y + side / 2, 0.9)


faces = st.builds(box, st.floats(0, WIDTH), st.floats(0, HEIGHT), st.floats(20, 600))


def test_without_a_face_the_whole_picture_is_looked_at():
    assert whole(WIDTH, HEIGHT) == View(0, -80, 640, SEARCH_PX)
    somewhere = follow(whole(WIDTH, HEIGHT), box(300, 200, 100), WIDTH, HEIGHT)
    assert follow(somewhere, None, WIDTH, HEIGHT) == whole(WIDTH, HEIGHT)


@given(faces)
def test_a_face_lies_well_inside_what_is_looked_at(face):
    view = follow(whole(WIDTH, HEIGHT), face, WIDTH, HEIGHT)
    assert view.pixels == FOLLOW_PX
    assert view.side >= FOLLOW_PX
    middle = view.x + view.side / 2, view.y + view.side / 2
    assert np.abs(np.subtract(middle, face.centre)).max() <= 1
    assert follow(view, face, WIDTH, HEIGHT) == view


@given(faces, st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_a_face_that_moves_a_little_leaves_it_as_it_is(face, right, down):
    view = follow(whole(WIDTH, HEIGHT), face, WIDTH, HEIGHT)
    moved = box(face.centre[0] + right * face.width, face.centre[1] + down * face.width, face.width)
    assert follow(view, moved, WIDTH, HEIGHT) == view


def test_a_face_that_reaches_its_edge_or_changes_size_moves_it():
    face = box(300, 200, 100)
    view = follow(whole(WIDTH, HEIGHT), face, WIDTH, HEIGHT)
    for other in (box(340, 200, 100), box(300, 240, 100), box(300, 200, 130), box(300, 200, 70)):
        assert follow(view, other, WIDTH, HEIGHT) != view


@given(faces, st.integers(-50, 50), st.integers(-50, 50), st.integers(80, 500))
def test_a_box_in_a_view_keeps_its_place_in_the_camera(face, x, y, side):
    view = View(x, y, side, FOLLOW_PX)
    scale = FOLLOW_PX / side
    inside = FaceBox(
        (face.x0 - x) * scale, (face.y0 - y) * scale, (face.x1 - x) * scale, (face.y1 - y) * scale,
        face.score,
    )  # fmt: skip
    assert view.in_camera(inside).centre == pytest.approx(face.centre, abs=1e-6)
    assert view.in_camera(inside).width == pytest.approx(face.width, abs=1e-6)


@pytest.mark.parametrize("wrong", [{"side": 0.0}, {"pixels": 0}])
def test_a_view_has_an_extent(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(View(0, 0, 1, 1), **wrong)


@pytest.fixture(scope="module")
def swaying() -> Recording:
    """A face of 72 bpm whose head sways by almost half its width to each side."""
    moved = record(10, easy_config(seconds=14.0, side=400, off=("codec", "timing", "talk")))
    shift = np.rint(80 * np.sin(2 * np.pi * 0.1 * moved.time_s)).astype(int)
    pictures = [
        np.roll(picture, by, axis=1) for picture, by in zip(moved.pictures, shift, strict=True)
    ]
    return replace(moved, pictures=pictures)


@pytest.mark.slow
def test_what_is_sent_of_a_camera_s_picture_reads_as_all_of_it(swaying):
    full, part = LiveMeter(), LiveMeter()
    height, width = swaying.pictures[0].shape[:2]
    view, views = whole(width, height), set()
    readings = []
    for picture, time_s in zip(swaying.pictures, swaying.time_s.tolist(), strict=True):
        readings.append((full.push(picture, time_s), part.push(shown(picture, view), time_s, view)))
        views.add(view)
        view = follow(view, part.faces.box, width, height)
    assert 2 < len(views) < 20
    assert full.faces.box is not None
    assert part.faces.box is not None
    away = np.subtract(full.faces.box.centre, part.faces.box.centre)
    assert np.abs(away).max() < 0.05 * full.faces.box.width
    both = np.isfinite(full.wave) & np.isfinite(part.wave)
    assert np.corrcoef(full.wave[both], part.wave[both])[0, 1] > 0.8
    ours, theirs = readings[-1]
    assert ours is not None
    assert theirs is not None
    assert theirs.heart_rate.value == pytest.approx(72, abs=3)
