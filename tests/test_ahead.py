"""Working ahead: order, errors at their place, no more than allowed, and an end in time."""

import threading
from collections.abc import Iterator

import pytest

from kdphys.ahead import ahead


def test_all_items_come_in_order():
    assert list(ahead(iter(range(100)))) == list(range(100))
    assert list(ahead(iter(()))) == []
    assert list(ahead(iter([None, None]))) == [None, None]


def test_an_error_comes_after_the_items_before_it():
    def broken() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the disk is gone")

    items = ahead(broken())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)


def test_no_more_is_worked_out_than_may_wait():
    made: list[int] = []
    third = threading.Event()

    def counted() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            if number == 3:
                third.set()
            yield number

    items = ahead(counted(), most=3)
    assert next(items) == 0
    assert third.wait(10)  # three wait while the first is in use
    assert made == [0, 1, 2, 3]
    assert next(items) == 1


def test_closing_ends_the_thread():
    before = threading.active_count()
    items = ahead(iter(range(1000)))
    next(items)
    assert threading.active_count() == before + 1
    items.close()
    assert threading.active_count() == before
