"""A box in a frame, and what is inside it averaged down to a small square."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

ENOUGH_SAMPLES = 4  # source pixels along a crop pixel: finer ones are first averaged to this
FEWEST_SAMPLES = 2.5  # coarser ones are first joined by straight lines, up to
MAX_ENLARGE = 8  # times


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A face in a frame; pixel edges count from 0 at the left and top, and may lie outside it."""

    x0: float
    y0: float
    x1: float
    y1: float
    score: float
    """Confidence of the detector in [0, 1]; 0 where the box is only carried over a short loss."""

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y1 - self.y0

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box, (x, y) in pixels."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2


def crop_face(rgb: NDArray[np.uint8], box: FaceBox, size: int) -> NDArray[np.uint8]:
    """Average a box of a frame down to a small square, exactly in place to fractions of a pixel.

    Each crop pixel is the mean light over its part of the box, fractions of source pixels included,
    so a face and a box that move together give the same crop. Beyond the frame its edge goes on.

    Args:
        rgb: The frame, 0..255. Shape (H, W, 3).
        box: What to cut out; it need not be square nor inside the frame.
        size: Side of the crop in pixels, S.

    Returns:
        The crop, RGB in 0..255. Shape (S, S, 3).

    Raises:
        ValueError: The box or the crop has no extent.
    """
    if not (box.width > 0 and box.height > 0 and size > 0):
        raise ValueError(f"{box} and size={size} must have an extent above 0")
    shrink = max(1, int(min(box.width, box.height) / (ENOUGH_SAMPLES * size)))
    enlarge = min(MAX_ENLARGE, math.ceil(FEWEST_SAMPLES * size / min(box.width, box.height)))
    left, right = math.floor(box.x0 / shrink) - 1, math.ceil(box.x1 / shrink) + 1
    top, bottom = math.floor(box.y0 / shrink) - 1, math.ceil(box.y1 / shrink) + 1
    across, down = right - left, bottom - top
    patch = cut(rgb, left * shrink, top * shrink, across * shrink, down * shrink)
    if shrink > 1:  # whole pixels first, on a lattice fixed to the frame: cheap and exact
        patch = cv2.resize(patch, (across, down), interpolation=cv2.INTER_AREA)
    elif enlarge > 1:  # a pixel that spans cells is joined to its neighbours by straight lines
        patch = cv2.resize(patch, None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_LINEAR)
    scale = enlarge / shrink
    x_edges = np.linspace(box.x0 * scale, box.x1 * scale, size + 1) - left * enlarge
    y_edges = np.linspace(box.y0 * scale, box.y1 * scale, size + 1) - top * enlarge
    light = _between_rows(
        np.asarray(cv2.integral(patch), np.int32), y_edges
    )  #                        (S + 1, w + 1, 3)
    light = _between_rows(light.transpose(1, 0, 2), x_edges)  #                   (S + 1, S + 1, 3)
    light = np.diff(np.diff(light.transpose(1, 0, 2), axis=0), axis=1)  #         (S, S, 3)
    area = (x_edges[1] - x_edges[0]) * (y_edges[1] - y_edges[0])
    return np.rint(light / area).astype(np.uint8)


def cut(rgb: NDArray[np.uint8], x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
    """Cut out a rectangle; beyond the frame its nearest edge pixel is repeated.

    Args:
        rgb: The frame. Shape (H, W, 3).
        x: Left edge in pixels, which may lie outside, as the others may.
        y: Upper edge in pixels.
        width: In pixels.
        height: In pixels.

    Returns:
        A view of the frame where it can be. Shape (height, width, 3).
    """
    frame_height, frame_width = rgb.shape[:2]
    if x >= 0 and y >= 0 and x + width <= frame_width and y + height <= frame_height:
        return rgb[y : y + height, x : x + width]
    columns = np.clip(np.arange(x, x + width), 0, frame_width - 1)
    rows = np.clip(np.arange(y, y + height), 0, frame_height - 1)
    return rgb[rows[:, None], columns]


def _between_rows(
    summed: NDArray[np.int32] | NDArray[np.float64], rows: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Read a table at rows between its rows, by straight lines. Shape (len(rows), ...)."""
    whole = rows.astype(np.intp)
    part = (rows - whole)[:, None, None]
    return summed[whole] * (1 - part) + summed[whole + 1] * part
