"""A rhythm of the light is told from one of the blood by its colour."""

from collections.abc import Sequence

import numpy as np
import pytest

from kdphys.flicker import WANDERING_LIGHT, flickers, follows_light, is_light
from kdphys.pipeline import measure
from kdphys.pulse import WAVE_BAND_HZ, bandpass
from kdphys.stream import LiveMeter
from kdphys.vitals import LEAST_QUALITY, STEADY, measure_vitals
from tests._films import Recording, write_npz
from tests._waves import pulse_wave
from train.optics import BLOOD_FRACTION, LAMP_KELVIN, skin_tone

FPS = 30.0
SKIN = np.array([150.0, 110.0, 90.0])
BLOOD = np.array([0.43, 1.0, 0.69])  # of R, G, B, relative to green


def face(
    rng: np.random.Generator,
    *,
    light: float,
    blood: float,
    bpm: float = 97.0,
    seconds: float = 20,
    tint: Sequence[float] | np.ndarray = (1.0, 1.0, 1.0),
) -> np.ndarray:
    """Mean colours under flickering light, with a pulse of the same rate. Shape (T, 3)."""
    turns = 2 * np.pi * bpm / 60 * np.arange(int(seconds * FPS)) / FPS
    change = (
        light * np.sin(turns)[:, None] * np.array(tint) + blood * np.sin(turns + 1)[:, None] * BLOOD
    )
    return SKIN * (1 + change + 2e-4 * rng.standard_normal((len(turns), 3)))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("light", [0.005, 0.06])
def test_light_that_swings_is_light(rng, light):
    assert is_light(face(rng, light=light, blood=0.0), FPS, 97)
    assert is_light(face(rng, light=light, blood=0.0, seconds=7), FPS, 97)


@pytest.mark.parametrize("tint", [(1.5, 1, 0.4), (1, 1, 0.5), (0.5, 1, 1.8), (2, 0, 0), (0, 0, 2)])
def test_light_of_a_colour_of_its_own_is_told_from_blood(rng, tint):
    """One of two lamps is a warm bulb, or a screen."""
    assert is_light(face(rng, light=0.007, blood=0.0, tint=tint), FPS, 97)
    assert flickers(face(rng, light=0.014, blood=0.0, tint=tint), FPS) == all(tint)
    assert not is_light(face(rng, light=0.001, blood=0.006, tint=tint), FPS, 97)


