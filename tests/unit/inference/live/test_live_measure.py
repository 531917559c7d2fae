"""The stage that reads, and the stages together."""

import math
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from physkit.inference.crops import TimedCrop
from physkit.inference.live.measure import Measurement
from physkit.inference.live.queue import Captured, FreshQueue
from physkit.inference.live.stages import Stages
from physkit.inference.stream import ModelReader, PulseStream, StretchReader
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.runtime.torch_cpu import torch_threads

CPU = torch.device("cpu")
SIZE = 8


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with torch_threads(1):  # two wait for each other at every one of these small operators
        yield


@pytest.fixture(scope="module")
def net() -> FacePhys:
    torch.manual_seed(1)
    config = FacePhysConfig(
        height=SIZE, width=SIZE, channels=8, n_blocks=2, d_state=4, head_d_state=2
    )
    return FacePhys(config).eval()


def crops(*, gap_s: float = 0.0, n: int = 90) -> list[TimedCrop]:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)
    times_s = np.arange(n) / 30 + gap_s * (np.arange(n) >= 70)
    items = [TimedCrop(float(t), f, 0) for t, f in zip(times_s, frames, strict=True)]
    items[40] = TimedCrop(items[40].timestamp_s, None, None)
    return items


def measured(
    reader: StretchReader, items: list[TimedCrop], *, clock: Callable[[], float] = lambda: 0.25
) -> Measurement:
    inbox = FreshQueue[TimedCrop](capacity=1000, late_s=math.inf)
    for item in items:
        inbox.put(Captured(item, 0.0))
    inbox.close()
    measurement = Measurement(reader, clock=clock)
    measurement.run(inbox)
    return measurement


@pytest.mark.parametrize("gap_s", [0.0, 0.3, 2.0])
def test_live_reads_what_the_whole_file_reads(net: FacePhys, gap_s: float) -> None:
    items = crops(gap_s=gap_s)
    whole = PulseStream(ModelReader(net, CPU), chunk_frames=64)
    for item in items:
        whole.push(item)
    expected, live = whole.finish(), measured(ModelReader(net, CPU), items).pulse
    assert live is not None
    np.testing.assert_allclose(live.samples, expected.samples, atol=2e-5)
    assert np.array_equal(live.timestamps_s, expected.timestamps_s)


class CountingReader(StretchReader):
    """Answers every frame with its number in the stretch, and counts how often it was asked."""

    def __init__(self, warmup_s: float) -> None:
        self.warmup_s = warmup_s
        self.n_read = 0

    def begin(self) -> None:
        pass

    def read(self, crops: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        assert len(crops) == len(dt_s) == 1
        self.n_read += 1
        return np.zeros(1)

    def finish(self) -> np.ndarray:
        return np.zeros(0)


def test_a_settling_state_is_made_up_for_bit_by_bit() -> None:
    reader, items = CountingReader(warmup_s=1.0), crops(n=90)
    stream = PulseStream(reader, chunk_frames=1)
    read_before, most = 0, 0
    for item in items:
        stream.take(item)
        stream.work()
        stream.work()
        most = max(most, reader.n_read - read_before)
        read_before = reader.n_read
    assert most == 2
    assert stream.is_up_to_date
    assert stream.n_answered == 89
    assert reader.n_read == 89 + 31


def test_latency_is_of_frames_that_are_answered_when_they_come() -> None:
    never_settled = measured(CountingReader(warmup_s=100.0), crops())
    assert never_settled.latency_ms() == (None, None)
    clock = iter(np.arange(10_000) / 30)  # a reading takes longer than a frame lasts
    slow = measured(CountingReader(warmup_s=1.0), crops(), clock=lambda: float(next(clock)))
    assert slow.latency_ms()[0] > 1e3  # type: ignore[operator]
    live = measured(CountingReader(warmup_s=0.0), crops())
    assert live.latency_ms() == pytest.approx((250.0, 250.0))
    assert live.latency_ms(n_last=5) == pytest.approx((250.0, 250.0))


def test_recent_pulse_is_the_end_of_all() -> None:
    measurement = measured(CountingReader(warmup_s=0.0), crops())
    recent = measurement.recent(1.01)
    assert recent.timestamps_s[-1] == pytest.approx(89 / 30)
    assert len(recent.samples) == 31
    assert Measurement(CountingReader(0.0)).recent(1.0).samples.shape == (0,)


def test_the_first_error_of_a_stage_ends_all_and_is_raised() -> None:
    stop, inbox = threading.Event(), FreshQueue[int](capacity=2, late_s=1.0)
    stages = Stages(stop)

    def broken() -> None:
        raise ValueError("broken")

    stages.start("first", broken, closes=[inbox])
    stages.start("last", lambda: [*iter(inbox.take, None)] and None, closes=[])
    with pytest.raises(ValueError, match="broken"):
        stages.join()
    assert stop.is_set()
    assert stages.are_over(wait_s=0)
