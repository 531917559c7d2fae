"""RGB frames with their times, and where they come from."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import UInt8

from physkit.core.errors import InputError
from physkit.media.picture import Picture, PixelPicture

CAMERA_PREFIX = "camera:"
CROPS_SUFFIXES = frozenset({".npy", ".npz"})


class CameraLostError(InputError):
    """A camera that delivered frames and does not any more."""


class Frame:
    """One picture and the moment it was shown.

    picture: an array is taken for upright sRGB (h w 3).
    timestamp_s: presentation time in seconds since the first frame of its source.
    """

    def __init__(self, picture: Picture | UInt8[np.ndarray, "h w 3"], timestamp_s: float) -> None:
        self.picture = PixelPicture(picture) if isinstance(picture, np.ndarray) else picture
        self.timestamp_s = timestamp_s

    @cached_property
    def rgb(self) -> UInt8[np.ndarray, "h w 3"]:
        """The whole picture; kept once it was asked for. Quicker: a `part` of the `picture`."""
        return self.picture.part(0, self.picture.height, 0, self.picture.width)


class FrameSource(ABC):
    """Frames in the order they were shown, read once and one at a time.

    A context manager; leaving it releases the file or the camera. Times strictly increase and
    start at 0. Iterating raises InputError where the source turns out to be damaged.

    name: what errors call the source.
    fps: nominal frame rate in Hz, for a progress bar alone; NaN where unknown.
    n_frames: estimate of how many frames will come, for a progress bar; None where unknown.
    decode_threads: threads that may decode, to be set before the first frame; 0 lets the source
      choose as if nothing else were to be done.
    """

    def __init__(self, *, name: str, fps: float, n_frames: int | None) -> None:
        self.name = name
        self.fps = fps
        self.n_frames = n_frames
        self.decode_threads = 0
        self._is_read = False

    def __iter__(self) -> Iterator[Frame]:
        if self._is_read:
            raise RuntimeError(f"{self.name}: frames are streamed and can be read once; reopen it")
        self._is_read = True
        return self._read()

    @abstractmethod
    def _read(self) -> Iterator[Frame]:
        """The frames, from the first on."""

    @abstractmethod
    def close(self) -> None:
        """Releases what the source holds; may be called twice."""

    def __enter__(self) -> "FrameSource":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def check_fps(source: str | Path, fps: float) -> None:
    """Raises InputError unless `fps` is a usable frame rate."""
    if not (math.isfinite(fps) and fps > 0):
        raise InputError(f"{source}: a frame rate of {fps} Hz is impossible; give --fps above 0")


def check_exists(path: Path) -> None:
    """Raises InputError when nothing lies at `path`."""
    try:
        exists = path.exists()
    except (OSError, ValueError) as error:  # a name too long, or with a NUL in it
        raise InputError(f"{str(path)!r}: no usable file name ({error}); check the path") from error
    if not exists:
        raise InputError(f"{path}: no such file or folder; check the path")
