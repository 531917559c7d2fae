"""Frames at any rate, through readers that count frames at one."""

import numpy as np
import pytest

from physkit.core.errors import InputError
from physkit.inference.crops import TimedCrop
from physkit.inference.even import EvenReader
from physkit.inference.stream import PulseStream, StretchReader

RATE_HZ = 1.2


class Brightness(StretchReader):
    """Each picture's brightness, three frames late; remembers what it was given."""

    def __init__(self, warmup_s: float = 0.0) -> None:
        self.warmup_s = warmup_s
        self.given: list[float] = []
        self.n_settled = 0
        self._owed: list[float] = []

    def begin(self) -> None:
        self._owed = []

    def settle(self, crops: np.ndarray, dt_s: np.ndarray) -> None:  # noqa: ARG002
        self.n_settled += len(crops)

    def read(self, crops: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        self.given.extend(dt_s.tolist())
        self._owed.extend(crops.mean(axis=(1, 2, 3)).tolist())
        n = max(0, len(self._owed) - 3)
        now, self._owed = self._owed[:n], self._owed[n:]
        return np.array(now, np.float32)

    def finish(self) -> np.ndarray:
        return np.array(self._owed, np.float32)


def pulse_of(reader: EvenReader, times_s: np.ndarray, *, chunk: int = 32) -> np.ndarray:
    stream = PulseStream(reader, chunk_frames=chunk)
    for time_s in times_s.tolist():
        value = 0.5 + 0.4 * np.sin(2 * np.pi * RATE_HZ * time_s)
        stream.push(TimedCrop(time_s, np.full((2, 2, 3), value, np.float32), 0))
    return stream.finish().samples


@pytest.mark.parametrize("fps", [15.0, 20.0, 30.0, 60.0, 59.94])
@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_every_frame_gets_the_pulse_of_its_own_time(fps: float, chunk: int) -> None:
    inner = Brightness()
    reader = EvenReader(inner, fps=30.0, least_frames=90, title="Net")
    times_s = 5.0 + np.arange(int(6 * fps)) / fps
    found = pulse_of(reader, times_s, chunk=chunk)
    assert found.shape == times_s.shape
    wanted = 0.5 + 0.4 * np.sin(2 * np.pi * RATE_HZ * times_s)
    assert np.abs(found - wanted)[2:-2].max() < (0.05 if fps < 30 else 0.02)
    assert np.allclose(inner.given, 1 / 30, rtol=1e-3)
    reader.check_length("face.mp4")


def test_frames_that_come_unevenly_are_put_on_the_clock() -> None:
    reader = EvenReader(Brightness(), fps=30.0, least_frames=None, title="Net")
    times_s = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.08, 200))
    wanted = 0.5 + 0.4 * np.sin(2 * np.pi * RATE_HZ * times_s)
    assert np.abs(pulse_of(reader, times_s) - wanted)[2:-2].max() < 0.08


def test_another_rate_is_said_once_and_the_networks_own_is_not() -> None:
    for fps, n in ((30.0, 0), (29.97, 0), (20.0, 1)):
        reader = EvenReader(Brightness(), fps=30.0, least_frames=None, title="Net")
        for start_s in (0.0, 100.0):  # a gap: two stretches
            pulse_of(reader, start_s + np.arange(90) / fps)
        assert len(reader.notes()) == n
    assert reader.notes()[0].startswith("Net reads 30 frames/s: those at 20 were interpolated")


def test_settling_a_state_answers_nothing_and_moves_no_sample() -> None:
    inner = Brightness(warmup_s=2.0)
    reader = EvenReader(inner, fps=30.0, least_frames=None, title="Net")
    times_s = np.arange(120) / 20
    found = pulse_of(reader, times_s)
    assert inner.n_settled >= 55
    assert np.abs(found - (0.5 + 0.4 * np.sin(2 * np.pi * RATE_HZ * times_s)))[2:-2].max() < 0.05


def test_a_face_shown_too_briefly_says_how_long_is_needed() -> None:
    reader = EvenReader(Brightness(), fps=30.0, least_frames=160, title="Net")
    pulse_of(reader, np.arange(40) / 20)
    with pytest.raises(InputError, match=r"face.mp4: shows a face for 2.0 s .* 5.3 s \(160 frames"):
        reader.check_length("face.mp4")
