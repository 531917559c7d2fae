"""Folders of images as a video."""

import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from physkit.core.errors import InputError
from physkit.core.files import is_dead_link, missing, visible
from physkit.core.naming import natural_order
from physkit.media.frames import Frame, FrameSource, unused_fps
from physkit.media.picture import PixelPicture

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
NANOSECONDS = re.compile(r"(?:^|\D)(\d{18,19})$")
"""The end of a name that is a time in nanoseconds since 1970, as in PURE."""

DECODERS = 2
"""Threads that decode images where there is no limit: a PNG takes longer than all that follows."""
READ_AHEAD = 4
"""Images that they may be ahead."""


class ImageFolder(FrameSource):
    """The images of one folder, in name order, numbers in names compared as numbers.

    Names that end in nanoseconds since 1970 (as in PURE) give the times; otherwise `fps` does.
    All images must have the size of the first. An image that cannot be decoded is a frame without
    a picture.

    Raises InputError for a folder without images, without a clock, or with equal times; and while
    iterating, for an image of another size or that cannot be opened, and where too many are
    damaged.
    """

    def __init__(self, path: Path, *, fps: float | None = None) -> None:
        self._files = sorted(image_files(path), key=lambda file: natural_order(file.stem))
        if len(self._files) < 2:
            what = "only one image" if self._files else "no images"
            kinds = " ".join(sorted(IMAGE_SUFFIXES))
            raise InputError(f"{path}: a folder with {what}; give one with a sequence of {kinds}")
        self._timestamps_s, is_timed = _times_s(path, self._files, fps)
        nominal_fps = (len(self._files) - 1) / self._timestamps_s[-1]
        super().__init__(name=str(path), fps=nominal_fps, n_frames=len(self._files))
        if is_timed:
            self.notes = unused_fps(path, fps, "the names of its images are times")

    def close(self) -> None:
        """Nothing is held open between images."""

    def _read(self) -> Iterator[Frame]:
        first_shape: tuple[int, ...] | None = None
        for file, timestamp_s, bgr in zip(
            self._files, self._timestamps_s, self._read_ahead(), strict=True
        ):
            if bgr is None:
                yield self._damaged(timestamp_s, file.name)
                continue
            first_shape = first_shape or bgr.shape
            if bgr.shape != first_shape:
                raise InputError(
                    f"{file}: {bgr.shape[1]}x{bgr.shape[0]} pixels, the first image has "
                    f"{first_shape[1]}x{first_shape[0]}; keep one recording in a folder"
                )
            yield Frame(PixelPicture(bgr, order="bgr"), timestamp_s)
        self._check_damage(len(self._files))

    def _read_ahead(self) -> Iterator[UInt8[np.ndarray, "h w 3"] | None]:
        waiting: deque[Future[UInt8[np.ndarray, "h w 3"] | None]] = deque()
        with ThreadPoolExecutor(self.decode_threads or DECODERS) as decoders:
            try:
                for file in self._files:
                    waiting.append(decoders.submit(_read_bgr, file))
                    if len(waiting) > READ_AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for unread in waiting:
                    unread.cancel()


def image_files(folder: Path) -> list[Path]:
    """The images of a folder but for hidden ones.

    Raises OSError where it cannot be looked into, InputError for a link to what is not there.
    """
    images = [file for file in visible(folder) if file.suffix.lower() in IMAGE_SUFFIXES]
    for file in images:
        if is_dead_link(file):
            raise missing(file, "")
    return [file for file in images if file.is_file()]


def _read_bgr(path: Path) -> UInt8[np.ndarray, "h w 3"] | None:
    """One image file, its channels from blue to red; None where it is damaged.

    Raises InputError where it cannot be opened.
    """
    # imdecode, not imread: imread writes its own complaint to stderr.
    try:
        data = np.fromfile(path, dtype=np.uint8)
        bgr: UInt8[np.ndarray, "h w 3"] | None
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except OSError as error:
        raise InputError(f"{path}: unreadable ({error.strerror}); check the file") from error
    except cv2.error:
        return None
    return bgr


def _times_s(folder: Path, files: list[Path], fps: float | None) -> tuple[list[float], bool]:
    """Seconds since the first image of every image, and whether their names say so."""
    stamps = [NANOSECONDS.search(file.stem) for file in files]
    if all(stamps):
        # Whole nanoseconds are subtracted first: as a float, a date has no room for them.
        nanoseconds = [int(stamp[1]) for stamp in stamps if stamp]
        times_s = [(t - nanoseconds[0]) * 1e-9 for t in nanoseconds]
        for previous, file, dt_s in zip(files, files[1:], np.diff(times_s), strict=False):
            if dt_s <= 0:
                raise InputError(f"{file}: its time is not after {previous.name}; remove one")
        return times_s, True
    if fps is None:
        raise InputError(f"{folder}: images without times in their names; give their --fps")
    return [index / fps for index in range(len(files))], False
