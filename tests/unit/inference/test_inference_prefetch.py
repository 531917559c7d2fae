import threading
import time
from collections.abc import Iterator

import pytest

from physkit.inference.prefetch import prefetch


def test_items_come_whole_and_in_order() -> None:
    assert list(prefetch(range(1000), depth=4)) == list(range(1000))


def test_the_worker_runs_ahead_but_never_further_than_its_depth() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    stream = prefetch(items(), depth=3)
    next(stream)
    time.sleep(0.3)
    assert 2 <= len(made) <= 1 + 3 + 1  # taken, queued, and one in hand
    stream.close()


def test_an_error_of_the_worker_reaches_the_consumer_after_what_was_made() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken at frame 1")

    stream = prefetch(items(), depth=2)
    assert next(stream) == 1
    with pytest.raises(ValueError, match="broken at frame 1"):
        next(stream)


def test_closing_early_ends_the_thread() -> None:
    before = threading.active_count()
    stream = prefetch(iter(int, 1), depth=2)  # never ends by itself
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_closing_closes_the_generator_that_items_come_from() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from iter(int, 1)  # never ends by itself
        finally:
            closed.set()

    stream = prefetch(items(), depth=8)
    next(stream)
    stream.close()
    assert closed.is_set()
