"""Stores made on the spot."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import zarr

from physkit.core.types import Pulse
from physkit.data.recording import Condition, Label
from physkit.data.store import NO_SEGMENT, Store, open_store
from physkit.data.store_writer import RecordingWriter, StoredFrame, create_store, new_recording

SKIN_RGB = np.array([190.0, 140.0, 120.0])
BLOOD_RGB = np.array([0.6, 1.6, 1.0])
"""How many grey levels of each channel a beat takes away: far more than a real one."""
LABEL_HZ = 60.0


def add_recording(
    store: Path,
    name: str,
    *,
    subject: str,
    rate_bpm: float,
    n_frames: int = 600,
    size_px: int = 36,
    fps: float = 30.0,
    faceless: slice | None = None,
    label_shift_s: float = 0.0,
    conditions: Mapping[str, Condition] | None = None,
    dataset: str = "test",
    border_px: int = 0,
) -> None:
    """A recording of coloured noise whose colour beats at `rate_bpm`, and its 60 Hz label.

    border_px: width of an edge that does not beat, for networks that see no change of all pixels.
    """
    rng = np.random.default_rng(round(rate_bpm * 1000))
    times_s = np.arange(n_frames) / fps
    volume = np.sin(2 * np.pi * rate_bpm / 60 * times_s)
    hidden = range(n_frames)[faceless] if faceless else range(0)
    label_s = np.arange(round(n_frames / fps * LABEL_HZ)) / LABEL_HZ + label_shift_s
    label = Label(Pulse(np.sin(2 * np.pi * rate_bpm / 60 * label_s), label_s))
    create_store(store, dataset=dataset)
    with new_recording(store, name) as folder:
        writer = RecordingWriter(folder, size_px=size_px)
        for index, (time_s, beat) in enumerate(zip(times_s, volume, strict=True)):
            if index in hidden:
                writer.append(StoredFrame(float(time_s), None, None, 0.0, NO_SEGMENT))
                continue
            noise = rng.normal(0, 3, (size_px, size_px, 3))
            beating = np.zeros((size_px, size_px, 1))
            inside = slice(border_px, size_px - border_px)
            beating[inside, inside] = beat
            crop = np.clip(SKIN_RGB - beating * BLOOD_RGB + noise, 0, 255).astype(np.uint8)
            segment = int(faceless is not None and index >= hidden.stop)
            writer.append(StoredFrame(float(time_s), crop, (10.0, 10.0, 90.0, 110.0), 0.9, segment))
        attributes = {
            "dataset": dataset,
            "subject": subject,
            "session": "1",
            "conditions": dict(conditions or {}),
            "settings": {"size_px": size_px},
        }
        writer.finish(label, attributes)


def small_store(path: Path, rates_bpm: Mapping[str, float]) -> Store:
    """A store of one recording for each subject, with the heart rate given."""
    for subject, rate_bpm in rates_bpm.items():
        add_recording(path, f"{subject}_1", subject=subject, rate_bpm=rate_bpm)
    return open_store(path)


def store_of(path: Path, subjects: tuple[str, ...], dataset: str) -> str:
    """A store that names a recording of each person, and holds nothing else."""
    create_store(path, dataset=dataset)
    for subject in subjects:
        group = zarr.create_group(path / f"{subject}_1")
        group.attrs.update({"subject": subject, "dataset": dataset})
    return str(path)


def six_people(path: Path, *, size_px: int, n_frames: int) -> Path:
    """A store of people 0 to 5, a recording each, with hearts from 60 to 105 bpm."""
    for number in range(6):
        add_recording(
            path,
            f"{number}",
            subject=str(number),
            rate_bpm=60.0 + 9 * number,
            size_px=size_px,
            n_frames=n_frames,
        )
    return path
