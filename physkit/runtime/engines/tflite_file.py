"""Reads the metadata of a LiteRT file, without a FlatBuffers library.

The layout: https://flatbuffers.dev/internals, and schema.fbs of LiteRT.
"""

import struct
from pathlib import Path

from physkit.core.artifact import METADATA_KEY, TFLITE_IDENTIFIER
from physkit.core.errors import InputError

BUFFERS, METADATA = 4, 6
"""Fields of a model."""
NAME, BUFFER = 0, 1
"""Fields of an entry of its metadata."""
DATA, START, SIZE = 0, 1, 2
"""Fields of a buffer, whose data are behind the model where START is given."""


def read_card_text(path: Path) -> bytes | None:
    """The bytes that a .tflite carries under METADATA_KEY; None where there are none.

    Raises InputError for a file that cannot be read, or is no LiteRT model.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; check the path") from error
    if data[4:8] != TFLITE_IDENTIFIER:
        raise InputError(f"{path}: no LiteRT model; make one by physkit export")
    try:
        return _metadata(data)
    except struct.error as error:
        raise InputError(f"{path}: a damaged LiteRT model; make it again") from error


def _metadata(data: bytes) -> bytes | None:
    model = _offset(data, 0)
    for entry in _tables(data, _field(data, model, METADATA)):
        name = _field(data, entry, NAME)
        if name is None or _bytes(data, _offset(data, name)) != METADATA_KEY.encode():
            continue
        index = _field(data, entry, BUFFER)
        number = 0 if index is None else struct.unpack_from("<I", data, index)[0]
        buffers = _tables(data, _field(data, model, BUFFERS))
        return _content(data, buffers[number]) if number < len(buffers) else None
    return None


def _content(data: bytes, buffer: int) -> bytes | None:
    inside, start, size = (_field(data, buffer, number) for number in (DATA, START, SIZE))
    if inside is not None:
        return _bytes(data, _offset(data, inside))
    if start is None or size is None:
        return None
    (first,), (length,) = (struct.unpack_from("<Q", data, at) for at in (start, size))
    return data[first : first + length]


def _offset(data: bytes, at: int) -> int:
    """The position that the offset stored at `at` points to."""
    target: int = at + struct.unpack_from("<I", data, at)[0]
    return target


def _field(data: bytes, table: int, number: int) -> int | None:
    """Position of a field of a table; None where it is left out."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0:
        raise struct.error("offset outside of the file")
    at = 4 + 2 * number
    if at >= struct.unpack_from("<H", data, vtable)[0]:
        return None
    inside = struct.unpack_from("<H", data, vtable + at)[0]
    return table + inside if inside else None


def _tables(data: bytes, field: int | None) -> list[int]:
    """Positions of the tables of a vector."""
    if field is None:
        return []
    vector = _offset(data, field)
    (length,) = struct.unpack_from("<I", data, vector)
    if vector + 4 * length > len(data):
        raise struct.error("vector outside of the file")
    return [_offset(data, vector + 4 + 4 * k) for k in range(length)]


def _bytes(data: bytes, vector: int) -> bytes:
    (length,) = struct.unpack_from("<I", data, vector)
    return data[vector + 4 : vector + 4 + length]
