"""What a network reads beside frames: caches in a store, or what is computed of a recording."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from physkit.core.errors import InputError
from physkit.data import EXTRAS
from physkit.data.store import StoredRecording

ReadExtra = Callable[[StoredRecording, slice], np.ndarray]
"""The rows (t ...) of a recording at some frames, one a frame: whatever the cut, each frame has its
row. Raises InputError, naming recording and fix, where there are none."""


def extra_readers(names: Sequence[str]) -> Mapping[str, ReadExtra]:
    """What reads each of these; it can be handed to worker processes."""
    return {name: EXTRAS[name] if name in EXTRAS else partial(cached, name) for name in names}


def cached(name: str, recording: StoredRecording, frames: slice) -> np.ndarray:
    """Rows of features/NAME/values, which a cache command has added to the recording."""
    return recording.feature(name, frames)


def read_extra(name: str, read: ReadExtra, recording: StoredRecording, frames: slice) -> np.ndarray:
    """The rows at these frames. Raises InputError where they are missing or of another number."""
    rows = np.asarray(read(recording, frames))
    if rows.shape[:1] != (frames.stop - frames.start,):
        raise InputError(
            f"{recording.place}: the extra input '{name}' has {rows.shape[:1]} rows at frames "
            f"{frames.start} to {frames.stop}; make it anew for this recording"
        )
    return rows
