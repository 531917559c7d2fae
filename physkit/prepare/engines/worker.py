"""A worker process: takes tasks from its standard input and answers on its standard output.

It ends when its input does, which is when whoever started it dies, however that happens.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)  # before all else: Ctrl-C is for the parent

import os  # noqa: E402
import pickle  # noqa: E402
import queue  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from typing import BinaryIO  # noqa: E402

from physkit.prepare.work import PrepareTask, work  # noqa: E402


def main() -> None:
    """Works until the input ends."""
    tasks: queue.Queue[PrepareTask] = queue.Queue()
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody else may write among the answers
    threading.Thread(target=_receive, args=(requests, tasks), daemon=True).start()
    while True:
        for event in work(tasks.get()):
            pickle.dump(event, answers)
            answers.flush()


def _receive(requests: BinaryIO, tasks: "queue.Queue[PrepareTask]") -> None:
    """Hands tasks on; when the parent is gone, so is this process, at once and whole."""
    while True:
        try:
            tasks.put(pickle.load(requests))
        except EOFError:
            os._exit(0)


if __name__ == "__main__":
    main()
