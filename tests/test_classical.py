import numpy as np
import pytest

from kdphys.classical import chrom, green, pos, skin_mean

METHODS = (pos, chrom, green)
SKIN = np.array([150.0, 100.0, 80.0])
BLOOD = np.array([0.33, 0.77, 0.53])  # how much each channel darkens, de Haan & van Leest (2014)


def skin_colour(seconds=20.0, fps=30.0, bpm=72.0, light=0.0, noise=0.0):
    """Skin that darkens by 0.4 % with each beat, under light that swings slowly."""
    time_s = np.arange(int(seconds * fps)) / fps
    blood = np.sin(2 * np.pi * bpm / 60 * time_s)
    colour = SKIN * (1 - 0.004 * blood[:, None] * BLOOD)
    colour *= 1 + light * np.sin(2 * np.pi * 0.9 * time_s)[:, None]
    return colour + noise * np.random.default_rng(0).standard_normal(colour.shape), blood


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fps", [12.5, 25.0, 29.97, 60.0])
def test_the_wave_rises_with_blood_volume(method, fps):
    colour, blood = skin_colour(fps=fps)
    inner = slice(int(2 * fps), -int(2 * fps))
    # A clean sine comes through as a sine; filters bend its phase by well below 25 degrees.
    assert np.corrcoef(method(colour, fps)[inner], blood[inner])[0, 1] > 0.9


@pytest.mark.parametrize("method", [pos, chrom])
def test_light_that_swings_near_the_heart_rate_is_cancelled(method):
    colour, blood = skin_colour(light=0.03)  # ten times the pulse
    assert np.corrcoef(method(colour, 30.0)[60:-60], blood[60:-60])[0, 1] > 0.8
    assert np.corrcoef(green(colour, 30.0)[60:-60], blood[60:-60])[0, 1] < 0.5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.0, 77.0])
def test_constant_colour_gives_zeros(method, level):
    wave = method(np.full((60, 3), level), 30.0)
    np.testing.assert_allclose(wave, 0, rtol=0, atol=1e-9)  # rounding of filters


@pytest.mark.parametrize("method", METHODS)
def test_the_scale_of_the_colours_does_not_matter(method):
    colour, _ = skin_colour(noise=0.2)
    # Only floating-point rounding differs.
    np.testing.assert_allclose(method(colour / 255, 30.0), method(colour, 30.0), atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fps", [5.0, 30.0])
def test_two_seconds_are_enough_for_a_wave(method, fps):
    colour, _ = skin_colour(seconds=2.0, fps=fps, noise=0.2)
    wave = method(colour, fps)
    assert wave.shape == (len(colour),)
    assert np.isfinite(wave).all()


def test_colours_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(T, 3\)"):
        pos(np.ones((60, 4)), 30.0)
    with pytest.raises(ValueError, match="frames"):
        chrom(np.ones((5, 3)), 30.0)


def test_skin_mean_of_an_even_crop_is_its_colour():
    pixels = np.broadcast_to(np.array([10, 200, 77], np.uint8), (4, 36, 36, 3))
    # Summing a thousand 32-bit weights rounds in the fifth digit.
    np.testing.assert_allclose(skin_mean(pixels), np.tile([10, 200, 77], (4, 1)), rtol=1e-4)


def test_skin_mean_leaves_out_the_corners():
    pixels = np.full((1, 36, 36, 3), 100, np.uint8)
    pixels[:, :4, :4], pixels[:, -4:, -4:] = 255, 0
    np.testing.assert_allclose(skin_mean(pixels), 100, rtol=1e-4)
