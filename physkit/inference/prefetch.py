"""Doing the next piece of work while the last one is being used."""

import threading
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class _Tray(Generic[T]):
    """Where a worker lays down items, and from where the user takes all that lie there.

    The two wake each other once a trayful and not once an item: waking a thread takes longer than
    many a piece of work.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: list[T] = []
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, item: T) -> bool:
        """Waits until the tray has room. False when it was closed."""
        with self._changed:
            while len(self._items) >= self._capacity and not self._is_closed:
                self._changed.wait()
            self._items.append(item)
            if len(self._items) == 1:
                self._changed.notify()
            return not self._is_closed

    def take(self) -> list[T]:
        """All items, at least one; none when the tray is closed and empty."""
        with self._changed:
            while not self._items and not self._is_closed:
                self._changed.wait()
            taken, self._items = self._items, []
            self._changed.notify()
            return taken

    def close(self) -> None:
        """Nobody puts or takes any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


def prefetch(items: Iterable[T], *, depth: int) -> Generator[T, None, None]:
    """The same items in the same order, made in a thread that runs at most `depth` ahead.

    An error of the worker is raised here. Closing the generator stops the worker, and closes
    `items` where they are a generator.
    """
    # Half of them lie on the tray while the user goes through the other half.
    tray: _Tray[T] = _Tray(max(1, depth // 2))

    def work() -> None:
        try:
            for item in items:
                if not tray.put(item):
                    return
        finally:
            if isinstance(items, Generator):
                items.close()
            tray.close()

    with ThreadPoolExecutor(max_workers=1) as executor:
        worker = executor.submit(work)
        try:
            while taken := tray.take():
                yield from taken
            worker.result()
        finally:
            tray.close()
