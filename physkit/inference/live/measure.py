"""The stage that reads the pulse, and how soon it answers."""

import math
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable

import numpy as np

from physkit.core.types import Pulse
from physkit.inference.crops import TimedCrop
from physkit.inference.live.queue import Captured, FreshQueue
from physkit.inference.stream import PulseStream, StretchReader
from physkit.runtime.torch_cpu import flushed_denormals

RECENT_FRAMES = 100
"""Answers that a view tells the latency of."""
EXTRA_EVERY = 2
"""With every so many frames one more of those that waited is read, where there is never time."""


class Measurement:
    """Reads crops frame by frame as they come, and keeps what it read.

    One thread runs it; others may look at `recent` and `latency_ms` meanwhile. While a state
    settles frames wait to be read; then they are read between those that come, so that none of
    those is late.
    """

    def __init__(
        self, reader: StretchReader, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = PulseStream(reader, chunk_frames=1)
        self.can_stream = reader.can_stream
        """Whether pulse comes while frames do."""
        self._clock = clock
        self._lock = threading.Lock()
        self._owed: deque[tuple[float, bool]] = deque()
        self._n_answered = 0
        self._live_s, self._waited_s = array("f"), array("f")
        self.first_s = math.nan
        """Time of the first frame in seconds; NaN before it."""
        self.is_face_seen = False
        """Whether the latest frame shows a face."""
        self.pulse: Pulse | None = None
        """All of it, once the stage has ended."""

    @property
    def n_frames(self) -> int:
        """Frames taken so far."""
        return self._stream.n_frames

    @property
    def n_seen(self) -> int:
        """Frames with a face so far."""
        return self._stream.n_seen

    @property
    def face_numbers(self) -> np.ndarray:
        """The face of each frame so far (t,); -1 where none was seen."""
        return self._stream.face_numbers

    def run(self, inbox: FreshQueue[TimedCrop]) -> None:
        """Reads all that comes until the queue is over."""
        is_busy, n_taken = False, 0
        with flushed_denormals():  # counts in its own thread alone
            while not inbox.is_over:
                frame = inbox.take(wait=not is_busy)
                if frame is not None:
                    self._take(frame)
                    n_taken += 1
                    if n_taken % EXTRA_EVERY == 0:
                        self._work()
                is_busy = self._work()
            self.pulse = self._stream.finish()

    def recent(self, window_s: float) -> Pulse:
        """The pulse of the last so many seconds of the face that was seen last."""
        with self._lock:
            return self._stream.recent(window_s)

    def latency_ms(self, *, n_last: int = 0) -> tuple[float | None, float | None]:
        """Median and 95th percentile of the last answers, or (0) of all; None without any.

        Frames that came before those that settled the state were read do not count, unless there
        are no others: a slow machine may never catch up.
        """
        latencies_s = np.array((self._live_s or self._waited_s)[-n_last:])
        if len(latencies_s) == 0:
            return None, None
        median_s, p95_s = np.percentile(latencies_s, [50, 95])
        return 1e3 * float(median_s), 1e3 * float(p95_s)

    def _take(self, frame: Captured[TimedCrop]) -> None:
        with self._lock:
            self._stream.take(frame.item)
        self.is_face_seen = frame.item.crop is not None
        self.first_s = frame.item.timestamp_s if math.isnan(self.first_s) else self.first_s
        self._count()  # another stretch ended, perhaps
        if frame.item.crop is not None:
            self._owed.append((frame.captured_s, self._stream.is_up_to_date))

    def _work(self) -> bool:
        is_done = self._stream.work()
        self._count()
        return is_done

    def _count(self) -> None:
        """Notes how old the frames are that were answered since the last time."""
        now_s = self._clock()
        while self._n_answered < self._stream.n_answered:
            self._n_answered += 1
            captured_s, is_live = self._owed.popleft()
            (self._live_s if is_live else self._waited_s).append(now_s - captured_s)
