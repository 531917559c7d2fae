"""A clip of face crops to try a deployed network on: a file's, or a synthetic person's."""

import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np

from physkit.core.errors import InputError
from physkit.core.units import frame_durations_s
from physkit.export.target import Calibration
from physkit.face.config import FaceConfig
from physkit.inference.crops import crops_of_file, make_tracker, tracked_crops
from physkit.media.frames import CROPS_SUFFIXES
from physkit.media.open import open_frames
from physkit.synth.clip import ClipConfig, synthesise_clip

SYNTHETIC = "synthetic"
"""Stands for a clip made on the spot."""
SYNTHETIC_S = 10.0
CALIBRATION_S = 4.0
"""Of each person: the state settles from its start, and a few beats pass."""
CALIBRATION_PEOPLE = 6
"""With fewer, an int8 network meets values in other faces that it has no range for: one person
gives a correlation of 0.9992 on a real clip that is in no calibration, six give 0.9998."""


def read_calibration(name: str, *, size: int) -> tuple[Calibration, ...]:
    """What the ranges of int8 are read from: one clip, or, for SYNTHETIC, several people.

    Raises InputError as `read_clip` does.
    """
    if name != SYNTHETIC:
        return (read_clip(name, size=size),)
    people = range(1, 1 + CALIBRATION_PEOPLE)
    return tuple(_synthetic(size=size, seed=seed, duration_s=CALIBRATION_S) for seed in people)


def read_clip(name: str, *, size: int) -> Calibration:
    """Every crop of the face in a video, an image folder or a crops file, and their durations.

    name: the file, or SYNTHETIC, a person who is in no calibration. size: side of the crops in
    pixels. Raises InputError for a file that cannot be read or shows no face.
    """
    if name == SYNTHETIC:
        return _synthetic(size=size, seed=0, duration_s=SYNTHETIC_S)
    if Path(name).suffix.lower() in CROPS_SUFFIXES:
        seen = list(crops_of_file(name, size=size)[0])
    else:
        tracker, _ = make_tracker(FaceConfig())
        with (
            open_frames(name, fps=None) as source,
            closing(tracked_crops(source, tracker, size=size)) as found,
        ):
            seen = [item for item in found if item.crop is not None]
    if len(seen) < 2:
        raise InputError(f"{name}: {len(seen)} frames with a face; give a clip of one face")
    frames = np.stack([np.asarray(item.crop) for item in seen])
    times_s = np.array([item.timestamp_s for item in seen])
    dt_s, _ = frame_durations_s(times_s)
    scaled = frames.astype(np.float32) / (255 if frames.dtype == np.uint8 else 1)
    return Calibration(scaled, dt_s.astype(np.float32))


def _synthetic(*, size: int, seed: int, duration_s: float) -> Calibration:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "face.mp4")
        synthesise_clip(path, config=ClipConfig(duration_s=duration_s, seed=seed))
        return read_clip(str(path), size=size)


def continued(clip: Calibration, n_frames: int) -> Calibration:
    """The clip over and over, until it has so many frames."""
    index = np.arange(n_frames) % len(clip.frames)
    return Calibration(clip.frames[index], clip.dt_s[index])
