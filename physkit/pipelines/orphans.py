"""Worker processes that do not outlive whoever started them."""

import multiprocessing
import os
import threading


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
