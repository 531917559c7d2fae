"""RGB frames with their times, and where they come from."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import UInt8

from physkit.core.errors import InputError
from physkit.core.files import missing
from physkit.media.picture import Picture, PixelPicture

CAMERA_PREFIX = "camera:"
CROPS_SUFFIXES = frozenset({".npy", ".npz"})

REPAIR = (
    "copy or download it again, or re-encode it from the original, as in: "
    "ffmpeg -i original -c:v libx264 -crf 10 new.mp4"
)
MAX_DAMAGED = 0.2
"""Largest share of damaged pictures with which a source is read; more, and it is refused."""


class CameraLostError(InputError):
    """A camera that delivered frames and does not any more."""


class Frame:
    """One picture and the moment it was shown.

    picture: an array is taken for upright sRGB (h w 3); None is one that is damaged.
    timestamp_s: presentation time in seconds since the first frame of its source.
    """

    def __init__(
        self, picture: Picture | UInt8[np.ndarray, "h w 3"] | None, timestamp_s: float
    ) -> None:
        self.picture = PixelPicture(picture) if isinstance(picture, np.ndarray) else picture
        self.timestamp_s = timestamp_s

    @cached_property
    def rgb(self) -> UInt8[np.ndarray, "h w 3"]:
        """The whole picture; kept once it was asked for. Quicker: a `part` of the `picture`.

        Raises ValueError for a damaged one.
        """
        picture = self.whole_picture
        return picture.part(0, picture.height, 0, picture.width)

    @property
    def whole_picture(self) -> Picture:
        """The picture; raises ValueError for a damaged one."""
        if self.picture is None:
            raise ValueError(f"the picture at {self.timestamp_s:.3f} s is damaged")
        return self.picture


@dataclass
class DamageCount:
    """How many frames of a source had no picture so far, and why."""

    n_damaged: int = 0
    """Pictures that are damaged."""
    first: str = ""
    """The time of the first of these, and its name where it has one."""
    n_missing_start: int = 0
    """Pictures before the first key picture, which need others from before the file's start."""
    missing_start_s: float = 0.0
    """How long these last in seconds."""

    def add(self, timestamp_s: float, name: str = "") -> None:
        """Counts a damaged picture. name: of its own file, where it has one."""
        self.n_damaged += 1
        self.first = self.first or f"{name} at {timestamp_s:.2f} s".strip()

    def sentences(self) -> tuple[str, ...]:
        """What to tell the user."""
        told = []
        if self.n_missing_start:
            told.append(
                f"the first {self.missing_start_s:.2f} s cannot be decoded: the video begins "
                "between two key pictures"
            )
        if self.n_damaged:
            pictures = "picture is" if self.n_damaged == 1 else "pictures are"
            where = f" (the first: {self.first})" if self.first else ""
            count = "counts" if self.n_damaged == 1 else "count"
            told.append(f"{self.n_damaged} {pictures} damaged{where} and {count} as not seen")
        return tuple(told)


class FrameSource(ABC):
    """Frames in the order they were shown, read once and one at a time.

    A context manager; leaving it releases the file or the camera. Times strictly increase and
    start at 0. A frame whose picture is damaged has none. Iterating raises InputError where the
    source turns out to be truncated, or more than `MAX_DAMAGED` of its pictures to be damaged.

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
        self.damage = DamageCount()
        """What could not be seen of the frames so far."""
        self.notes: tuple[str, ...] = ()
        """What to tell the user of how it was opened."""
        self._is_read = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to tell the user of the source and of its frames so far."""
        return (*self.notes, *self.damage.sentences())

    def __iter__(self) -> Iterator[Frame]:
        if self._is_read:
            raise RuntimeError(f"{self.name}: frames are streamed and can be read once; reopen it")
        self._is_read = True
        return self._read()

    @abstractmethod
    def _read(self) -> Iterator[Frame]:
        """The frames, from the first on."""

    def _damaged(self, timestamp_s: float, name: str = "") -> Frame:
        """A frame whose picture is damaged, counted. name: of its own file, where it has one."""
        self.damage.add(timestamp_s, name)
        return Frame(None, timestamp_s)

    def _check_damage(self, n_frames: int) -> None:
        """Raises InputError where too many of so many frames are damaged."""
        n_damaged = self.damage.n_damaged
        if n_damaged > MAX_DAMAGED * n_frames:
            raise InputError(
                f"{self.name}: {n_damaged} of {n_frames} pictures are damaged (the first: "
                f"{self.damage.first}), and more than {MAX_DAMAGED:.0%} are too many; {REPAIR}"
            )

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


def unused_fps(source: str | Path, fps: float | None, clock: str) -> tuple[str, ...]:
    """The note that a given frame rate is not used. clock: what the times are instead."""
    if fps is None:
        return ()
    return (f"{source}: a frame rate of {fps:g} Hz was given and is not used: {clock}",)


def check_exists(path: Path) -> None:
    """Raises InputError when nothing lies at `path`."""
    try:
        exists = path.exists()
    except (OSError, ValueError) as error:  # a name too long, or with a NUL in it
        raise InputError(f"{str(path)!r}: no usable file name ({error}); check the path") from error
    if not exists:
        raise missing(path, "no such file or folder; check the path")