@pytest.mark.parametrize("melanin", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("kelvin", LAMP_KELVIN)
@pytest.mark.parametrize("share", BLOOD_FRACTION)
def test_blood_of_no_skin_is_taken_for_light(rng, melanin, kelvin, share):
    flush = skin_tone(melanin, share, kelvin).flush
    assert not is_light(face(rng, light=0.01, blood=0.0, tint=flush), FPS, 97)


def test_a_head_that_shakes_for_a_moment_does_not_make_a_pulse_light(rng):
    colours = face(rng, light=0.0, blood=0.006, seconds=40)
    shaken = slice(300, 420)  # 4 s, about as fast as the pulse
    shake = 0.05 * np.sin(2 * np.pi * 1.5 * np.arange(120) / FPS)
    colours[shaken] *= 1 + shake[:, None]
    assert not is_light(colours, FPS, 97)
    colours *= 1 + 0.02 * np.sin(2 * np.pi * 97 / 60 * np.arange(1200) / FPS)[:, None]
    assert is_light(colours, FPS, 97)


def test_glare_that_swings_over_the_picture_is_light(rng):
    turns = 2 * np.pi * 97 / 60 * np.arange(600) / FPS
    glare = 3 * np.sin(turns)[:, None] + 0.05 * rng.standard_normal((600, 3))
    assert is_light(SKIN + glare, FPS, 97)


@pytest.mark.parametrize("hz", [0.5, 1.7, 10.0])
def test_a_rhythm_of_the_light_is_noticed_at_any_rate(rng, hz):
    assert flickers(face(rng, light=0.01, blood=0.004, bpm=60 * hz), FPS)
    assert not flickers(face(rng, light=0.0, blood=0.01, bpm=60 * hz), FPS)
    assert not flickers(face(rng, light=0.002, blood=0.0, bpm=60 * hz), FPS)


def test_light_that_drifts_does_not_flicker(rng):
    walk = np.cumsum(rng.standard_normal(600)) * 0.001
    assert not flickers(SKIN * (1 + walk[:, None]), FPS)
    assert not flickers(np.full((600, 3), np.nan), FPS)
    assert not flickers(np.empty((0, 3)), FPS)


def test_a_pulse_is_not_grey(rng):
    assert not is_light(face(rng, light=0.0, blood=0.008), FPS, 97)
    assert not is_light(face(rng, light=0.003, blood=0.003), FPS, 97)


def test_light_at_another_rate_does_not_matter(rng):
    assert not is_light(face(rng, light=0.03, blood=0.0, bpm=150), FPS, 97)


def test_faint_light_is_left_to_the_network(rng):
    assert not is_light(face(rng, light=0.001, blood=0.0), FPS, 97)


def test_movement_without_a_rhythm_is_not_grey(rng):
    walk = np.cumsum(rng.standard_normal(600)) * 0.002
    assert not is_light(SKIN * (1 + walk[:, None]), FPS, 97)


def test_gaps_are_left_out_and_nothing_is_said_of_nothing(rng):
    colours = face(rng, light=0.02, blood=0.0, seconds=30)
    colours[:200] = np.nan
    assert is_light(colours, FPS, 97)
    assert not is_light(np.full((600, 3), np.nan), FPS, 97)
    assert not is_light(np.zeros((600, 3)), FPS, 97)
    assert not is_light(np.empty((0, 3)), FPS, 97)


@pytest.mark.parametrize("seconds", [5.4, 7.0, 9.5, 10.5])
def test_light_is_told_as_soon_as_a_rate_could_be(rng, seconds):
    before = np.full((round((12 - seconds) * FPS), 3), np.nan)  # a camera that has just started
    swinging = np.concatenate([before, face(rng, light=0.02, blood=0.0, seconds=seconds)])
    assert is_light(swinging, FPS, 97)
    assert flickers(swinging, FPS)
    pulsing = np.concatenate([before, face(rng, light=0.0, blood=0.008, seconds=seconds)])
    assert not is_light(pulsing, FPS, 97)
    assert not flickers(pulsing, FPS)


def test_light_is_told_though_the_face_is_lost_often(rng):
    colours = face(rng, light=0.02, blood=0.0, seconds=60)
    for gap in range(1, 6):
        colours[gap * 315 - 30 : gap * 315] = np.nan
    wave = colours[:, 1] - SKIN[1]
    found = measure_vitals(wave, FPS, colours=colours).heart_rate
    assert found.value is None
    assert "light" in str(found.reason)
    assert measure_vitals(wave, FPS).heart_rate.value == pytest.approx(97, abs=1)


@pytest.mark.parametrize(("light", "blood", "is_given"), [(0.02, 0.0, False), (0.0, 0.008, True)])
def test_a_clear_wave_is_believed_unless_its_rhythm_is_that_of_the_light(
    rng, light, blood, is_given
):
    wave = np.sin(2 * np.pi * 97 / 60 * np.arange(round(20 * FPS)) / FPS)
    wave += 0.02 * rng.standard_normal(len(wave))
    found = measure_vitals(wave, FPS, colours=face(rng, light=light, blood=blood)).heart_rate
    assert (found.value is not None) == is_given
    assert ("colours of light" in (found.reason or "")) != is_given


def under_lamp(photo: np.ndarray, hz: float, seconds: float = 12.0) -> list[np.ndarray]:
    """Pictures at 30 Hz of a photo under a lamp that swings by 4 %."""
    noise = np.random.default_rng(1)
    return [
        np.clip(
            photo * (1 + 0.04 * np.sin(2 * np.pi * hz * at)) + noise.normal(0, 1, photo.shape),
            0,
            255,
        ).astype(np.uint8)
        for at in np.arange(seconds * FPS) / FPS
    ]


def test_a_lamp_that_swings_over_a_photo_gives_no_reading(recording: Recording, tmp_path):
    lit = under_lamp(recording.pictures[0], 1.5)
    found = measure(write_npz(tmp_path / "lamp.npz", lit, np.arange(len(lit)) / FPS), "green")
    assert found.vitals.heart_rate.value is None
    assert "colours of light" in (found.vitals.heart_rate.reason or "")


def test_light_at_twice_the_rate_that_is_read_is_the_light_too():
    wave = pulse_wave(62, FPS, 30.0)[0]
    time_s = np.arange(len(wave)) / FPS
    for rate, is_pulse in ((124, False), (93, True)):
        light = 1 + 0.02 * np.sin(2 * np.pi * rate / 60 * time_s)
        found = measure_vitals(wave, FPS, colours=light[:, None] * SKIN)
        assert (found.heart_rate.value is not None) == is_pulse


def test_a_camera_in_flickering_light_is_told_so(recording: Recording):
    meter = LiveMeter()
    hints = []
    for index, picture in enumerate(under_lamp(recording.pictures[0], 7.3)):
        if meter.push(picture, index / FPS):
            hints.append(meter.hint)
    assert hints[-1] == "flicker"
    assert hints[0] is None  # not from the first second


def wandering(
    rng: np.random.Generator, *, light: float, blood: float
) -> tuple[np.ndarray, np.ndarray]:
    """What a network makes of a pulse in light that wanders, and mean colours."""
    walk = light * np.cumsum(rng.standard_normal(600))
    pulse = blood * np.sin(2 * np.pi * 97 / 60 * np.arange(600) / FPS)
    grain = 5e-5 * rng.standard_normal((600, 3))
    colours = SKIN * (1 + walk[:, None] + pulse[:, None] * BLOOD + grain)
    return -bandpass(colours[:, 1] / SKIN[1] - 1, FPS, WAVE_BAND_HZ), colours


def test_a_wave_that_goes_with_all_colours_alike_follows_the_light(rng):
    for _ in range(10):
        wave, colours = wandering(rng, light=0.001, blood=0.0)
        assert follows_light(wave, colours, FPS, 97)
        wave[200:260] = colours[200:260] = np.nan
        assert follows_light(wave, colours, FPS, 97)


def test_a_wave_of_blood_does_not_follow_the_light_that_wanders_beside_it(rng):
    for _ in range(10):
        wave, colours = wandering(rng, light=0.0005, blood=0.004)
        assert not follows_light(wave, colours, FPS, 97)


def test_a_wave_of_its_own_follows_no_light(rng):
    for _ in range(10):
        _, colours = wandering(rng, light=0.001, blood=0.0)
        other = bandpass(rng.standard_normal(600), FPS, WAVE_BAND_HZ)
        assert not follows_light(other, colours, FPS, 97)


def test_where_nothing_can_be_told_no_wave_follows_the_light(rng):
    wave, colours = wandering(rng, light=0.001, blood=0.0)
    nothing = np.full((600, 3), np.nan)
    for missing in (nothing, np.zeros((600, 3)), np.empty((0, 3)), colours[:100]):
        assert not follows_light(wave, missing, FPS, 97)
    assert not follows_light(np.full(600, np.nan), colours, FPS, 97)


def test_what_wandering_light_makes_of_a_photo_is_no_reading():
    reasons = []
    for seed in range(40):
        _, colours = wandering(np.random.default_rng(seed), light=0.001, blood=0.0)
        # A network keeps a narrow band of it, peaky by chance.
        wave = bandpass(colours[:, 1], FPS, (1.05, 1.25))
        if LEAST_QUALITY <= measure_vitals(wave, FPS).heart_rate.quality < STEADY:
            reasons.append(measure_vitals(wave, FPS, colours=colours).heart_rate.reason)
    assert len(reasons) >= 8
    assert reasons.count(WANDERING_LIGHT) >= 0.8 * len(reasons)
