import numpy as np
import pytest

from train.optics import (
    BLOOD_FRACTION,
    COMMON_BLOOD,
    LAMP_KELVIN,
    MEASURED,
    TO_SCREEN,
    WHITE_KELVIN,
    skin_tone,
)

MELANIN = np.linspace(0, 1, 6)


def test_on_the_lightest_skin_in_white_light_the_pulse_has_the_measured_colour():
    np.testing.assert_allclose(skin_tone(0, COMMON_BLOOD, WHITE_KELVIN).pulse, MEASURED)


def test_a_white_sheet_stays_white_under_every_lamp():
    np.testing.assert_allclose(TO_SCREEN.sum(1), 1)  # and the bands are balanced for the lamp


@pytest.mark.parametrize("kelvin", LAMP_KELVIN)
@pytest.mark.parametrize("blood", BLOOD_FRACTION)
def test_more_melanin_darkens_every_colour_and_hides_a_part_of_the_pulse(blood, kelvin):
    tones = [skin_tone(melanin, blood, kelvin) for melanin in MELANIN]
    reflectance = np.stack([tone.reflectance for tone in tones])
    assert (np.diff(reflectance, axis=0) < 0).all()
    assert ((reflectance > 0) & (reflectance < 1)).all()
    # Skin is red rather than green, and green rather than blue, whoever's it is.
    assert (np.diff(reflectance, axis=1) < 0).all()
    assert tones[-1].pulse[1] < 0.9 * tones[0].pulse[1]
    for tone in tones:
        assert tone.pulse.argmax() == 1  # green shows the pulse best
        assert (tone.pulse > 0).all()


def test_more_blood_reddens():
    pale, flushed = (skin_tone(0.2, blood, WHITE_KELVIN).reflectance for blood in BLOOD_FRACTION)
    assert flushed[0] / flushed[1] > 1.1 * pale[0] / pale[1]
