"""Crops follow the box to fractions of a pixel, and the grid follows the stamps."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kdphys.clip import Clip, EvenGrid
from kdphys.crop import FaceBox, crop_face

SIZE = 36


def waves_around(x: float, y: float, shape: tuple[int, int] = (240, 320)) -> NDArray[np.uint8]:
    """Draw a smooth pattern that is centred at (x, y), as a camera integrates it over pixels."""
    down, across = np.mgrid[: shape[0], : shape[1]] + 0.5
    red = 120 + 60 * np.sin((across - x) / 9) * np.cos((down - y) / 13)
    green = 120 + 60 * np.cos((across - x) / 17 + (down - y) / 11)
    blue = 120 + 80 * np.exp(-(((across - x) / 30) ** 2) - ((down - y) / 20) ** 2)
    return np.rint(np.stack([red, green, blue], -1)).astype(np.uint8)


def box_around(x: float, y: float, side: float) -> FaceBox:
    return FaceBox(x - side / 2, y - side / 2, x + side / 2, y + side / 2, 1.0)


@given(x=st.floats(140, 170), y=st.floats(110, 130), side=st.floats(50, 200))
@settings(max_examples=25)
def test_a_pattern_and_a_box_that_move_together_give_the_same_crop(x, y, side):
    moved = crop_face(waves_around(x, y), box_around(x, y, side), SIZE).astype(float)
    still = crop_face(waves_around(160, 120), box_around(160, 120, side), SIZE).astype(float)
    # Each crop is rounded once (0.5 each), and straight lines cut the curve between two pixels.
    assert np.abs(moved - still).max() <= 2
    assert np.abs(moved.mean((0, 1)) - still.mean((0, 1))).max() < 0.1  # a pulse is 0.5


@pytest.mark.parametrize("side", [8.0, 20.5, 100.0, 431.7, 1003.3])
def test_a_crop_has_the_mean_light_of_its_box(side):
    rng = np.random.default_rng(0)
    rgb = cv2.GaussianBlur(rng.integers(0, 255, (1100, 1100, 3), np.uint8), (0, 0), 5)
    box = FaceBox(40, 50, 40 + side, 50 + side, 1.0)
    x1, y1 = int(40 + side), int(50 + side)
    crop = crop_face(np.asarray(rgb, np.uint8), box, SIZE)
    # The box holds a fraction of a pixel more than the slice; rounding averages out.
    assert np.abs(crop.mean((0, 1)) - rgb[50:y1, 40:x1].mean((0, 1))).max() < 0.3


def test_an_integer_box_is_averaged_exactly():
    rgb = np.random.default_rng(1).integers(0, 255, (144, 144, 3), np.uint8)
    crop = crop_face(rgb, FaceBox(0, 0, 144, 144, 1.0), SIZE)
    means = rgb.reshape(SIZE, 4, SIZE, 4, 3).mean((1, 3))
    assert np.array_equal(crop, np.rint(means))


def test_a_fraction_of_a_grey_level_survives_in_the_mean():
    rng = np.random.default_rng(2)
    skin = rng.normal(120, 2, (200, 200, 3))  # as noisy as a camera
    crops = [
        crop_face(np.rint(skin + light).astype(np.uint8), FaceBox(3.3, 4.4, 190.1, 191.2, 1), SIZE)
        for light in (0.0, 0.1)
    ]
    assert crops[1].mean() - crops[0].mean() == pytest.approx(0.1, abs=0.02)  # 3,888 roundings


def test_beyond_the_frame_its_edge_goes_on():
    rgb = np.full((60, 80, 3), 50, np.uint8)
    rgb[:, -1] = 200
    crop = crop_face(rgb, FaceBox(79, -20, 139, 40, 1.0), 12)
    assert np.array_equal(crop, np.full((12, 12, 3), 200))
    assert (
        crop_face(rgb, FaceBox(-500, -500, -400, -400, 1.0), 12).tolist()
        == np.full((12, 12, 3), 50).tolist()
    )


def test_a_box_without_extent_is_refused():
    with pytest.raises(ValueError, match="extent"):
        crop_face(np.zeros((8, 8, 3), np.uint8), FaceBox(4, 4, 4, 8, 1.0), SIZE)


# The time grid ---------------------------------------------------------------------------------


def pulsing_crops(times_s: NDArray[np.float64], hz: float, depth: float) -> NDArray[np.uint8]:
    """Draw noisy crops whose light swings by a share `depth`. Shape (T, 24, 24, 3)."""
    rng = np.random.default_rng(3)
    skin = rng.uniform(80, 160, (24, 24, 3))
    light = 1 + depth * np.sin(2 * np.pi * hz * times_s)
    noise = rng.normal(0, 1.5, (len(times_s), 24, 24, 3))
    return np.rint(skin * light[:, None, None, None] + noise).astype(np.uint8)


def resampled(grid: EvenGrid, crops: NDArray[np.uint8], times_s: NDArray[np.float64]) -> NDArray:
    return np.concatenate([grid.push(c, t) for c, t in zip(crops, times_s, strict=True)])


def jittered_times(fps: float, seconds: float, jitter: float) -> NDArray[np.float64]:
    count = int(seconds * fps)
    shift = np.random.default_rng(4).uniform(-jitter / 2, jitter / 2, count)
    shift[0] = 0
    return (np.arange(count) + shift) / fps


@given(
    source_fps=st.sampled_from((15.0, 24.0, 25.0, 29.97, 30.0, 60.0)),
    grid_fps=st.sampled_from((25.0, 30.0)),
    hz=st.floats(0.7, 3.0),
    jitter=st.floats(0, 0.8),
)
@settings(max_examples=25)
def test_a_pulse_of_half_a_percent_keeps_its_rate_phase_and_size(source_fps, grid_fps, hz, jitter):
    times_s = jittered_times(source_fps, 8, jitter)
    pixels = resampled(EvenGrid(grid_fps), pulsing_crops(times_s, hz, 0.005), times_s)
    wave = pixels.mean((1, 2, 3))
    wave = wave / wave.mean() - 1
    grid_s = np.arange(len(wave)) / grid_fps
    at_rate = 2 * np.mean(wave * np.exp(-2j * np.pi * hz * grid_s) * np.hanning(len(wave)) * 2)
    # Straight lines between samples and the mean over a step take the ends of fast waves.
    kept = np.sinc(hz / grid_fps) * np.sinc(hz / source_fps) ** 2
    assert abs(at_rate) == pytest.approx(0.005 * kept, rel=0.06)
    phase = -np.pi / 2 - np.angle(at_rate)
    assert abs(phase) < 0.04  # radians; camera noise alone makes 0.01


def test_a_faster_source_is_averaged_and_not_picked_from():
    times_s = np.arange(600) / 120
    noise = np.random.default_rng(5).normal(120, 8, (600, 24, 24, 3))
    pixels = resampled(EvenGrid(30.0), np.rint(noise).astype(np.uint8), times_s)
    # A step holds 3 frames and half of 2 more: sqrt(3 + 2 / 4) / 4 = 0.468 of the noise is left.
    assert pixels[1:].std() == pytest.approx(8 * 0.468, rel=0.02)  # the first step is not whole


def test_rounding_to_whole_grey_levels_costs_no_pulse():
    times_s = jittered_times(27.3, 20, 0.5)
    crops = pulsing_crops(times_s, 1.2, 0.0)
    before = crops.mean((1, 2, 3)).std()
    after = resampled(EvenGrid(30.0), crops, times_s).mean((1, 2, 3)).std()
    assert after < before  # a second rounding adds less than the mean over a step takes away


def test_a_still_picture_stays_exactly_still():
    crop = np.random.default_rng(6).integers(0, 255, (24, 24, 3), np.uint8)
    times_s = jittered_times(23.7, 10, 0.9)
    pixels = resampled(EvenGrid(30.0), np.repeat(crop[None], len(times_s), 0), times_s)
    assert (pixels == crop).all()


@given(st.lists(st.floats(0.001, 0.49), min_size=2, max_size=40))
def test_the_grid_is_even_and_as_long_as_the_stamps_whatever_their_steps(steps_s):
    times_s = np.cumsum([7.0, *steps_s])
    grid = EvenGrid(30.0)
    ramp = np.rint((times_s - 7) * 10).astype(np.uint8)  # light that tells the time
    crops = np.broadcast_to(ramp[:, None, None, None], (len(ramp), 2, 2, 3))
    pixels = resampled(grid, crops, times_s)
    assert len(pixels) == pytest.approx((times_s[-1] - 7) * 30, abs=0.51)  # half a step ahead
    assert grid.start_s == 7.0
    told = pixels[:, 0, 0, 0] / 10
    # Two roundings to a tenth of a second, and half a step at the ends.
    assert np.abs(told - np.arange(len(pixels)) / 30).max(initial=0) < 0.12


def test_a_gap_opens_a_new_segment_on_the_same_grid():
    grid = EvenGrid(30.0)
    crop = np.full((2, 2, 3), 100, np.uint8)
    splits, steps = [], []
    for time_s in (10.0, 10.1, 10.2, 11.0, 11.1):
        grid.push(crop, time_s)
        splits.append(grid.split)
        steps.append(grid.first_step)
    assert splits == [True, False, False, True, False]
    assert steps == [0, 0, 0, 30, 30]
    assert grid.start_s == pytest.approx(11.0)


def test_restart_opens_a_new_segment_that_knows_nothing_of_the_old():
    grid = EvenGrid(30.0)
    resampled(grid, np.zeros((3, 2, 2, 3), np.uint8), np.arange(3) / 30)
    grid.restart()
    pixels = resampled(grid, np.full((4, 2, 2, 3), 200, np.uint8), 0.1 + np.arange(4) / 30)
    assert grid.first_step == 3
    assert (pixels == 200).all()


def test_times_that_do_not_increase_are_refused_also_after_a_restart():
    grid = EvenGrid(30.0)
    crop = np.zeros((2, 2, 3), np.uint8)
    grid.push(crop, 1.0)
    grid.restart()
    for time_s in (1.0, 0.5, float("nan")):
        with pytest.raises(ValueError, match="later"):
            grid.push(crop, time_s)


def test_pictures_that_are_no_clip_are_refused():
    with pytest.raises(ValueError, match=r"\(T, S, S, 3\)"):
        Clip(np.zeros((2, 4, 5, 3), np.uint8), 30.0)
    with pytest.raises(ValueError, match="fps"):
        Clip(np.zeros((2, 4, 4, 3), np.uint8), 0.0)
