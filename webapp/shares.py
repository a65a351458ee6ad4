"""How much of the disk one address may fill with uploads: no more than it leaves to others."""

import shutil
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from webapp.folder import KEPT_S, LOOK_EVERY_S, SPARE_MB

GONE_S = KEPT_S + LOOK_EVERY_S  # after which an upload was removed


class Shares:
    """What is kept of each address' uploads.

    Args:
        folder: Where uploads are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: Counter[str] = Counter()  # bytes
        self._ended: deque[tuple[float, str, int]] = deque()  # uploads, in the order of their ends

    @contextmanager
    def upload(self, who: str) -> Iterator["Upload"]:
        """Count what comes of an upload, until it will have been removed.

        Args:
            who: The address it comes from, as `address.whose` gives it.
        """
        now_s = time.monotonic()
        while self._ended and self._ended[0][0] < now_s - GONE_S:
            _, one, size = self._ended.popleft()
            self._kept[one] -= size
        self._kept += Counter()  # forgets who has nothing there any more
        upload = Upload(self, who)
        try:
            yield upload
        finally:
            self._ended.append((time.monotonic(), who, upload.size))

    def has_room(self, who: str) -> bool:
        """Tell whether an address leaves more to others than it has; "" stands for anyone."""
        left = shutil.disk_usage(self._folder).free - SPARE_MB * 2**20
        return not who or self._kept[who] < left

    def add(self, who: str, size: int) -> None:
        """Count so many bytes more of an address."""
        self._kept[who] += size


class Upload:
    """One that comes."""

    def __init__(self, shares: Shares, who: str) -> None:
        self._shares, self._who = shares, who
        self.size = 0
        """Bytes that came."""

    def take(self, size: int) -> None:
        """Count so many bytes more."""
        self.size += size
        self._shares.add(self._who, size)

    @property
    def has_room(self) -> bool:
        """Whether more of it may come."""
        return self._shares.has_room(self._who)
