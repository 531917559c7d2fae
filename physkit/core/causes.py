"""Any exception as one line: why one of many tasks failed."""

import traceback
from pathlib import Path

from physkit.core.errors import PhyskitError


def cause_of(error: Exception) -> str:
    """The line for the user; an error that the input did not cause is called a bug."""
    if isinstance(error, PhyskitError | OSError):
        line = str(error)
    elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        line = f"out of memory; let it take less ({error})"
    else:
        line = f"{unexpected(error)}: a bug in physkit, please report it"
    return " ".join(line.split())


def first_line(error: Exception) -> str:
    """The first line of what another library says, or its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def unexpected(error: Exception) -> str:
    """Type, place and message of an unexpected error."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}: {error}"
