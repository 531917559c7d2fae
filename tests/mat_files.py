"""MATLAB files as MATLAB and SciPy write them, of either version."""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

FORMATS = ("v5", "v5-deflated", "v7.3")
HEADER_BYTES = 128


def write_mat(path: Path, form: str, variables: Mapping[str, Any], **layout: Any) -> Path:
    """layout: how h5py stores arrays of four axes, for v7.3."""
    if form == "v7.3":
        return write_mat73(path, variables, **layout)
    scipy.io.savemat(path, dict(variables), do_compression=form == "v5-deflated")
    return path


def write_mat73(path: Path, variables: Mapping[str, Any], **layout: Any) -> Path:
    """Text as char, a mapping as a structure, and arrays with their axes the other way round."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_group("#refs#")
        for name, value in variables.items():
            _put(file, name, value, layout)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")
    return path


def _put(group: h5py.Group, name: str, value: Any, layout: Mapping[str, Any]) -> None:
    if isinstance(value, Mapping):
        child = group.create_group(name)
        child.attrs["MATLAB_class"] = np.bytes_("struct")
        for field, content in value.items():
            _put(child, field, content, layout)
        return
    if isinstance(value, str):
        codes = np.array([[ord(letter)] for letter in value], np.uint16)
        dataset, kind = group.create_dataset(name, data=codes), "char"
    else:
        array = np.atleast_2d(value)
        options = layout if array.ndim == 4 else {}
        stored = array.astype(np.uint8) if array.dtype == bool else array
        dataset = group.create_dataset(name, data=stored.T, **options)
        kind = {"bool": "logical", "float64": "double", "float32": "single"}.get(
            str(array.dtype), str(array.dtype)
        )
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    """One element of a v5 file, padded."""
    head = struct.pack(f"{order}II", kind, len(data))
    return head + data + bytes(-len(data) % 8)


def matrix(
    name: str, shape: tuple[int, ...], values: bytes, *, kind: int, order: str = "<"
) -> bytes:
    """A variable of doubles whose values are stored as the element `values`."""
    body = (
        element(6, struct.pack(f"{order}II", kind, 0), order)
        + element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
        + element(1, name.encode(), order)
        + values
    )
    return element(14, body, order)


def mat5(*elements: bytes, order: str = "<") -> bytes:
    """A whole v5 file."""
    ending = b"\x00\x01IM" if order == "<" else b"\x01\x00MI"
    return b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + ending + b"".join(elements)


def sparse_video(path: Path, shape: tuple[int, ...]) -> Path:
    """A v5 file with a black video of floats, which takes no room on the disk."""
    n_bytes = 4 * int(np.prod(shape))
    head = mat5(matrix("video", shape, struct.pack("<II", 7, n_bytes), kind=7))
    place = HEADER_BYTES + 4
    size = struct.unpack_from("<I", head, place)[0] + n_bytes
    path.write_bytes(head[:place] + struct.pack("<I", size) + head[place + 4 :])
    with path.open("r+b") as file:
        file.truncate(len(head) + n_bytes)
    return path


def deflated(path: Path, target: Path) -> Path:
    """The v5 file `path`, which holds one variable, with that deflated, part by part."""
    compressor = zlib.compressobj(1)
    with path.open("rb") as plain, target.open("wb") as file:
        file.write(plain.read(HEADER_BYTES) + bytes(8))
        while block := plain.read(1 << 22):
            file.write(compressor.compress(block))
        file.write(compressor.flush())
        size = file.tell() - HEADER_BYTES - 8
        file.seek(HEADER_BYTES)
        file.write(struct.pack("<II", 15, size))
    return target
