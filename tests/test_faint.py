"""Where a network sees next to nothing of the pulse that it sees elsewhere."""

import numpy as np
import pytest

from kdphys.faint import FAINT, SPAN_S, without_faint
from kdphys.pipeline import compare
from tests._films import Recording, write_npz
from tests._waves import pulse_wave

FPS = 30.0
EDGE = round(SPAN_S / 2 * FPS)


def faded(share: float, first_s: float = 15.0, then_s: float = 20.0) -> np.ndarray:
    """A pulse that fades to a share of its strength. Shape (T,)."""
    wave, _ = pulse_wave(72, FPS, first_s + then_s)
    wave[round(first_s * FPS) :] *= share
    return wave


def test_what_is_left_of_a_wave_by_a_still_is_left_out():
    wave = faded(0.5 * FAINT)
    kept = without_faint(wave, FPS, 6.0)
    assert np.isnan(kept[450 + EDGE :]).all()
    np.testing.assert_array_equal(kept[:450], wave[:450])


def test_a_pulse_that_fades_to_a_third_is_kept():
    wave = faded(1 / 3)
    np.testing.assert_array_equal(without_faint(wave, FPS, 6.0), wave)


def test_gaps_are_no_silence_and_stay_gaps():
    wave = faded(1.0)
    wave[300:500] = np.nan
    np.testing.assert_array_equal(without_faint(wave, FPS, 6.0), wave)
    np.testing.assert_array_equal(
        without_faint(np.full(600, np.nan), FPS, 6.0), np.full(600, np.nan)
    )


def test_a_wave_of_which_nothing_would_be_left_is_kept():
    wave = faded(0.5 * FAINT, first_s=2.0)
    np.testing.assert_array_equal(without_faint(wave, FPS, 6.0), wave)


@pytest.mark.parametrize("noise", [0.5, 3.0])
def test_a_still_that_follows_a_face_is_not_read_with_it(recording: Recording, tmp_path, noise):
    rng = np.random.default_rng(3)
    last = recording.pictures[249].astype(float)
    stills = [last + noise * rng.standard_normal(last.shape) for _ in range(750)]
    pictures = [
        *recording.pictures[:250],
        *(still.clip(0, 255).astype(np.uint8) for still in stills),
    ]
    path = write_npz(tmp_path / "still.npz", pictures, np.arange(len(pictures)) / 25)
    found, beside = compare(path, ("student", "pos")).values()
    assert found.vitals.heart_rate.value == pytest.approx(recording.bpm, abs=3)
    assert np.isnan(found.wave[-600:]).all()
    assert any("next to nothing was seen of the pulse" in note for note in found.notes)
    assert not any("next to nothing was seen of the pulse" in note for note in beside.notes)
