"""Memory that is given back by one training step and taken again by the next."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of malloc.h
LARGEST_KEPT = 32 << 20
"""Bytes; glibc takes no larger threshold, and hands every larger buffer back to the system."""


def keep_freed_memory() -> None:
    """Tells glibc to keep what is freed for the rest of this process; elsewhere does nothing.

    Every buffer of a few megabytes is otherwise given back and mapped again, page by page, which
    costs a training step a seventh of its time (docs/benchmarks.md).
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_MMAP_THRESHOLD, LARGEST_KEPT)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
