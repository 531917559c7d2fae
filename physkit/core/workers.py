"""Worker processes: how many, and such as do not outlive whoever started them."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pebble import ProcessPool


def n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def worker_pool(workers: int) -> "Iterator[ProcessPool]":
    """So many processes; whatever ends the block, such as Ctrl-C, ends them at once."""
    from pebble import ProcessPool

    # Not forked: the libraries of the parent may hold locks that no thread of the child frees.
    context = multiprocessing.get_context("spawn")
    with ProcessPool(workers, context=context, initializer=end_with_parent) as pool:
        try:
            yield pool
        finally:
            pool.stop()  # type: ignore[no-untyped-call]


def end_with_parent() -> None:
    """Called in a process of multiprocessing: it ends at once when its parent does.

    A parent that is killed tells nobody; its workers would wait for work for ever, or go on
    writing while the next run writes the same.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
