"""Films that repeat: a loop has a rhythm of its own, and a pulse need not be in it.

From one turn to the next the pictures of a loop differ by what another encoding makes of them, 0.4
times as much as others or less. A living face comes back as exactly as that only by chance. They
are compared in one place of the camera's picture: crops that follow a face differ by how it was
followed so far.
"""

import math

import numpy as np
from numpy.typing import NDArray

from kdphys.crop import FaceBox, crop_face
from kdphys.view import View

SIDE = 18  # of what is kept of a picture, in pixels
FEWEST, SHORTEST_S = 8, 0.25  # of a turn, in pictures and seconds: a calm face differs little from
# itself a moment later
LONGEST_S = 2.0  # of a turn: a slower one is no pulse
KEPT_S = 13.0  # of pictures, from the beginning
MOST_PICTURES = 4000  # of them
COMPARED = 400  # with those of a turn later
LEAST_TURNS = 3
ALIKE = 0.4  # of how far pictures differ that are half to one and a half turns apart
CLOSE = 0.012  # of their mean brightness, that pictures a turn apart may differ; a head that rocks
# evenly comes back within 0.02 or more
AS_WELL = 1.25  # times as far apart
BESIDE, BESIDE_S = 2, 0.07  # a turn, to both sides, in pictures and seconds: left out of these
LOOP = (
    "No pulse was found: the pictures come again every {seconds:.1f} s, as in a loop, which has a "
    "rhythm of its own. Give a recording that does not repeat."
)


class Repeats:
    """Notices whether pictures come again and again."""

    def __init__(self) -> None:
        self._place: FaceBox | None = None
        self._seen: list[NDArray[np.uint8]] = []
        self._times: list[float] = []

    def push(
        self, rgb: NDArray[np.uint8], time_s: float, box: FaceBox, view: View | None = None
    ) -> None:
        """Take the next picture.

        Args:
            rgb: The picture, 0..255. Shape (H, W, 3).
            time_s: Its stamp.
            box: Where the face is, in the camera's picture: there, all pictures after the first are
                looked at too.
            view: Which part of the camera's picture it shows; all of it unless given.
        """
        if len(self._seen) >= MOST_PICTURES or (self._seen and time_s > self._times[0] + KEPT_S):
            return
        self._place = self._place or box
        place = view.of_camera(self._place) if view else self._place
        self._seen.append(crop_face(rgb, place, SIDE)[..., 1].copy())
        self._times.append(time_s)

    @property
    def turn_s(self) -> float | None:
        """Seconds from one turn to the next; None where nothing repeats."""
        count = len(self._seen)
        if count < LEAST_TURNS * FEWEST:
            return None
        step_s = (self._times[-1] - self._times[0]) / (count - 1)
        shortest = max(FEWEST, math.ceil(SHORTEST_S / step_s))
        longest = min(count // LEAST_TURNS, int(LONGEST_S / step_s))
        if longest < shortest:
            return None
        apart = self._apart(2 * longest)
        turn = _first_like(apart, shortest + int(apart[shortest - 1 : longest].argmin()), shortest)
        beside = max(BESIDE, round(BESIDE_S / step_s))
        usual = [
            apart[lag - 1]
            for lag in range(turn // 2, min(turn + turn // 2, 2 * longest) + 1)
            if abs(lag - turn) > beside
        ]
        twice = max(apart[turn - 1], apart[2 * turn - 1])
        return turn * step_s if twice < min(CLOSE, ALIKE * np.median(usual)) else None

    def _apart(self, most: int) -> NDArray[np.float64]:
        """How far pictures 1 to `most` steps apart differ, of their brightness. Shape (most,)."""
        seen = np.stack(self._seen).reshape(len(self._seen), -1).astype(np.float32)
        seen /= np.maximum(seen.mean(1, keepdims=True), 1)  # a lamp that swings is no loop
        every = max(1, len(seen) // COMPARED)
        return np.array(
            [np.abs(seen[lag::every] - seen[:-lag:every]).mean() for lag in range(1, most + 1)]
        )

    @property
    def why(self) -> str | None:
        """Why nothing is to be read, in words; None where nothing repeats."""
        turn_s = self.turn_s
        return None if turn_s is None else LOOP.format(seconds=turn_s)


def _first_like(apart: NDArray[np.float64], turn: int, shortest: int) -> int:
    """Turns come back after two and three of them as well: give the shortest that does as well."""
    parts = [round(turn / count) for count in range(turn // shortest, 1, -1)]
    return next((part for part in parts if apart[part - 1] <= AS_WELL * apart[turn - 1]), turn)
