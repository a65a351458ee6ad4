"""Random numbers of a film, a stream for each of its parts, and noise that is smooth in time."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Track = NDArray[np.float64]


@dataclass(frozen=True)
class Streams:
    """Random numbers of a film, for each of its parts its own.

    What one part draws, or whether it is switched off, changes nothing in the others.
    """

    seed: int

    def of(self, part: str) -> np.random.Generator:
        """The stream of a part, from its beginning."""
        return np.random.default_rng((self.seed, zlib.crc32(part.encode())))


def smooth_noise(rng: np.random.Generator, samples: int, step_s: float, cutoff_hz: float) -> Track:
    """Gaussian noise with a soft low-pass, unit standard deviation. Shape (samples,)."""
    padded = samples + int(2 / (cutoff_hz * step_s))
    spectrum = np.fft.rfft(rng.standard_normal(padded))
    hz = np.fft.rfftfreq(padded, step_s)
    shaped = np.fft.irfft(spectrum / (1 + (hz / cutoff_hz) ** 4), padded)
    return shaped[:samples] / shaped.std()
