"""How much of the disk one address may fill with uploads: no more than it leaves to others."""

import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

from webapp.folder import KEPT_S, LOOK_EVERY_S

GONE_S = KEPT_S + LOOK_EVERY_S  # after which an upload was removed


class Shares:
    """What is kept of each address' uploads."""

    def __init__(self) -> None:
        self._kept: Counter[str] = Counter()  # bytes
        self._ended: deque[tuple[float, str, int]] = deque()  # uploads, in the order of their ends

    @contextmanager
    def upload(self, who: str) -> Iterator["Upload"]:
        """Count what comes of an upload, until it will have been removed.

        Args:
            who: The address it comes from, as `address.whose` gives it; "" stands for anyone.
        """
        now_s = time.monotonic()
        while self._ended and self._ended[0][0] < now_s - GONE_S:
            _, one, size = self._ended.popleft()
            self._kept[one] -= size
        self._kept += Counter()  # forgets who has nothing there any more
        upload = Upload(self._kept, who)
        try:
            yield upload
        finally:
            self._ended.append((time.monotonic(), who, upload.size))


class Upload:
    """One that comes."""

    def __init__(self, kept: Counter[str], who: str) -> None:
        self._kept, self._who = kept, who
        self.size = 0
        """Bytes that came."""

    def take(self, size: int) -> None:
        """Count so many bytes more."""
        self.size += size
        self._kept[self._who] += size

    def is_too_much(self, room: float) -> bool:
        """Tell whether its address has no less than the `room` in bytes that is left to others."""
        return bool(self._who) and self._kept[self._who] >= room
