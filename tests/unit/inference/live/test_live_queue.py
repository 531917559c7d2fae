"""Late frames are dropped by age, and what waits never grows."""

import threading

import numpy as np
import pytest

from physkit.inference.live.queue import Captured, FreshQueue

LATE_S, CAPACITY, FPS = 0.3, 32, 30.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def queue_of(clock: Clock, *, capacity: int = CAPACITY) -> FreshQueue[int]:
    return FreshQueue(capacity=capacity, late_s=LATE_S, clock=clock)


def test_frames_come_out_in_order_while_they_are_fresh() -> None:
    clock = Clock()
    queue = queue_of(clock)
    for index in range(5):
        queue.put(Captured(index, clock.now_s))
    clock.now_s += 0.9 * LATE_S
    assert [queue.take(wait=False).item for _ in range(5)] == list(range(5))  # type: ignore[union-attr]
    assert queue.take(wait=False) is None
    assert queue.n_dropped == 0


def test_once_the_oldest_is_late_the_newest_is_next() -> None:
    clock = Clock()
    queue = queue_of(clock)
    for index in range(10):
        queue.put(Captured(index, clock.now_s + index / FPS))
    clock.now_s += 10 / FPS
    newest = queue.take()
    assert newest is not None
    assert newest.item == 9
    assert queue.n_dropped == 9
    assert len(queue) == 0


def test_the_only_frame_is_taken_however_late() -> None:
    clock = Clock()
    queue = queue_of(clock)
    queue.put(Captured(0, clock.now_s - 10))
    assert queue.take() is not None
    assert queue.n_dropped == 0


def test_a_full_queue_loses_its_oldest() -> None:
    clock = Clock()
    queue = queue_of(clock, capacity=4)
    for index in range(6):
        queue.put(Captured(index, clock.now_s))
    assert len(queue) == 4
    assert queue.n_dropped == 2
    assert queue.take().item == 2  # type: ignore[union-attr]


@pytest.mark.parametrize("work_s", [0.01, 0.04, 0.1, 0.25, 1.0])
def test_a_slow_stage_reads_fresh_frames_for_ever(work_s: float) -> None:
    clock = Clock()
    queue = queue_of(clock)
    taken, ages_s, lengths, n_put, start_s = [], [], [], 0, clock.now_s
    while clock.now_s < start_s + 300:
        while start_s + n_put / FPS <= clock.now_s:
            queue.put(Captured(n_put, start_s + n_put / FPS))
            n_put += 1
        lengths.append(len(queue))
        frame = queue.take(wait=False)
        if frame is None:
            clock.now_s = start_s + n_put / FPS
            continue
        taken.append(frame.item)
        ages_s.append(clock.now_s - frame.captured_s)
        clock.now_s += work_s
    assert (np.diff(taken) > 0).all()
    assert max(ages_s) <= LATE_S + 1e-6
    assert max(lengths) <= min(CAPACITY, (LATE_S + work_s) * FPS + 2)
    assert len(taken) + queue.n_dropped + len(queue) == n_put
    assert (queue.n_dropped == 0) == (work_s < 1 / FPS)


def test_closing_wakes_who_waits_and_keeps_what_lies_there() -> None:
    queue = FreshQueue[int](capacity=4, late_s=10.0)
    answers: list[object] = []
    waiting = threading.Thread(target=lambda: answers.append(queue.take()))
    waiting.start()
    queue.close()
    waiting.join(10)
    assert answers == [None]
    assert queue.is_over
    other = FreshQueue[int](capacity=4, late_s=1e9)
    other.put(Captured(1, 0.0))
    other.close()
    other.put(Captured(2, 0.0))
    assert not other.is_over
    assert other.take().item == 1  # type: ignore[union-attr]
    assert other.take() is None
