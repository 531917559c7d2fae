"""Pieces of work that run side by side and end together."""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

PATIENCE_S = 2.0
"""How long a stage that hangs in a device driver is waited for."""


class Closable(Protocol):
    """A queue."""

    def close(self) -> None:
        """Nothing is put any more."""
        ...


class Stages:
    """Each piece of work in a thread of its own; the first error of one stops all.

    stop: is set by an error; the work that feeds the others is to end at it.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def start(self, name: str, work: Callable[[], None], *, closes: Sequence[Closable]) -> None:
        """Run a piece of work. closes: queues to close when it has ended, well or not."""

        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - raised where the stages are joined
                with self._lock:
                    self._error = self._error or error
                self._stop.set()
            finally:
                for queue in closes:
                    queue.close()

        # a daemon: a camera's driver may hang for good, and must not keep the program
        thread = threading.Thread(target=run, name=f"live-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def are_over(self, *, wait_s: float) -> bool:
        """Whether the last stage has ended, after waiting for it at most so long."""
        self._threads[-1].join(wait_s)
        return not self._threads[-1].is_alive()

    def join(self) -> None:
        """Waits for the last stage, and a while for the others. Raises the first error of any."""
        self._threads[-1].join()
        for thread in self._threads[:-1]:
            thread.join(PATIENCE_S)
        if self._error is not None:
            raise self._error
