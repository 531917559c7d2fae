"""Why one piece of work among many failed, in one line, whatever was raised."""

import traceback
from pathlib import Path

from physkit.core.errors import PhyskitError


def cause_of(error: Exception) -> str:
    """What a user is told; what is no fault of the input is told as a bug, with its place."""
    if isinstance(error, PhyskitError | OSError):
        told = str(error)
    elif isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        told = f"out of memory; let it take less ({error})"
    else:
        told = f"{unexpected(error)}: a bug in physkit, please report it"
    return " ".join(told.split())


def unexpected(error: Exception) -> str:
    """Kind, place and message of an error that should not have been."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}: {error}"
