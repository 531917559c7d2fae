"""Named arrays in a safetensors file, by NumPy alone: what runs on a phone has little else.

The format: https://github.com/huggingface/safetensors#format (8 bytes of length, a JSON header,
then the arrays).
"""

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

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


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and metadata. Raises InputError for a file that is missing or damaged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; it belongs beside its artifact") from error
    try:
        (length,) = _LENGTH.unpack_from(data)
        if length > _MOST_HEADER_BYTES:
            raise ValueError(f"header of {length} bytes")
        header = json.loads(data[_LENGTH.size : _LENGTH.size + length])
        metadata = header.pop("__metadata__", {})
        body = memoryview(data)[_LENGTH.size + length :]
        return {name: _array(body, entry) for name, entry in header.items()}, metadata
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged safetensors ({error}); make it again") from error


def _array(body: memoryview, entry: Mapping[str, Any]) -> np.ndarray:
    dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= len(body):
        raise ValueError("entry outside of the file")
    if end - start != prod(shape) * dtype.itemsize:
        raise ValueError("entry of another size than its shape")
    return np.frombuffer(body[start:end], dtype).reshape(shape).copy()
