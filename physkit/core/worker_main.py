"""A worker process: takes tasks from a connection and answers on it.

It ends when the other end of the connection closes: when the process that started it dies.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)  # before all else: Ctrl-C is for the parent

import os  # noqa: E402
import pickle  # noqa: E402
import queue  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from multiprocessing.connection import Connection  # noqa: E402
from typing import Any  # noqa: E402

from physkit.core.workers import DONE, ERROR, EVENT  # noqa: E402


def main() -> None:
    """Works until the connection closes."""
    connection = Connection(int(sys.argv[1]))
    os.dup2(2, 1)  # standard output is for the parent's results
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, tasks), daemon=True).start()
    while True:
        try:
            work, task = pickle.loads(tasks.get())
            for event in work(task):
                _send(connection, EVENT, event)
            _send(connection, DONE, None)
        except Exception as error:  # noqa: BLE001 (raised in the parent)
            _send(connection, ERROR, error)


def _send(connection: Connection, kind: int, value: Any) -> None:
    try:
        connection.send((kind, value))
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the parent is gone


def _receive(connection: Connection, tasks: "queue.SimpleQueue[bytes]") -> None:
    """Hands tasks on; when the parent is gone, this process ends at once."""
    while True:
        try:
            tasks.put(connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)


if __name__ == "__main__":
    main()
