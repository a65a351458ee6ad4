"""Pictures of clips to look at: crops over time, and the waves behind them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from kdphys.classical import pos, skin_mean
from kdphys.pulse import WAVE_BAND_HZ, bandpass

if TYPE_CHECKING:
    from train.synthetic import SyntheticClip

Picture = NDArray[np.uint8]

COLUMNS, CROP_PX = 10, 108
ROW_PX, WAVE_PX, SPECTRUM_PX = 90, 700, 300
INK, LABEL, GREEN, POS = (40, 40, 40), (200, 40, 40), (30, 140, 60), (40, 80, 200)
FASTEST_HZ = 4.0


def draw_crops(clips: Sequence["SyntheticClip"]) -> Picture:
    """Crops over the length of each clip, one row a clip. RGB, shape (H, W, 3)."""
    rows = []
    for clip in clips:
        chosen = clip.pixels[np.linspace(0, len(clip.pixels) - 1, COLUMNS).astype(int)]
        large = [
            cv2.resize(crop, (CROP_PX, CROP_PX), interpolation=cv2.INTER_NEAREST) for crop in chosen
        ]
        rows.append(np.hstack(large))
    return np.asarray(np.vstack(rows), np.uint8)


def draw_waves(clips: Sequence["SyntheticClip"], fps: float) -> Picture:
    """What is to be learned, and what plain colour shows of it, one row a clip.

    Left the label (red) and the mean green of the skin (green), right the spectra of the label and
    of POS (blue) from 0 to 4 Hz. RGB, shape (H, W, 3).
    """
    rows = []
    for clip in clips:
        row = np.full((ROW_PX, WAVE_PX + SPECTRUM_PX, 3), 255, np.uint8)
        colour = skin_mean(clip.pixels)
        green = -bandpass(colour[:, 1], fps, WAVE_BAND_HZ)
        for wave, ink in ((green, GREEN), (clip.wave.astype(np.float64), LABEL)):
            _draw_line(row, wave, (0, WAVE_PX), ink)
        for wave, ink in ((pos(colour, fps), POS), (clip.wave.astype(np.float64), LABEL)):
            _draw_line(row, _spectrum(wave, fps), (WAVE_PX + 10, WAVE_PX + SPECTRUM_PX), ink)
        truth = clip.truth
        rate = "no pulse" if truth.bpm is None else f"{truth.bpm:.0f} bpm"
        words = f"{truth.seed}: {rate}, difficulty {truth.difficulty:.1f}, {truth.codec or 'raw'}"
        cv2.putText(row, words, (6, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, INK, 1, cv2.LINE_AA)
        rows.append(row)
    return np.vstack(rows)


def _spectrum(wave: NDArray[np.float64], fps: float) -> NDArray[np.float64]:
    """Amplitude from 0 to 4 Hz. Shape (N,)."""
    points = 4096
    amplitude = np.abs(np.fft.rfft(wave * np.hanning(len(wave)), points))
    return amplitude[: int(FASTEST_HZ / fps * points)]


def _draw_line(
    row: Picture, values: NDArray[np.float64], span: tuple[int, int], ink: tuple[int, int, int]
) -> None:
    """Draw values between two columns of a row, scaled to its height."""
    low, high = np.percentile(values, (1, 99))
    scaled = (values - low) / max(high - low, 1e-12)
    x = np.linspace(*span, len(values))
    y = ROW_PX - 8 - np.clip(scaled, -0.05, 1.05) * (ROW_PX - 28)
    points = np.stack([x, y], 1).astype(np.int32)
    cv2.polylines(row, [points], isClosed=False, color=ink, thickness=1, lineType=cv2.LINE_AA)
