"""Where pictures come too seldom, pauses counted by their length."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdphys.sparse import AWAY, COPIES, REACH_S, SPARSE, SPARSE_FPS, Pauses, PictureSteps

FPS = 30.0


def pictures(steps_s, memory_s=math.inf) -> PictureSteps:
    found, time_s = PictureSteps(memory_s), 0.0
    for step_s in steps_s:
        time_s += step_s
        found.push(time_s, step_s)
    return found


def usual_fps(steps_s) -> float:
    """In the middle of steps that are repeated for long enough."""
    many = list(steps_s) * math.ceil(4 * REACH_S / sum(steps_s))
    return float(pictures(many).fps_at(np.array([sum(many) / 2]))[0])


@pytest.mark.parametrize(
    ("steps_s", "fps"),
    [([0.1], 10.0), ([1 / 30], 30.0), ([1 / 30, 1 / 30, 0.4], 2.9), ([0.02, 0.05], 24.0)],
)
def test_pauses_count_by_their_length(steps_s, fps):
    assert usual_fps(steps_s) == pytest.approx(fps, abs=0.3)


@given(st.lists(st.floats(0.01, 0.5), min_size=40, max_size=200), st.floats(0, 20))
def test_it_lies_between_that_of_the_longest_step_and_the_mean(steps_s, at_s):
    found = pictures(steps_s).fps_at(np.array([at_s]))[0]
    ends = np.cumsum(steps_s)
    near = np.array(steps_s)[(ends >= at_s - REACH_S) & (ends <= at_s + REACH_S)]
    if near.sum() < 1.99:
        assert found == math.inf
    elif near.sum() > 2.01:
        assert 1 / near.max() <= found * (1 + 1e-9)
        assert found <= len(near) / near.sum() * (1 + 1e-9)


def test_where_little_is_known_nothing_is_said():
    assert (PictureSteps().fps_at(np.arange(3.0)) == math.inf).all()
    assert (pictures([0.3] * 5).fps_at(np.arange(3.0)) == math.inf).all()
    assert pictures([0.3] * 9).fps_at(np.array([1.0])) == pytest.approx(1 / 0.3)


def test_only_what_is_sparse_becomes_a_gap():
    steps_s = [1 / 30] * 300 + [1 / 3] * 30  # 10 s of 30 a second, 10 s of 3
    kept, why = pictures(steps_s).without_sparse(np.ones(600), 600, FPS, 5.0)
    assert why is None
    assert np.isfinite(kept[: round((10 - REACH_S) * FPS)]).all()
    assert np.isnan(kept[round(10 * FPS) :]).all()


def test_a_wave_of_which_nothing_would_be_left_is_kept_and_doubted():
    wave = np.where(np.arange(360) % 50, 1.0, np.nan)
    kept, why = pictures([0.25] * 48).without_sparse(wave, 360, FPS, 5.0)
    np.testing.assert_array_equal(kept, wave)
    assert "Only 4 pictures of the face come a second, pauses counted" in str(why)


def test_a_picture_that_is_held_for_long_tells_nothing_at_all():
    held = pictures([1 / 30] * 300 + [8.0] + [1 / 30] * 300)
    kept, why = held.without_sparse(np.ones(840), 840, FPS, 5.0)
    assert why is None
    assert np.isnan(kept[301:540]).all()
    assert np.isfinite(kept[: round((10 - REACH_S) * FPS)]).all()
    assert np.isfinite(kept[-round((10 - REACH_S) * FPS) :]).all()


@pytest.mark.parametrize(
    ("copies", "seen", "step_s", "words"),
    [
        (0, 0, 0.3, SPARSE),
        (7, 7, 0.04, COPIES),
        (7, 3, 0.04, AWAY),  # where it was lost is noticed a little later
        (2, 0, 0.04, SPARSE),  # 3 / 25 s are no long step
    ],
)
def test_why_new_pictures_come_seldom_is_told(copies, seen, step_s, words):
    pauses = Pauses()
    for _ in range(20):
        for copy in range(copies):
            pauses.push(None, (copy + 1) * step_s, is_seen=copy < seen)
        pauses.push((copies + 1) * step_s, 0.0, is_seen=True)
    assert pauses.words == words


def test_a_last_picture_that_is_held_counts_too():
    pauses = Pauses()
    pauses.push(0.3, 0.0, is_seen=True)
    pauses.push(None, 0.2, is_seen=True)
    assert pauses.words == SPARSE
    pauses.push(None, 9.0, is_seen=True)
    assert pauses.words == COPIES


@pytest.mark.parametrize("held_s", [0.7, 2.0, 8.0])
def test_so_does_one_that_is_held_still(held_s):
    held = pictures([1 / 30] * 300)
    held.wait(10 + held_s, held_s)
    end = round((10 + held_s) * FPS)
    kept, _ = held.without_sparse(np.ones(end), end, FPS, 5.0)
    assert np.isnan(kept[301:]).all()
    assert held.fps_at(np.array([10 + held_s]))[0] < SPARSE_FPS
    held.push(10.03 + held_s, 0.03 + held_s)  # another comes
    assert np.isnan(held.without_sparse(np.ones(end), end, FPS, 5.0)[0][301:]).all()


def test_eight_a_second_that_jitter_are_enough():
    jitter = 0.015 * np.sin(np.arange(200.0) ** 2)
    found = pictures(1 / 8 + np.diff(jitter)).fps_at(np.arange(3.0, 20.0))
    assert found.min() > SPARSE_FPS


def test_no_more_is_remembered_than_was_asked_for():
    found = pictures([0.2] * 100 + [0.04] * 100, memory_s=4.0)
    assert (found.fps_at(np.array([5.0, 10.0])) == math.inf).all()
    assert found.fps_at(np.array([22.6])) == pytest.approx(25.0)
    found.clear()
    assert found.fps_at(np.array([22.6])) == math.inf
