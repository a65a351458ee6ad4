"""One thread for small products of matrices, where more only wait for one another."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits


class _Limit:
    """The whole process's: who comes first sets it, and who leaves last lifts it."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._inside = 0
        self._limits: threadpool_limits | None = None

    def enter(self) -> None:
        with self._turn:
            if self._inside == 0:
                self._limits = threadpool_limits(1, user_api="blas")
            self._inside += 1

    def leave(self) -> None:
        with self._turn:
            self._inside -= 1
            if self._inside == 0 and self._limits:
                self._limits.restore_original_limits()
                self._limits = None


_limit = _Limit()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let BLAS use one thread meanwhile; from several threads at once too."""
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()
