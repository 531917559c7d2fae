"""A video that is one array of a MATLAB file, frame by frame, in little memory.

The data sets that do so (MMPD, SCAMPS) hold (time, height, width, colour), and MATLAB stores the
first axis fastest: the values of one pixel over time lie together, those of one frame do not. A
v5 file, which may be deflated, can only be read from its beginning; so its values are written to a
temporary file as 8-bit frames while they are read, once, and the frames are read from there. A
v7.3 file is stored in chunks: where one chunk of every pixel fits into memory, stretches of time
are read directly, and otherwise the temporary file serves as well. It takes a byte a value (415 MB
for a minute of MMPD, 26 MB of its small version) under TMPDIR, has no name, and is gone with the
process, however that ends.
"""

import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Shaped, UInt8

from physkit.core.errors import InputError
from physkit.data.formats.mat import open_mat
from physkit.data.formats.matlab import ArrayHeader, MatFile
from physkit.media.frames import Frame, FrameSource

COLOURS = 3
TOLERANCE = 1e-3
"""How far from 0 to 1 a value may lie that was rounded on its way."""
MAX_FRAMES = 1 << 20
"""Nine hours at 30 Hz."""
DIRECT_BYTES = 1 << 26
"""The most 8-bit values that are held of a stretch of time."""
STRETCH_BYTES = 1 << 22
"""What a stretch of time aims at, where chunks are shorter."""


class MatVideo(FrameSource):
    """The frames of one variable: (t, h, w, 3), uint8 or floats from 0 to 1.

    Raises InputError for a file or variable that is not so; and while iterating, for values out of
    range, damaged parts, or too little room for temporary files.
    """

    def __init__(self, path: Path, variable: str, *, fps: float) -> None:
        self._mat = open_mat(path)
        self._path = path
        self._variable = variable
        self._spool: IO[bytes] | None = None
        try:
            self._header = _check(self._mat, variable)
        except InputError:
            self._mat.close()
            raise
        n_frames, self._height, self._width, _ = self._header.shape
        super().__init__(name=str(path), fps=fps, n_frames=n_frames)

    def close(self) -> None:
        """Closes the file and frees the temporary one; may be called twice."""
        self._mat.close()
        if self._spool is not None:
            self._spool.close()

    def _read(self) -> Iterator[Frame]:
        length = self._stretch_length()
        frames = self._spooled() if length is None else self._direct(length)
        for index, picture in enumerate(frames):
            # Stored colour by colour and column by column.
            rgb = np.ascontiguousarray(picture.transpose(2, 1, 0))
            yield Frame(rgb, index / self.fps)

    def _stretch_length(self) -> int | None:
        """Frames to read at a time; None where that would be too many for memory."""
        chunk, frame_bytes = self._header.chunk_length, math.prod(self._header.shape[1:])
        if chunk is None or chunk * frame_bytes > DIRECT_BYTES:
            return None
        return chunk * max(1, STRETCH_BYTES // (chunk * frame_bytes))

    def _direct(self, length: int) -> Iterator[UInt8[np.ndarray, "3 w h"]]:
        n_frames = self._header.shape[0]
        for start in range(0, n_frames, length):
            stop = min(start + length, n_frames)
            stretch = np.empty((stop - start, COLOURS * self._width * self._height), np.uint8)
            for first, runs in self._mat.runs(self._variable, start, stop):
                stretch[:, first : first + len(runs)] = self._to_bytes(runs).T
            for pixels in stretch:
                yield pixels.reshape(COLOURS, self._width, self._height)

    def _spooled(self) -> Iterator[UInt8[np.ndarray, "3 w h"]]:
        n_frames = self._header.shape[0]
        shape = (COLOURS, self._width, self._height)
        frame_bytes = math.prod(shape)
        try:
            self._spool = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by close()
            for first, runs in self._mat.runs(self._variable, 0, n_frames):
                for index, pixels in enumerate(np.ascontiguousarray(self._to_bytes(runs).T)):
                    _write_at(self._spool.fileno(), pixels, index * frame_bytes + first)
            for index in range(n_frames):
                data = os.pread(self._spool.fileno(), frame_bytes, index * frame_bytes)
                yield np.frombuffer(data, np.uint8).reshape(shape)
        except OSError as error:
            megabytes = n_frames * frame_bytes / 1e6
            raise InputError(
                f"{self._path}: its frames need {megabytes:.0f} MB in {tempfile.gettempdir()} "
                f"({error.strerror}); make room there, or set TMPDIR to another folder"
            ) from error

    def _to_bytes(self, values: Shaped[np.ndarray, "n t"]) -> UInt8[np.ndarray, "n t"]:
        """Values from 0 to 1 as whole ones to 255; those that are whole already as they are."""
        if values.dtype == np.uint8:
            return values
        low, high = float(values.min()), float(values.max())
        if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):  # NaN too
            raise InputError(
                f"{self._path}: '{self._variable}' has values from {low:.4g} to {high:.4g}; "
                "floats from 0 to 1, or uint8, are needed"
            )
        scaled = values.astype(np.float32) * np.float32(255)
        scaled += np.float32(0.5)
        levels: UInt8[np.ndarray, "n t"] = scaled.astype(np.uint8)
        return levels


def _check(mat: MatFile, variable: str) -> ArrayHeader:
    """Shape and type of the video; raises InputError unless it can be one."""
    header = mat.header(variable)
    if header is None:
        raise mat.missing(variable)
    shape, dtype = header.shape, header.dtype
    needed = f"(frames, height, width, {COLOURS}), as uint8 or floats from 0 to 1, is needed"
    if len(shape) != 4 or shape[-1] != COLOURS or dtype not in (np.uint8, np.float32, np.float64):
        raise InputError(f"{mat.path}: '{variable}' is {dtype} of shape {shape}; {needed}")
    if min(shape) < 1 or shape[0] < 2 or shape[0] > MAX_FRAMES:
        raise InputError(f"{mat.path}: '{variable}' has shape {shape}; {needed}")
    if math.prod(shape[1:]) > DIRECT_BYTES:
        raise InputError(f"{mat.path}: '{variable}' has frames of {shape[1:]} values, too many")
    return header


def _write_at(descriptor: int, values: UInt8[np.ndarray, "n"], place: int) -> None:
    """Writes all of it; raises OSError where the disk is full."""
    written = 0
    while written < len(values):
        written += os.pwrite(descriptor, values[written:].data, place + written)
