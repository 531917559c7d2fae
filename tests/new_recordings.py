"""Recordings of a few small frames, to be written in a data set's layout and read back."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from physkit.data.readers.base import NewRecording, Reader
from physkit.media.frames import Frame

WIDTH, HEIGHT = 64, 48


def picture(index: int) -> np.ndarray:
    """A picture of noise that no other index has."""
    rng = np.random.default_rng(index)
    return rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def soft_picture(index: int) -> np.ndarray:
    """A smooth picture that brightens with the index, for encoders that lose detail."""
    ramp = np.linspace(60, 160, WIDTH)[None, :, None] * np.array([1.0, 0.8, 0.7])
    return np.broadcast_to(ramp + index / 4, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def measure(times_s: np.ndarray) -> Mapping[str, np.ndarray]:
    """A pulse of 72 bpm and what goes with it, at any time."""
    return {
        "pulse": np.sin(2 * np.pi * 1.2 * times_s) + 0.2 * np.sin(2 * np.pi * 2.4 * times_s),
        "heart_rate_bpm": 72 + np.sin(0.3 * times_s),
        "spo2_percent": np.full_like(times_s, 98.0),
        "respiration": np.sin(2 * np.pi * 0.25 * times_s),
    }


def new_recording(
    *,
    subject: int = 1,
    session: int = 0,
    fps: float = 30.0,
    times_s: np.ndarray | None = None,
    soft: bool = False,
) -> NewRecording:
    """Forty frames at their nominal times, or frames at the given ones."""
    times = np.arange(40) / fps if times_s is None else times_s
    draw = soft_picture if soft else picture
    return NewRecording(
        subject=subject,
        session=session,
        conditions={},
        width=WIDTH,
        height=HEIGHT,
        fps=fps,
        duration_s=float(times[-1]) + 1 / fps,
        frames=(Frame(draw(index), float(time_s)) for index, time_s in enumerate(times)),
        measure=measure,
    )


def read_frames(reader: Reader, root: Path) -> list[Frame]:
    """All frames of the only recording under a root."""
    (recording,) = reader.find(root).recordings
    with reader.open_frames(recording) as frames:
        return list(frames)
