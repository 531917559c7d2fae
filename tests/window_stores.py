"""Stores whose frames say which they are, and whose label is a known curve."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from physkit.core.types import Pulse
from physkit.data.recording import Label
from physkit.data.store import NO_SEGMENT
from physkit.data.store_writer import RecordingWriter, StoredFrame, create_store, new_recording
from physkit.data.windows.config import (
    ContentConfig,
    RandomWindowsConfig,
    SlidingWindowsConfig,
    WindowSource,
)
from physkit.data.windows.sampling import RandomWindows, SlidingWindows

RAW_LABEL = ContentConfig(form="uint8", label_form="raw")
SHORT = RandomWindowsConfig(n_frames=40, windows_per_epoch=12, content=RAW_LABEL)


def sine(bpm: float) -> Callable[[np.ndarray], np.ndarray]:
    """A heart that never varies."""
    return lambda times_s: np.sin(2 * np.pi * bpm / 60 * times_s)


def numbered(n_frames: int, size_px: int = 4) -> np.ndarray:
    """Frames whose red is their number modulo 251, and whose green is its multiple of 251."""
    frames = np.empty((n_frames, size_px, size_px, 3), np.uint8)
    number = np.arange(n_frames)
    frames[..., 0] = (number % 251)[:, None, None]
    frames[..., 1] = (number // 251)[:, None, None]
    frames[..., 2] = np.arange(size_px * size_px).reshape(size_px, size_px)
    return frames


def numbers(frames: np.ndarray) -> np.ndarray:
    """Which frames those are; fractions between two."""
    grey = frames[:, 0, 0].astype(np.float64)
    return grey[:, 0] + 251 * grey[:, 1]


def write_recording(
    store: Path,
    name: str = "s1_1",
    *,
    frames: np.ndarray,
    times_s: np.ndarray,
    label: np.ndarray,
    label_times_s: np.ndarray,
    segments: np.ndarray | None = None,
    subject: str = "s1",
) -> None:
    """One recording; `segments` are all 0 unless given."""
    segments = np.zeros(len(frames), int) if segments is None else segments
    create_store(store, dataset="test")
    with new_recording(store, name) as folder:
        writer = RecordingWriter(folder, size_px=frames.shape[1])
        for crop, time_s, segment in zip(frames, times_s, segments, strict=True):
            seen = crop if segment != NO_SEGMENT else None
            writer.append(StoredFrame(float(time_s), seen, None, 1.0, int(segment)))
        attributes = {
            "dataset": "test",
            "subject": subject,
            "session": "1",
            "conditions": {},
            "settings": {"size_px": frames.shape[1]},
        }
        writer.finish(Label(Pulse(label, label_times_s)), attributes)


def write_steady(
    store: Path,
    name: str = "s1_1",
    *,
    n_frames: int = 300,
    fps: float = 30.0,
    bpm: float = 72.0,
    label_fps: float = 60.0,
    size_px: int = 4,
    subject: str = "s1",
) -> None:
    """Numbered frames on a uniform clock, and the label of a heart that never varies."""
    label_times_s = np.arange(int(n_frames / fps * label_fps) + 1) / label_fps
    write_recording(
        store,
        name,
        frames=numbered(n_frames, size_px),
        times_s=np.arange(n_frames) / fps,
        label=sine(bpm)(label_times_s),
        label_times_s=label_times_s,
        subject=subject,
    )


def random_windows(store: Path, config: RandomWindowsConfig = SHORT) -> RandomWindows:
    """Windows drawn from all of a store."""
    return RandomWindows([WindowSource(str(store))], config)


def sliding_windows(store: Path, config: SlidingWindowsConfig) -> SlidingWindows:
    """Windows side by side over all of a store."""
    return SlidingWindows([WindowSource(str(store))], config)
