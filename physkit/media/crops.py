"""Face crops that were prepared elsewhere: `.npy` and `.npz` files."""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np
from jaxtyping import Float, Float32, Float64, UInt8

from physkit.core.causes import first_line
from physkit.core.errors import InputError
from physkit.media.frames import CROPS_SUFFIXES, check_exists, check_fps, unused_fps

FORMAT = "frames (T, H, W, 3) as uint8, or as float in [0, 1]"
CHECKED_AT_ONCE = 256
"""Frames whose values are checked together, so that a mapped file is never whole in memory."""

UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    RecursionError,
    SyntaxError,
    RuntimeError,  # zipfile: an encrypted member; its NotImplementedError is one too
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    TokenError,
)
"""What NumPy and zipfile raise on damaged bytes."""


@dataclass(frozen=True, eq=False)
class Crops:
    """Aligned pictures of one face with their times."""

    frames: UInt8[np.ndarray, "t h w 3"] | Float32[np.ndarray, "t h w 3"]
    """RGB crops: uint8, or float32 in [0, 1]."""
    timestamps_s: Float64[np.ndarray, "t"]
    """Presentation time of each crop in seconds, strictly increasing."""
    notes: tuple[str, ...] = ()
    """What to tell the user of how they were read."""


def read_crops(path: str | Path, *, fps: float | None = None) -> Crops:
    """Crops from a `.npy` file, or a `.npz` file with `frames` and perhaps `timestamps_s`.

    uint8 and float32 `.npy` files are memory-mapped; other floats are converted to float32.
    fps: frame rate in Hz of a file without `timestamps_s`; else these are used, and a note says so.
    Raises InputError, with file, problem and fix, for anything but at least two valid crops.
    """
    path = Path(path)
    if fps is not None:
        check_fps(path, fps)
    check_exists(path)
    if path.is_dir() or path.suffix.lower() not in CROPS_SUFFIXES:
        raise InputError(f"{path}: not a crops file; give a .npy or .npz file with {FORMAT}")
    arrays = _load(path)
    if "frames" not in arrays:
        known = ", ".join(sorted(arrays)) or "nothing"
        raise InputError(f"{path}: no 'frames' in it, but {known}; save {FORMAT}")
    frames = _check_frames(path, arrays["frames"])
    if "timestamps_s" in arrays:
        times_s = _check_times(path, arrays["timestamps_s"], len(frames))
        return Crops(frames, times_s, unused_fps(path, fps, "the file has timestamps_s"))
    if fps is None:
        raise InputError(f"{path}: holds no timestamps_s; give the frame rate by --fps")
    return Crops(frames, np.arange(len(frames), dtype=np.float64) / fps)


def _load(path: Path) -> Mapping[str, np.ndarray]:
    """The arrays of a file by name; a `.npy` file's only one is called frames."""
    try:
        if path.suffix.lower() == ".npy":
            # open_memmap, not load: load would follow the content and open a zip or a pickle.
            return {"frames": np.lib.format.open_memmap(path, mode="r")}
        with zipfile.ZipFile(path) as archive:
            names = {"frames", "timestamps_s"} & {
                n.removesuffix(".npy") for n in archive.namelist()
            }
            if "frames" not in names:
                return {n.removesuffix(".npy"): np.empty(0) for n in archive.namelist()}
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except UNREADABLE as error:
        reason = first_line(error)
        raise InputError(
            f"{path}: truncated or damaged ({reason}); save it again with {FORMAT}"
        ) from error


def _check_frames(
    path: Path, frames: np.ndarray
) -> UInt8[np.ndarray, "t h w 3"] | Float32[np.ndarray, "t h w 3"]:
    if not isinstance(frames, np.ndarray) or frames.ndim != 4 or frames.shape[-1] != 3:
        shape = getattr(frames, "shape", "no shape")
        raise InputError(f"{path}: frames have shape {shape}; save {FORMAT}")
    if len(frames) < 2 or 0 in frames.shape:
        raise InputError(f"{path}: {frames.shape} is too little for a pulse; save {FORMAT}")
    if frames.dtype == np.uint8:
        return frames
    if not np.issubdtype(frames.dtype, np.floating):
        raise InputError(f"{path}: frames are {frames.dtype}; save {FORMAT}")
    for start in range(0, len(frames), CHECKED_AT_ONCE):
        part = frames[start : start + CHECKED_AT_ONCE]
        low, high = part.min(), part.max()
        if not np.isfinite(low) or not np.isfinite(high):
            raise InputError(f"{path}: NaN or infinite values from frame {start} on; save {FORMAT}")
        if low < 0 or high > 1:
            raise InputError(
                f"{path}: float values {low:.3g} to {high:.3g}; divide by 255 or save uint8"
            )
    return frames if frames.dtype == np.dtype(np.float32) else frames.astype(np.float32)


def _check_times(path: Path, times: np.ndarray, n_frames: int) -> Float64[np.ndarray, "t"]:
    if times.shape != (n_frames,):
        raise InputError(
            f"{path}: timestamps_s have shape {times.shape} for {n_frames} frames; save one a frame"
        )
    if not (np.issubdtype(times.dtype, np.floating) or np.issubdtype(times.dtype, np.integer)):
        raise InputError(f"{path}: timestamps_s are {times.dtype}; save seconds as float64")
    times_s: Float[np.ndarray, "t"] = times.astype(np.float64)
    if not np.isfinite(times_s).all():
        raise InputError(f"{path}: timestamps_s hold NaN or infinity; save seconds as float64")
    late = np.flatnonzero(np.diff(times_s) <= 0)
    if len(late):
        index = int(late[0]) + 1
        raise InputError(
            f"{path}: timestamps_s do not increase at frame {index} "
            f"({times_s[index - 1]} s, then {times_s[index]} s); sort them and drop doubles"
        )
    return times_s
