"""Films that repeat: a loop has a rhythm of its own, and a pulse need not be in it.

From one turn to the next the pictures of a loop differ by what another encoding makes of them, and
by how steadily the face was followed. A living face never comes back so exactly, not even one that
rocks: there, pictures a turn apart differ 0.7 times as much as others.
"""

import numpy as np
from numpy.typing import NDArray

FEWEST = 8  # pictures of a turn: the pictures of a calm face differ little from the next ones
LONGEST_S = 2.0  # of a turn: a slower one is no pulse
MOST_PICTURES = 400  # that are kept, from the beginning
LEAST_TURNS = 3
ALIKE = 0.55  # of how far pictures differ that are half to one and a half turns apart
BESIDE = 2  # pictures to both sides of a turn that are left out of these
LOOP = (
    "No pulse was found: the pictures come again every {seconds:.1f} s, as in a loop, which has a "
    "rhythm of its own. Give a recording that does not repeat."
)


class Repeats:
    """Notices whether crops of a face come again and again."""

    def __init__(self) -> None:
        self._seen: list[NDArray[np.uint8]] = []
        self._times: list[float] = []

    def push(self, crop: NDArray[np.uint8], time_s: float) -> None:
        """Take the next crop, shape (S, S, 3), and its time in seconds."""
        if len(self._seen) < MOST_PICTURES:
            self._seen.append(crop[::2, ::2, 1].copy())
            self._times.append(time_s)

    @property
    def turn_s(self) -> float | None:
        """Seconds from one turn to the next; None where nothing repeats."""
        count = len(self._seen)
        if count < LEAST_TURNS * FEWEST:
            return None
        step_s = (self._times[-1] - self._times[0]) / (count - 1)
        longest = min(count // LEAST_TURNS, int(LONGEST_S / step_s))
        if longest < FEWEST:
            return None
        seen = np.stack(self._seen).reshape(count, -1).astype(np.float32)
        seen /= np.maximum(seen.mean(1, keepdims=True), 1)  # a lamp that swings is no loop
        apart = np.array(
            [np.abs(seen[lag:] - seen[:-lag]).mean() for lag in range(1, 2 * longest + 1)]
        )
        turn = FEWEST + int(apart[FEWEST - 1 : longest].argmin())
        usual = [
            apart[lag - 1]
            for lag in range(turn // 2, min(turn + turn // 2, 2 * longest) + 1)
            if abs(lag - turn) > BESIDE
        ]
        twice = max(apart[turn - 1], apart[2 * turn - 1])
        return turn * step_s if twice < ALIKE * np.median(usual) else None

    @property
    def why(self) -> str | None:
        """Why nothing is to be read, in words; None where nothing repeats."""
        turn_s = self.turn_s
        return None if turn_s is None else LOOP.format(seconds=turn_s)
