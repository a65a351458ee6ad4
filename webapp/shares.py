"""How much is kept of one address: of the disk no more than it leaves to others, and sessions."""

import time
from collections import Counter, OrderedDict, deque
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


class Sessions:
    """Which sessions the addresses have opened of late; Gradio keeps some 0.1 MB of each."""

    def __init__(self) -> None:
        self._asked_s: OrderedDict[tuple[str, str], float] = OrderedDict()  # when, the oldest first
        self._count: Counter[str] = Counter()

    def is_too_many(self, who: str, name: str, most: int) -> bool:
        """Note that an address asks in a session, unless it has opened too many.

        Args:
            who: As for `Shares`.
            name: Of the session, or any that is new where it has none.
            most: Sessions of one address within the time that what they showed is kept.
        """
        now_s = time.monotonic()
        while self._asked_s and next(iter(self._asked_s.values())) < now_s - GONE_S:
            (one, _), _ = self._asked_s.popitem(last=False)
            self._count[one] -= 1
            if not self._count[one]:
                del self._count[one]
        is_new = (who, name) not in self._asked_s
        if is_new and self._count[who] >= most:
            return True
        self._count[who] += is_new
        self._asked_s[who, name] = now_s
        self._asked_s.move_to_end((who, name))
        return False


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
