"""Doing the next piece of work while the last one is being used."""

import queue
import threading
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

POLL_S = 0.1


class _End:
    """What a worker hands over last."""


END: Final = _End()


def prefetch(items: Iterable[T], *, depth: int) -> Generator[T, None, None]:
    """The same items in the same order, made in a thread that runs at most `depth` ahead.

    An error of the worker is raised here. Closing the generator stops the worker, and closes
    `items` where they are a generator.
    """
    ready: queue.Queue[T | _End] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def offer(item: T | _End) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not offer(item):
                    return
        finally:
            if isinstance(items, Generator):
                items.close()
            offer(END)

    with ThreadPoolExecutor(max_workers=1) as executor:
        worker = executor.submit(work)
        try:
            while not isinstance(item := ready.get(), _End):
                yield item
            worker.result()
        finally:
            stopped.set()
