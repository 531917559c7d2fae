"""Named arrays in a safetensors file, by NumPy alone: what runs on a phone has little else.

The format: https://github.com/huggingface/safetensors#format (8 bytes of length, a JSON header,
then the arrays).
"""

import json
import struct
from collections.abc import Collection, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from physkit.core.errors import InputError
from physkit.core.files import whole_file

_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8"}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
_LENGTH = struct.Struct("<Q")
_MOST_HEADER_BYTES = 100_000_000


def write_arrays(
    path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """All arrays, bit by bit, or no file. Raises InputError where it cannot be written."""
    header: dict[str, object] = {"__metadata__": dict(metadata or {})}
    start = 0
    for name, array in arrays.items():
        end = start + array.nbytes
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # arrays start at multiples of 8 bytes
    with whole_file(path) as unfinished, unfinished.open("wb") as file:
        file.write(_LENGTH.pack(len(text)) + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).tobytes())


def read_arrays(
    path: Path, names: Collection[str] | None = None
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays (those of `names` where it is given) and metadata, with no more in memory than these.

    Raises InputError for a file that is missing or damaged.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path.stat().st_size, names)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; it belongs beside its artifact") from error
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged safetensors ({error}); make it again") from error


def _read(
    file: BinaryIO, size: int, names: Collection[str] | None
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size))
    if length > min(size, _MOST_HEADER_BYTES):
        raise ValueError(f"header of {length} bytes")
    header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", {})
    first = _LENGTH.size + length
    arrays = {
        name: _array(file, first, size, entry)
        for name, entry in header.items()
        if names is None or name in names
    }
    return arrays, metadata


def _array(file: BinaryIO, first: int, size: int, entry: Mapping[str, Any]) -> np.ndarray:
    dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= size - first:
        raise ValueError("entry outside of the file")
    if end - start != prod(shape) * dtype.itemsize:
        raise ValueError("entry of another size than its shape")
    array = np.empty(shape, dtype)
    file.seek(first + start)
    if file.readinto(array.reshape(-1).view(np.uint8)) != array.nbytes:  # type: ignore[attr-defined]
        raise ValueError("entry outside of the file")
    return array
