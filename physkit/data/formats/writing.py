"""What every layout needs to write a recording whole or not at all."""

import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.data.readers.base import NewRecording
from physkit.media.frames import Frame

UNFINISHED = ".unfinished"
"""Suffix of the hidden folder of a recording that is being written."""


@contextmanager
def whole_recording(root: Path, name: str, files: Sequence[str]) -> Iterator[Path]:
    """A hidden folder to write a recording in; when the block ends without an error, its files
    take their places under `root`.

    files: relative to `root`, and to the hidden folder; the label is the last of them, so that a
      recording without it is an unfinished one. What lay in their places is replaced.
    Raises InputError where the disk refuses; then nothing is left behind.
    """
    unfinished = root / f".{name}{UNFINISHED}"
    try:
        # left by a killed run
        shutil.rmtree(unfinished, ignore_errors=True)
        for file in files:
            (unfinished / file).parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        replaced = unfinished / "replaced"
        replaced.mkdir()
        for index, file in reversed(list(enumerate(files))):
            if (root / file).exists():
                os.replace(root / file, replaced / str(index))
        for file in files:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            os.replace(unfinished / file, root / file)
    except OSError as error:
        raise InputError(
            f"{root / name}: cannot be written ({error}); choose another place"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def clear_unfinished(root: Path) -> None:
    """Removes what killed runs left under `root`; no other process may be writing there."""
    for folder in root.glob(f".*{UNFINISHED}"):
        shutil.rmtree(folder, ignore_errors=True)


def check_session(reader_title: str, recording: NewRecording, n_sessions: int) -> None:
    """Raises InputError for a session that the layout has no place for."""
    if not 0 <= recording.session < n_sessions:
        raise InputError(
            f"{reader_title}: session {recording.session} has no place in its layout; "
            f"give sessions below {n_sessions}"
        )


def check_rate(reader_title: str, recording: NewRecording, fps: float) -> None:
    """Raises InputError for a frame rate other than the one that the layout implies."""
    if not math.isclose(recording.fps, fps):
        raise InputError(
            f"{reader_title}: {recording.fps} frames/s cannot be told in its layout; give {fps:g}"
        )


def sensor_times_s(duration_s: float, rate_hz: float) -> Float[np.ndarray, "t"]:
    """Moments of a sensor that starts with the video and outlasts it, in seconds."""
    return np.arange(int(np.ceil(duration_s * rate_hz)) + 1) / rate_hz


def noting_times(frames: Iterable[Frame], times_s: list[float]) -> Iterator[Frame]:
    """The same frames; the time of each is added to `times_s` as it passes."""
    for frame in frames:
        times_s.append(frame.timestamp_s)
        yield frame
