"""Where pictures come too seldom to tell a pulse, in slow light, over a slow line, or held.

A mean rate counts pictures, and so hides pauses: three in a row and then none for 0.4 s are 6 a
second in the mean, but nearly all the time goes by in steps of 0.4 s, which tell no more of a pulse
than 2.6 pictures a second do. So each step counts by its length.
"""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from kdphys.pulse import longest_run_s

LEAST_FPS = 8.0  # that a pulse needs
SPARSE_FPS = 7.5  # below, pictures are too few: 8 that jitter are not
REACH_S = 2.5  # to both sides of a moment, over which they are looked at
LEAST_COVERED_S = 2.0  # of steps, by which it can be told

SPARSE = (
    "Only {found:.0f} pictures of the face come a second, pauses counted; a pulse needs "
    "{needed:.0f}. More light lets a camera film faster, and a quicker line or fewer other "
    "programs lose fewer pictures."
)
COPIES = (
    "Most pictures of the face are copies of the one before, as strong compression makes them: "
    "only {found:.1f} a second are new, and a pulse needs {needed:.0f}. Record with less "
    "compression, and give the file as the camera wrote it."
)
AWAY = (
    "The face is lost too often: no stretch of it without a pause lasts {seconds:.0f} s, as a "
    "heart rate needs. Keep the face in view, from the front and well lit."
)

Array = NDArray[np.float64]


class PictureSteps:
    """When pictures of one face came.

    Args:
        memory_s: How far back they are remembered.
    """

    def __init__(self, memory_s: float = math.inf) -> None:
        self.memory_s = memory_s
        self._ends: deque[float] = deque()
        self._steps: deque[float] = deque()
        self._waits: tuple[float, float] | None = None

    def push(self, time_s: float, step_s: float) -> None:
        """Note that a picture came, and how long after the one before it.

        Args:
            time_s: When, later than the one before.
            step_s: Above 0; steps over which nobody reads, as without a face, are left out.
        """
        self._waits = None
        self._ends.append(time_s)
        self._steps.append(step_s)
        while self._ends[0] < time_s - self.memory_s:
            self._ends.popleft()
            self._steps.popleft()

    def wait(self, time_s: float, step_s: float) -> None:
        """Note that no other picture has come yet: the step goes on until the next `push`.

        Args:
            time_s: By when.
            step_s: How long after the last other picture.
        """
        self._waits = time_s, step_s

    def clear(self) -> None:
        """Forget all of them."""
        self._waits = None
        self._ends.clear()
        self._steps.clear()

    def fps_at(self, at_s: Array) -> Array:
        """Pictures a second around each moment, each step counted by its length.

        Args:
            at_s: On the axis of the pictures' times. Shape (T,).

        Returns:
            In Hz; infinite where too little is known. Shape (T,).
        """
        ends, steps = (np.fromiter(each, np.float64) for each in (self._ends, self._steps))
        if self._waits:
            ends, steps = (
                np.append(each, now) for each, now in zip((ends, steps), self._waits, strict=True)
            )
        first = np.searchsorted(ends, at_s - REACH_S, "left")
        last = np.searchsorted(ends, at_s + REACH_S, "right")
        covered, squares = (
            sums[last] - sums[first]
            for sums in (np.concatenate([[0.0], np.cumsum(steps**power)]) for power in (1, 2))
        )
        known = covered >= LEAST_COVERED_S
        found = np.divide(covered, squares, out=np.full(len(at_s), np.inf), where=known)
        long = steps > REACH_S  # their ends may be out of reach of what is in them
        ends, steps = np.append(ends[long], np.inf), np.append(steps[long], 0.0)
        next_one = np.searchsorted(ends, at_s, "left")
        inside = at_s > ends[next_one] - steps[next_one]
        found[inside] = 1 / steps[next_one[inside]]
        return found

    def without_sparse(
        self, wave: Array, end_step: int, fps: float, least_s: float, words: str = SPARSE
    ) -> tuple[Array, str | None]:
        """Make gaps of a wave where pictures are too few.

        Args:
            wave: Pulse wave, NaN in gaps. Shape (T,).
            end_step: Step after its last sample, counted from the time 0 of the pictures.
            fps: Its sampling rate in Hz.
            least_s: The shortest stretch that can be read.
            words: What to say, with room for how many come, how many are needed, and `least_s`.

        Returns:
            The wave, and None; or, where that would leave nothing to read, the wave as it was and,
            in words, why it is not to be trusted.
        """
        found = self.fps_at((end_step - len(wave) + np.arange(len(wave))) / fps)
        sparse = (found < SPARSE_FPS) & np.isfinite(wave)
        kept = np.where(sparse, np.nan, wave)
        if not sparse.any() or longest_run_s(kept, fps) >= least_s:
            return kept, None
        usual = float(np.median(found[sparse]))
        return wave, words.format(found=usual, needed=LEAST_FPS, seconds=least_s)


class Pauses:
    """Tells why new pictures of a face come seldom, by the longest of what is in between."""

    def __init__(self) -> None:
        self._lasted_s: dict[str, float] = dict.fromkeys((SPARSE, COPIES, AWAY), 0.0)
        self._between: str = SPARSE
        self._held_s = 0.0

    def push(self, step_s: float | None, held_s: float, *, is_seen: bool) -> None:
        """Take the next picture.

        Args:
            step_s: Seconds since the last other picture; None where it is the one before again, or
                nothing was before.
            held_s: Seconds since the last other picture, 0 where this is another.
            is_seen: Whether it shows the face, not only the place where that was.
        """
        self._held_s = held_s
        if held_s:
            if self._between != AWAY:
                self._between = COPIES if is_seen else AWAY
            return
        if step_s and step_s > 1 / SPARSE_FPS:
            self._lasted_s[self._between] += step_s
        self._between = SPARSE

    @property
    def words(self) -> str:
        """What most of the time of long steps went by with: the words for that."""
        lasted_s = self._lasted_s | {self._between: self._lasted_s[self._between] + self._held_s}
        return max(lasted_s, key=lasted_s.__getitem__)
