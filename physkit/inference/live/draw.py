"""The stage that shows how a live run goes."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from physkit.core.types import Pulse
from physkit.inference.live.measure import RECENT_FRAMES, Measurement
from physkit.signal.reading import MIN_SEEN_S, PulseReading, read_pulse

SHOWN_S = 10.0
"""Seconds of waveform on the screen."""
READ_S = 12.0
"""Seconds of waveform that a heart rate is read from: few enough to follow it, and half more than
it needs."""
READ_EVERY_S = 1.0
"""How often it is read anew."""
RATE_S = 3.0
"""Seconds over which the frame rate is counted."""


@dataclass(frozen=True, eq=False)
class Glance:
    """How a live run goes at one moment."""

    title: str
    """What is read, and by what."""
    pulse: Pulse
    """The latest `SHOWN_S` of waveform; NaN where no face was seen or the sample is still owed."""
    reading: PulseReading | None
    """What the latest `READ_S` say; None before the first reading."""
    elapsed_s: float
    """Since the first frame."""
    is_face_seen: bool
    """Whether the latest frame shows a face."""
    can_stream: bool
    """Whether pulse comes while frames do."""
    fps: float
    """Frames a second that are read."""
    latency_ms: float | None
    """From a frame to its answer: the median of the last answers."""
    latency_p95_ms: float | None
    """Of 95 in 100 of them, at most."""
    n_dropped: int
    """Late frames that were never read."""


class Drawing:
    """Looks at a measurement now and then, and shows it on a view.

    The heart rate is read here, and not where frames have to be answered.
    """

    def __init__(
        self,
        show: Callable[[Glance], None] | None,
        measurement: Measurement,
        *,
        title: str,
        n_dropped: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._show = show
        self._measurement = measurement
        self._title = title
        self._n_dropped = n_dropped
        self._clock = clock
        self._read_at_s = 0.0
        self._reading: PulseReading | None = None

    def draw(self) -> None:
        """Shows the latest state."""
        if self._show is None:
            return
        recent = self._measurement.recent(max(SHOWN_S, READ_S))
        if not len(recent.samples):
            return
        now_s = self._clock()
        if self._reading is None or now_s - self._read_at_s >= READ_EVERY_S:
            self._reading, self._read_at_s = read_pulse(_last(recent, READ_S)), now_s
        self._show(self._glance(recent))

    def _glance(self, recent: Pulse) -> Glance:
        now_s = float(recent.timestamps_s[-1])
        lately_s = recent.timestamps_s[recent.timestamps_s >= now_s - RATE_S]
        span_s = float(np.ptp(lately_s))
        latency_ms, p95_ms = self._measurement.latency_ms(n_last=RECENT_FRAMES)
        return Glance(
            title=self._title,
            pulse=_last(recent, SHOWN_S),
            reading=self._reading,
            elapsed_s=now_s - self._measurement.first_s,
            is_face_seen=self._measurement.is_face_seen,
            can_stream=self._measurement.can_stream,
            fps=(len(lately_s) - 1) / span_s if span_s > 0 else 0.0,
            latency_ms=latency_ms,
            latency_p95_ms=p95_ms,
            n_dropped=self._n_dropped(),
        )


def status(glance: Glance) -> str:
    """Why there is no heart rate, or none yet; nothing where there is one."""
    reading = glance.reading
    if not glance.can_stream:
        return "this method answers at the end"
    if not glance.is_face_seen:
        return "no face: show one upright face, large and well lit"
    if reading is None or reading.heart_rate_bpm is not None:
        return ""
    seen_s = float(np.isfinite(glance.pulse.samples).mean()) * SHOWN_S
    if glance.elapsed_s < MIN_SEEN_S or reading.signal_quality == 0:
        return f"measuring: {min(seen_s, glance.elapsed_s):.0f} of {MIN_SEEN_S:.0f} s"
    return "the pulse is too weak for a number: hold still, face the light"


def _last(pulse: Pulse, window_s: float) -> Pulse:
    kept = pulse.timestamps_s >= pulse.timestamps_s[-1] - window_s
    return Pulse(pulse.samples[kept], pulse.timestamps_s[kept])
