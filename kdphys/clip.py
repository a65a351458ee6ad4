"""Face crops as the networks take them: averaged down to a small square, evenly spaced in time.

A pulse changes skin by about half a grey level, so both steps take means and never pick: a crop
pixel is the mean light over its share of the box (crop.py), a grid crop the mean light over its
time step.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_GAP_S = 0.5  # frames further apart than this are not joined by interpolation


@dataclass(frozen=True)
class Clip:
    """Face crops on an even time grid."""

    pixels: NDArray[np.uint8]
    """RGB in 0..255. Shape (T, S, S, 3)."""
    fps: float
    """Crops a second."""

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if len(shape) != 4 or shape[1] != shape[2] or shape[3] != 3:
            raise ValueError(f"pixels.shape={shape} must be (T, S, S, 3)")
        if not self.fps > 0:
            raise ValueError(f"fps={self.fps} must be above 0")


class EvenGrid:
    """Resample time-stamped crops to an even time grid, one at a time and without looking ahead.

    A grid crop is the mean, over the time step around it, of the crops joined by straight lines in
    time. That interpolates a slower source, averages a faster one, and treats jittered stamps as
    what they are. At the frequency f in Hz it keeps sin(a) / a of the pulse, a = pi * f / fps.

    The first stamp is step 0 of the grid. A gap longer than `MAX_GAP_S` opens a new segment, on the
    same grid; so does `restart()`.

    Args:
        fps: Crops a second on the grid.
    """

    def __init__(self, fps: float) -> None:
        if not fps > 0:
            raise ValueError(f"fps={fps} must be above 0")
        self.fps = fps
        self.split = False
        """The latest push opened a segment: what it and later pushes return belongs to that one."""
        self.first_step = 0
        """Grid step of the first crop of the current segment."""
        self._origin_s: float | None = None
        self._before: tuple[NDArray[np.float32], float] | None = None
        self._latest = -math.inf
        self._step = 0
        self._light = np.zeros(0, np.float32)  # the crops integrated over the open step so far

    @property
    def start_s(self) -> float:
        """Time of the first crop of the current segment, on the axis of the stamps.

        Raises:
            ValueError: Nothing has been pushed yet.
        """
        if self._origin_s is None:
            raise ValueError("nothing has been pushed yet")
        return self._origin_s + self.first_step / self.fps

    def restart(self) -> None:
        """Forget the crop before: the next push opens a new segment (another face, a loss)."""
        self._before = None

    def push(self, crop: NDArray[np.uint8], time_s: float) -> NDArray[np.uint8]:
        """Take one crop; give the grid crops that are now complete, often one or none.

        Args:
            crop: RGB in 0..255. Shape (S, S, 3).
            time_s: Its stamp, later than the one before.

        Returns:
            The next crops of the current segment, in order. Shape (n, S, S, 3), n >= 0.

        Raises:
            ValueError: `time_s` does not increase.
        """
        if self._origin_s is None:
            self._origin_s = time_s
        now = (time_s - self._origin_s) * self.fps  # in grid steps; step k spans k - 0.5 to k + 0.5
        light = crop.astype(np.float32)
        if not now > self._latest:
            raise ValueError(f"time_s={time_s} must be later than the stamp before it")
        before, self._before, self._latest = self._before, (light, now), now
        self.split = before is None or now - before[1] > MAX_GAP_S * self.fps
        if before is None or self.split:
            self._open_segment(light, now)
            return np.empty((0, *crop.shape), np.uint8)
        done = []
        start = before[1]
        while (edge := self._step + 0.5) <= now:
            self._add(before, (light, now), (start, edge))
            done.append(np.rint(self._light).astype(np.uint8))
            self._light[:] = 0
            self._step += 1
            start = edge
        self._add(before, (light, now), (start, now))
        return np.stack(done) if done else np.empty((0, *crop.shape), np.uint8)

    def _open_segment(self, light: NDArray[np.float32], now: float) -> None:
        """Start at the nearest grid step; what it misses before the first crop is that crop."""
        self._step = self.first_step = math.floor(now + 0.5)
        self._light = light * np.float32(now - (self._step - 0.5))

    def _add(
        self,
        left: tuple[NDArray[np.float32], float],
        right: tuple[NDArray[np.float32], float],
        span: tuple[float, float],
    ) -> None:
        """Add the light over `span`, which lies between two stamped crops, to the open step."""
        start, stop = span
        share = ((start + stop) / 2 - left[1]) / (right[1] - left[1])
        self._light += left[0] * np.float32((1 - share) * (stop - start))
        self._light += right[0] * np.float32(share * (stop - start))
