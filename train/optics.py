"""Colour of skin, and how a pulse changes it, from what melanin and blood absorb.

Light passes the epidermis twice, where melanin absorbs it, and is scattered back by the dermis,
where blood absorbs it; some is reflected by the surface and has seen neither. A camera with three
broad bands, a white balance and a colour matrix turns that into red, green and blue. The pulse
adds arterial blood to the dermis; the surface's reflection, which does not pulse, is a larger part
of dark skin.

Absorption of melanin, scattering and reflectance of the dermis after Jacques (2013,
doi 10.1088/0031-9155/58/11/R37); extinction of haemoglobin as compiled by Prahl (1998,
omlc.org/spectra/hemoglobin). A half space of even blood overstates blue, whose light does not reach
the deeper vessels that pulse; so the pulse's colour on light skin in white light is the one that
de Haan & van Leest (2014, doi 10.1088/0967-3334/35/9/1913) measured, and the optics say how it
differs on other skin and under other lamps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Spectrum = NDArray[np.float64]

NANOMETRES = np.arange(400.0, 701.0, 10.0)
OXYGENATED = np.array([
    266232, 466840, 480360, 246072, 102580, 62816, 44480, 33209, 26629, 23684, 20933, 20035, 24202,
    39957, 53236, 43016, 32613, 44496, 50104, 14401, 3200, 1506, 942, 610, 442, 368, 320, 294, 278,
    276, 290,
])  # fmt: skip
DEOXYGENATED = np.array([
    223296, 303956, 407560, 528600, 413280, 103292, 23389, 16156, 14550, 16684, 20862, 25774, 31590,
    39036, 46592, 53412, 53788, 45072, 37020, 28324, 14677, 9444, 6510, 5149, 4345, 3750, 3227,
    2795, 2408, 2052, 1794,
])  # fmt: skip  # both in 1/cm per mol/l
WHOLE_BLOOD = np.log(10) * 150 / 64_500  # mol/l of haemoglobin, and from decadic to natural units
ARTERIAL, MIXED = 0.98, 0.75  # saturation of what pulses, and of all blood in skin
BASE_PER_CM = 0.25  # absorption of skin without blood and melanin
SCATTER_PER_CM = 46.0 * (NANOMETRES / 500) ** -1.42
MELANIN_PER_CM = 6.6e11 * NANOMETRES**-3.33
EPIDERMIS_CM = 0.006
OBLIQUE = 1.6  # how much longer the way through the epidermis is than its thickness
BACK_SCATTER = 7.8  # Jacques' constant for skin against air
SURFACE = 0.012  # reflected diffusely by the surface
BLOOD_FRACTION = (0.004, 0.012)  # of the dermis
MELANIN_FRACTION = (0.01, 0.25)  # of the epidermis, from the lightest to the darkest skin
BANDS = ((600.0, 35.0), (540.0, 38.0), (455.0, 28.0))  # centre and width of red, green and blue
TO_SCREEN = np.array([[1.35, -0.25, -0.1], [-0.12, 1.24, -0.12], [0.0, -0.15, 1.15]])  # white stays
LAMP_KELVIN = (2_700.0, 6_500.0)
MEASURED = np.array([0.33, 0.77, 0.53]) / 0.77  # the pulse's colour on light skin in white light
WHITE_KELVIN, COMMON_BLOOD = 5_500.0, 0.007


@dataclass(frozen=True)
class Tone:
    """Skin of one person in one light, as a camera sees it after its white balance."""

    reflectance: Spectrum
    """Linear R, G, B; 1 is a white sheet. Shape (3,)."""
    pulse: Spectrum
    """Relative darkening of R, G, B by a pulse that darkens the lightest skin's green by one in
    white light. Shape (3,)."""
    flush: Spectrum
    """How fast R, G, B fall with more blood, green at one. Shape (3,)."""


def skin_tone(melanin: float, blood: float, kelvin: float) -> Tone:
    """Colour of skin, and of its pulse.

    Args:
        melanin: 0 for the lightest skin, 1 for the darkest.
        blood: Blood's share of the dermis, about 0.004 to 0.012.
        kelvin: Colour temperature of the lamp.

    Returns:
        The tone.
    """
    rgb, change = _seen(melanin, blood, kelvin)
    _, usual = _seen(0.0, COMMON_BLOOD, WHITE_KELVIN)
    _, thin = _seen(0.0, blood, kelvin)
    pulse = MEASURED * change / thin * (thin / thin[1]) / (usual / usual[1])
    return Tone(rgb, pulse, pulse / pulse[1])


def draw_tone(rng: np.random.Generator) -> tuple[Tone, float]:
    """Draw a person's skin and a lamp; every place on the melanin axis is equally likely.

    Returns:
        The tone, and where it lies on the melanin axis, in [0, 1].
    """
    melanin = float(rng.uniform())
    return skin_tone(melanin, float(rng.uniform(*BLOOD_FRACTION)), draw_lamp(rng)), melanin


def draw_lamp(rng: np.random.Generator) -> float:
    """Draw a colour temperature in kelvin."""
    return float(rng.uniform(*LAMP_KELVIN))


def _seen(melanin: float, blood: float, kelvin: float) -> tuple[Spectrum, Spectrum]:
    """Colour, and its relative fall with a little more arterial blood. Two of shape (3,)."""
    least, most = np.log(MELANIN_FRACTION)
    fraction = np.exp(least + melanin * (most - least))
    through = np.exp(-2 * OBLIQUE * EPIDERMIS_CM * fraction * MELANIN_PER_CM)
    absorbed = BASE_PER_CM + blood * _blood_per_cm(MIXED)
    still = _dermis(absorbed)
    fuller = _dermis(absorbed + 1e-5 * _blood_per_cm(ARTERIAL))
    bands = TO_SCREEN @ _bands(kelvin)
    rgb = np.maximum(bands @ (SURFACE + through * still), SURFACE)
    return rgb, bands @ (through * (still - fuller)) / rgb


def _blood_per_cm(saturation: float) -> Spectrum:
    return WHOLE_BLOOD * (saturation * OXYGENATED + (1 - saturation) * DEOXYGENATED)


def _dermis(absorbed_per_cm: Spectrum) -> Spectrum:
    """Diffuse reflectance of a half space."""
    return np.exp(-BACK_SCATTER / np.sqrt(3 * (1 + SCATTER_PER_CM / absorbed_per_cm)))


def _bands(kelvin: float) -> Spectrum:
    """What each band of a white-balanced camera makes of a spectrum. Shape (3, N)."""
    metres = NANOMETRES * 1e-9
    lamp = metres**-5 / np.expm1(0.014388 / (metres * kelvin))
    seen = np.stack([np.exp(-0.5 * ((NANOMETRES - at) / width) ** 2) for at, width in BANDS]) * lamp
    return seen / seen.sum(1, keepdims=True)
