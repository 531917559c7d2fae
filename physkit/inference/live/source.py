"""Frames as a camera would deliver them."""

import math
import time
from collections.abc import Callable, Generator, Iterable
from threading import Event
from typing import Protocol, TypeVar

from physkit.inference.live.queue import Captured, FreshQueue
from physkit.media.frames import CameraLostError


class Timed(Protocol):
    """A frame, or a face crop."""

    @property
    def timestamp_s(self) -> float:
        """Presentation time in seconds."""
        ...


T = TypeVar("T", bound=Timed)


class Pacer:
    """Plays recorded frames in real time.

    stop: set, ends the play. late_s: where decoding falls behind by more, the rest is played so
    much later, as a camera would have taken it later.
    """

    def __init__(
        self, *, stop: Event, late_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stop = stop
        self._late_s = late_s
        self._clock = clock
        self.behind_s = 0.0
        """How much longer than the recording the play has taken, in seconds."""

    def play(self, items: Iterable[T]) -> Generator[T, None, None]:
        """The items, each at its time after the first."""
        origin_s: float | None = None
        for item in items:
            now_s = self._clock()
            if origin_s is None:
                origin_s = now_s - item.timestamp_s
            wait_s = origin_s + item.timestamp_s - now_s
            if wait_s < -self._late_s:
                origin_s -= wait_s
                self.behind_s -= wait_s
            if self._stop.wait(max(0.0, wait_s)):
                return
            yield item


def capture(
    items: Iterable[T],
    outbox: FreshQueue[T],
    *,
    stop: Event,
    duration_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> str | None:
    """Puts frames out, each with its moment, until they end; what ended them too early, if so.

    A frame is taken to be as old as its own clock makes it beside the one that came the soonest.
    duration_s: seconds of frames after which to stop. stop: set, ends the capture at the next one.
    """
    origin_s, first_s = math.inf, math.nan
    try:
        for item in items:
            if stop.is_set():
                return None
            first_s = item.timestamp_s if math.isnan(first_s) else first_s
            if duration_s is not None and item.timestamp_s - first_s >= duration_s:
                return None
            origin_s = min(origin_s, clock() - item.timestamp_s)
            outbox.put(Captured(item, origin_s + item.timestamp_s))
    except CameraLostError as error:
        return str(error)
    return None
