"""Writing MATLAB files of version 7.3 as a recording comes, in little memory."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float, UInt8

from physkit.data.formats.matlab import HEADER_BYTES, V73
from physkit.media.frames import Frame

USERBLOCK_BYTES = 512
"""What MATLAB leaves in front of the HDF5 file."""
HEADER_TEXT = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created by: physkit HDF5 schema 1.00 ."
TEXT_BYTES = 116
COLOURS = 3
CHUNK_BYTES = 1 << 23
"""Raw size that a chunk of frames aims at."""
DEFLATE_LEVEL = 1
"""Of floats with 256 values, bytes sorted, higher levels take longer and save little."""


LEVELS = (np.arange(256) / 255).astype(np.float32)
"""The float of every 8-bit value."""


class MatWriter:
    """Puts variables into a new v7.3 file, each shown by MATLAB in the shape that is stated."""

    def __init__(self, file: h5py.File) -> None:
        self._file = file

    def text(self, name: str, value: str) -> None:
        """A text of one line."""
        codes = np.frombuffer(value.encode("utf-16-le"), np.uint16)[:, None]
        self._put(name, codes, "char").attrs["MATLAB_int_decode"] = np.int32(2)

    def number(self, name: str, value: float) -> None:
        """One number, as double."""
        self._put(name, np.array([[value]], np.float64), "double")

    def signal(self, name: str, values: Float[np.ndarray, "t"]) -> None:
        """A signal of doubles: (1, t)."""
        self._put(name, values.astype(np.float64)[:, None], "double")

    def video(self, name: str, frames: Iterable[Frame], *, size_px: tuple[int, int]) -> int:
        """Frames of width and height `size_px`, as singles from 0 to 1: (t, h, w, 3).

        Gives how many there were.
        """
        width, height = size_px
        length = max(1, min(64, CHUNK_BYTES // (COLOURS * width * height * 4)))
        chunk = (COLOURS, width, height, length)
        dataset = self._file.create_dataset(
            name,
            shape=(*chunk[:3], 0),
            maxshape=(*chunk[:3], None),
            chunks=chunk,
            dtype=np.float32,
            compression="gzip",
            compression_opts=DEFLATE_LEVEL,
        )
        dataset.attrs["MATLAB_class"] = np.bytes_("single")
        n_frames = 0
        for pictures in _stacks(frames, length, size_px):
            start, n_frames = n_frames, n_frames + len(pictures)
            with _disk():
                dataset.resize(n_frames, axis=3)
                dataset[..., start:] = LEVELS[pictures.transpose(3, 2, 1, 0)]
        return n_frames

    def _put(self, name: str, stored: np.ndarray, matlab_class: str) -> h5py.Dataset:
        with _disk():
            dataset = self._file.create_dataset(name, data=stored)
        dataset.attrs["MATLAB_class"] = np.bytes_(matlab_class)
        return dataset


@contextmanager
def _disk() -> Iterator[None]:
    """What HDF5 says of a full disk, as an OSError."""
    try:
        yield
    except RuntimeError as error:
        raise OSError(f"HDF5: {error}") from error


@contextmanager
def new_mat(path: Path) -> Iterator[MatWriter]:
    """A v7.3 file at `path`, finished when the block ends without an error.

    Raises OSError where the disk refuses.
    """
    file = h5py.File(path, "w", userblock_size=USERBLOCK_BYTES)
    try:
        yield MatWriter(file)
    finally:
        with _disk():
            file.close()
    with path.open("r+b") as raw:
        head = HEADER_TEXT.ljust(TEXT_BYTES) + bytes(8) + V73.to_bytes(2, "little") + b"IM"
        raw.write(head.ljust(HEADER_BYTES))


def _stacks(
    frames: Iterable[Frame], length: int, size_px: tuple[int, int]
) -> Iterator[UInt8[np.ndarray, "t h w 3"]]:
    """Frames in stacks of `length`, the last perhaps shorter."""
    stack: list[UInt8[np.ndarray, "h w 3"]] = []
    for frame in frames:
        if frame.rgb.shape[1::-1] != size_px:
            raise ValueError(f"a frame of {frame.rgb.shape[1::-1]} pixels in a video of {size_px}")
        stack.append(frame.rgb)
        if len(stack) == length:
            yield np.stack(stack)
            stack = []
    if stack:
        yield np.stack(stack)
