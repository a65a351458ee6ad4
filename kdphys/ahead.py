"""Work ahead: what an iterator gives, worked out beside what is done with it."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

Item = TypeVar("Item")

MOST_WAITING = 2
"""Items that may wait: a large frame takes 100 MB."""


class _End:
    pass


_END: Final = _End()


def ahead(items: Iterator[Item], most: int = MOST_WAITING) -> Generator[Item, None, None]:
    """Give what an iterator gives, in order, while a thread works out the next items.

    It pays where both sides leave Python's lock for long, as decoders and image functions do. What
    `items` raises is raised here, after the items before it. Closing this iterator waits for the
    item that is being worked out; no other use of `items` may go on beside it.

    Args:
        items: Used in the thread only.
        most: Items that are worked out before they are asked for, at least 1.

    Yields:
        The items.
    """
    worker = ThreadPoolExecutor(1, "ahead")
    try:
        waiting = deque(worker.submit(next, items, _END) for _ in range(most))
        while not isinstance(item := waiting.popleft().result(), _End):
            waiting.append(worker.submit(next, items, _END))
            yield item
    finally:
        worker.shutdown(cancel_futures=True)
