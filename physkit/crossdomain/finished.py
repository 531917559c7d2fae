"""What is finished, and with what: a note in the folder of each training and of each cell.

The folder's name ends in the key of all that decides its content, so that a matrix with other
settings or data finds none of this one's, and the note is written last.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from physkit.core.errors import InputError
from physkit.core.files import whole_file

NOTE = "done.json"
KEY_LENGTH = 10
"""Characters of a key: 40 bits, for a handful of folders."""


def content_key(content: Mapping[str, Any]) -> str:
    """Of values that JSON can hold; the order of names does not matter."""
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def read_note(folder: Path) -> dict[str, Any] | None:
    """What was noted when the folder was finished; None where it is not.

    Raises InputError for a note that cannot be read.
    """
    path = folder / NOTE
    try:
        if not path.exists():
            return None
        note: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: unreadable ({error}); remove {folder}") from error
    return note


def write_note(folder: Path, note: Mapping[str, Any]) -> None:
    """Marks a folder as finished. Raises InputError where that cannot be written."""
    with whole_file(folder / NOTE) as unfinished:
        unfinished.write_text(json.dumps(note, indent=1, allow_nan=False), encoding="utf-8")
