"""MATLAB files by their version: what a file is, and the reader that it needs."""

from pathlib import Path

import numpy as np

from physkit.core.errors import InputError
from physkit.core.files import missing
from physkit.data.formats.labels import REPAIR
from physkit.data.formats.matlab import BYTE_ORDERS, HEADER_BYTES, V5, V73, MatFile
from physkit.data.formats.matlab5 import Mat5File
from physkit.data.formats.matlab73 import Mat73File

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
HDF5_OFFSETS = (0, 512, 1024, 2048)
"""Where HDF5 looks for its signature first."""


def open_mat(path: Path) -> MatFile:
    """A `.mat` file of version 5 or 7.3; any path of pathlib's kind will do.

    Raises InputError, with what the file is instead, for anything else.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HDF5_OFFSETS[-1] + len(HDF5_SIGNATURE))
    except FileNotFoundError as error:
        raise missing(path, f"no such file; {REPAIR}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: unreadable ({error}); check the path") from error
    order = BYTE_ORDERS.get(head[126:HEADER_BYTES])
    version = np.frombuffer(head, f"{order}u2", 1, 124).item() if order else None
    if version == V5:
        return Mat5File(path)
    if version == V73:
        return Mat73File(path)
    raise InputError(
        f"{path}: {_what_else(head)}; a MATLAB file of version 5 or 7.3 is needed: {REPAIR}, or "
        "save it anew with -v7 or -v7.3"
    )


def _what_else(head: bytes) -> str:
    if any(head.startswith(HDF5_SIGNATURE, offset) for offset in HDF5_OFFSETS):
        return "an HDF5 file that is not MATLAB's"
    if len(head) < HEADER_BYTES:
        return f"only {len(head)} bytes long, not a MATLAB file"
    if head[:64].isascii() and head[:64].decode().isprintable():
        return "a text, not a MATLAB file"
    return "not a MATLAB file, or one of version 4"
