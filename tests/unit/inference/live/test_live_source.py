"""Recorded frames come in real time, and every frame knows its moment."""

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from physkit.core.errors import InputError
from physkit.inference.live.queue import FreshQueue
from physkit.inference.live.source import Pacer, capture
from physkit.media.frames import CameraLostError


@dataclass(frozen=True)
class Tick:
    timestamp_s: float


class Clock(threading.Event):
    """A clock that waiting for a stop moves on, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 50.0

    def __call__(self) -> float:
        return self.now_s

    def wait(self, timeout: float | None = None) -> bool:
        self.now_s += timeout or 0.0
        return self.is_set()


def test_frames_are_played_at_their_times_whatever_decoding_takes() -> None:
    clock = Clock()

    def decoded() -> Iterator[Tick]:
        for time_s in (2.0, 2.1, 2.5, 2.51, 3.0):
            clock.now_s += 0.005
            yield Tick(time_s)

    pacer = Pacer(stop=clock, late_s=0.3, clock=clock)
    shown = [(tick.timestamp_s, clock.now_s) for tick in pacer.play(decoded())]
    assert [now_s - shown[0][1] for _, now_s in shown] == pytest.approx([0, 0.1, 0.5, 0.51, 1.0])
    assert pacer.behind_s == 0


def test_decoding_slower_than_real_time_is_played_later_and_told() -> None:
    clock = Clock()

    def decoded() -> Iterator[Tick]:
        for index in range(20):
            clock.now_s += 0.2
            yield Tick(index / 10)

    pacer = Pacer(stop=clock, late_s=0.3, clock=clock)
    queue = FreshQueue[Tick](capacity=100, late_s=math.inf, clock=clock)
    assert capture(pacer.play(decoded()), queue, stop=clock, clock=clock) is None
    assert len(queue) == 20
    assert pacer.behind_s == pytest.approx(1.9, abs=0.4)


def test_a_stop_ends_play_at_once() -> None:
    clock = Clock()
    pacer = Pacer(stop=clock, late_s=0.3, clock=clock)
    play = pacer.play(Tick(float(index)) for index in range(100))
    next(play)
    clock.set()
    assert list(play) == []


def test_frames_are_as_old_as_their_own_clock_says() -> None:
    clock = Clock()

    def camera() -> Iterator[Tick]:
        for index, delay_s in enumerate((0.1, 0.0, 0.25, 0.0)):  # what the driver held it back
            clock.now_s = 60 + index / 10 + delay_s
            yield Tick(index / 10)

    queue = FreshQueue[Tick](capacity=100, late_s=math.inf, clock=clock)
    capture(camera(), queue, stop=clock, clock=clock)
    queue.close()
    moments_s = [frame.captured_s for frame in iter(queue.take, None)]
    assert moments_s == pytest.approx([60.1, 60.1, 60.2, 60.3])


def test_the_duration_counts_from_the_first_frame() -> None:
    clock = Clock()
    queue = FreshQueue[Tick](capacity=100, late_s=math.inf, clock=clock)
    ticks = (Tick(7 + index / 10) for index in range(50))
    capture(ticks, queue, stop=clock, duration_s=2.0, clock=clock)
    assert len(queue) == 20


def test_a_lost_camera_ends_capture_and_any_other_error_is_raised() -> None:
    clock = Clock()

    def broken(error: Exception) -> Iterator[Tick]:
        yield Tick(0.0)
        raise error

    queue = FreshQueue[Tick](capacity=100, late_s=math.inf, clock=clock)
    lost = broken(CameraLostError("camera:0: gone"))
    assert capture(lost, queue, stop=clock, clock=clock) == "camera:0: gone"
    with pytest.raises(InputError, match="damaged"):
        capture(broken(InputError("damaged")), queue, stop=clock, clock=clock)
