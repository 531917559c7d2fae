"""Two faces are two readings."""

import numpy as np
import pytest

from physkit.core.types import Pulse
from physkit.inference.crops import TimedCrop
from physkit.inference.faces import NO_FACE, all_over_time, read_faces, several_faces
from physkit.inference.stream import PulseStream, StretchReader

FPS = 30.0


def beating(*parts: tuple[float, float]) -> Pulse:
    """A pulse of so many seconds at so many bpm, one after the other."""
    rates_bpm = np.concatenate([np.full(round(s * FPS), bpm) for s, bpm in parts])
    phase = 2 * np.pi * np.cumsum(rates_bpm) / 60 / FPS
    return Pulse(np.sin(phase) + 0.3 * np.sin(2 * phase), np.arange(phase.size) / FPS)


def numbered(*parts: tuple[float, int]) -> np.ndarray:
    return np.concatenate([np.full(round(s * FPS), number) for s, number in parts])


def test_two_faces_are_read_each_by_itself() -> None:
    pulse = beating((10, 60.0), (14, 95.0))
    faces = read_faces(pulse, numbered((10, 0), (14, 1)))
    rates = [face.reading.heart_rate_bpm for face in faces]
    assert rates == [pytest.approx(95, abs=1), pytest.approx(60, abs=1)]
    assert [face.start_s for face in faces] == [10.0, 0.0]
    assert faces[0].to_dict()["heart_rate_bpm"] == rates[0]
    assert "2 faces" in several_faces(faces)[0]
    assert "10.0 to 24.0 s" in several_faces(faces)[0]
    over_time = all_over_time(faces)
    assert over_time is not None
    assert over_time.rates_bpm[5] == pytest.approx(60, abs=1)
    assert over_time.rates_bpm[16] == pytest.approx(95, abs=1)
    assert not np.isfinite(over_time.rates_bpm[8:12]).any()


def test_a_face_that_comes_back_is_read_as_a_whole() -> None:
    pulse = beating((6, 70.0), (5, 110.0), (6, 70.0))
    faces = read_faces(pulse, numbered((6, 0), (5, 1), (6, 0)))
    assert faces[0].reading.heart_rate_bpm == pytest.approx(70, abs=1)
    assert faces[1].reading.heart_rate_bpm is None


def test_a_moment_on_another_face_is_not_told() -> None:
    pulse = beating((12, 70.0), (1, 70.0))
    faces = read_faces(pulse, numbered((12, 0), (1, 1)))
    assert len(faces) == 1
    assert several_faces(faces) == ()


def test_two_faces_seen_too_short_have_no_rate_together() -> None:
    faces = read_faces(beating((5, 70.0), (5, 70.0)), numbered((5, 0), (5, 1)))
    assert all(face.reading.heart_rate_bpm is None for face in faces)


def test_without_a_face_there_is_one_empty_reading() -> None:
    faces = read_faces(Pulse(np.full(90, np.nan), np.arange(90) / FPS), np.full(90, NO_FACE))
    assert len(faces) == 1
    assert faces[0].reading.heart_rate_bpm is None
    assert all_over_time(faces) is None


class _Mean(StretchReader):
    warmup_s = 0.0

    def begin(self) -> None:
        pass

    def read(self, crops: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        return crops.reshape(len(dt_s), -1).mean(1)

    def finish(self) -> np.ndarray:
        return np.zeros(0)


def test_a_stream_tells_the_face_of_each_frame_and_shows_the_latest_alone() -> None:
    stream = PulseStream(_Mean(), chunk_frames=1)
    for index in range(60):
        number = None if 20 <= index < 25 else int(index >= 20)
        crop = None if number is None else np.full((4, 4, 3), 100, np.uint8)
        stream.push(TimedCrop(index / FPS, crop, number, face_number=number))
    assert stream.face_numbers.tolist() == [0] * 20 + [NO_FACE] * 5 + [1] * 35
    recent = stream.recent(10.0)
    assert np.isnan(recent.samples[:25]).all()
    assert np.isfinite(recent.samples[25:]).all()
    assert np.isfinite(stream.finish().samples[:20]).all()
