"""What a network reads beside frames: caches in a store, or what is computed of a recording."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from physkit.core.errors import InputError
from physkit.data import EXTRAS
from physkit.data.store import StoredRecording

NAME_BYTES = 160
"""Most bytes of the name of a data set and of a recording together."""
ReadExtra = Callable[[StoredRecording, slice], np.ndarray]
"""The rows (t ...) of a recording at some frames, one a frame: whatever the cut, each frame has its
row. Raises InputError, naming recording and fix, where there are none."""


def extra_readers(names: Sequence[str]) -> Mapping[str, ReadExtra]:
    """What reads each of these; it can be handed to worker processes."""
    return {name: EXTRAS[name] if name in EXTRAS else partial(cached, name) for name in names}


def cached(name: str, recording: StoredRecording, frames: slice) -> np.ndarray:
    """Rows of features/NAME/values, which a cache command has added to the recording."""
    return recording.feature(name, frames)


def recording_names(recording: StoredRecording, frames: slice) -> np.ndarray:
    """Data set and recording as UTF-8, ended by zeros; the same row for each frame."""
    name = f"{recording.dataset}/{recording.name}".encode()
    if len(name) > NAME_BYTES:
        raise InputError(
            f"{recording.place}: its name has more than {NAME_BYTES} bytes; prepare it anew under "
            "a shorter one"
        )
    row = np.frombuffer(name.ljust(NAME_BYTES, b"\0"), np.uint8)
    return np.tile(row, (frames.stop - frames.start, 1))


def frame_numbers(recording: StoredRecording, frames: slice) -> np.ndarray:  # noqa: ARG001
    """The number of each frame in the recording."""
    return np.arange(frames.start, frames.stop)


def read_extra(name: str, read: ReadExtra, recording: StoredRecording, frames: slice) -> np.ndarray:
    """The rows at these frames. Raises InputError where they are missing or of another number."""
    rows = np.asarray(read(recording, frames))
    if rows.shape[:1] != (frames.stop - frames.start,):
        raise InputError(
            f"{recording.place}: the extra input '{name}' has {rows.shape[:1]} rows at frames "
            f"{frames.start} to {frames.stop}; make it anew for this recording"
        )
    return rows
