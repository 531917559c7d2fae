"""Frames on their way from one stage to the next, none of which may grow old on it."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Captured(Generic[T]):
    """Something made of one frame."""

    item: T
    """What was made of it."""
    captured_s: float
    """When the frame was taken, on the clock of the run."""


class FreshQueue(Generic[T]):
    """What waits for a stage, in order; late frames are dropped and counted.

    Putting never waits: from a full queue the oldest goes. Once the oldest that waits was captured
    more than `late_s` ago, the next taken is the newest, and those before it go.
    """

    def __init__(
        self, *, capacity: int, late_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity = capacity
        self._late_s = late_s
        self._clock = clock
        self._waiting: deque[Captured[T]] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self.n_dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_over(self) -> bool:
        """Whether nothing waits and nothing will come."""
        with self._changed:
            return self._is_closed and not self._waiting

    def put(self, frame: Captured[T]) -> None:
        """Lay down the next; in vain when the queue is closed."""
        with self._changed:
            if self._is_closed:
                return
            if len(self._waiting) >= self._capacity:
                self._waiting.popleft()
                self.n_dropped += 1
            self._waiting.append(frame)
            self._changed.notify()

    def take(self, *, wait: bool = True) -> Captured[T] | None:
        """The next; None when the queue is over, or nothing waits and `wait` is False."""
        with self._changed:
            while wait and not self._waiting and not self._is_closed:
                self._changed.wait()
            if not self._waiting:
                return None
            if self._clock() - self._waiting[0].captured_s > self._late_s:
                self.n_dropped += len(self._waiting) - 1
                newest = self._waiting.pop()
                self._waiting.clear()
                return newest
            return self._waiting.popleft()

    def close(self) -> None:
        """Nothing is put any more; what waits may still be taken."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
