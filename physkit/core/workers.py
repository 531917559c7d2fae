"""A pool of worker processes, any of which may die without taking the others along.

Ours, since pebble and concurrent.futures start workers through multiprocessing: they run the
caller's script again, which fails without a `__main__` guard, and a worker that dies while it is
idle ends their whole pool.
"""

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Pipe, wait
from typing import Any, TypeVar

WORKER = "physkit.core.worker_main"
"""Module that a worker process runs."""
EVENT, DONE, ERROR, DEATH = range(4)
"""Kinds of message: a value, the end of the task, an exception that ended it, a dead worker."""
ENDING_S = 5.0
"""How long in seconds a worker may take to end by itself."""
DAMAGE = "a damaged file, or a broken decoder"
REASONS = {signal.SIGKILL: "out of memory?", signal.SIGSEGV: DAMAGE, signal.SIGABRT: DAMAGE}

T = TypeVar("T")
E = TypeVar("E")


@dataclass(frozen=True)
class WorkerDeath:
    """The worker process died over a task."""

    cause: str
    """How it ended, such as `worker killed by signal 9 (SIGKILL, out of memory?)`."""


def n_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerProcess:
    """One worker process. It ends when it is stopped, or when this process ends, however that is.

    It works on one task at a time, ignores Ctrl-C, and prints to standard error only.
    """

    def __init__(self) -> None:
        self.connection, child = Pipe()
        folders = [folder or os.getcwd() for folder in sys.path]  # '' is the current folder
        with child:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", WORKER, str(child.fileno())],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
                stdin=subprocess.DEVNULL,
                pass_fds=[child.fileno()],
            )

    def send(self, work: Callable[[T], Iterable[Any]], task: T) -> None:
        """Starts a task. work: a function of a module; both must be picklable."""
        with suppress(BrokenPipeError, ConnectionResetError):  # `receive` reports the death
            self.connection.send((work, task))

    def receive(self) -> tuple[int, Any]:
        """The next message and its kind; waits for it. Raises what the task raised."""
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDING_S)
            return DEATH, WorkerDeath(_fate(self.stop()))
        if kind == ERROR:
            raise value
        return kind, value

    def run(self, work: Callable[[T], Iterable[E]], task: T) -> Iterator[E | WorkerDeath]:
        """What `work` gives for a task, as it comes; its exceptions are raised here."""
        self.send(work, task)
        kind = EVENT
        while kind == EVENT:
            kind, value = self.receive()
            if kind != DONE:
                yield value

    def stop(self) -> int:
        """Ends the process at once; gives its exit status, negative for a signal."""
        self._process.kill()
        self.connection.close()
        return self._process.wait()


def run_in_pool(
    work: Callable[[T], Iterable[E]], tasks: Sequence[T], *, workers: int, attempts: int = 1
) -> Iterator[tuple[int, E | WorkerDeath]]:
    """What `work` gives for every task, each with the task's index, as it comes.

    work: a function of a module. Its exceptions are raised here, and end the pool.
    workers: most processes at a time; one that dies is replaced.
    attempts: how often a task is tried whose worker dies; then a WorkerDeath comes for it.
    Whatever ends the iteration, such as Ctrl-C, ends the processes at once.
    """
    todo = deque((index, attempts) for index in range(len(tasks)))
    busy: dict[Any, tuple[WorkerProcess, int, int]] = {}

    def begin(worker: WorkerProcess) -> None:
        index, n_left = todo.popleft()
        busy[worker.connection] = worker, index, n_left - 1
        worker.send(work, tasks[index])

    try:
        while todo or busy:
            while todo and len(busy) < workers:
                begin(WorkerProcess())
            for connection in wait(list(busy)):
                worker, index, n_left = busy[connection]
                kind, value = worker.receive()
                if kind == EVENT:
                    yield index, value
                    continue
                del busy[connection]
                if kind == DEATH and n_left:
                    todo.appendleft((index, n_left))
                elif kind == DEATH:
                    yield index, value
                elif todo:
                    begin(worker)
                else:
                    worker.stop()
    finally:
        for worker, *_ in busy.values():
            worker.stop()


def _fate(code: int) -> str:
    if code >= 0:
        return f"worker ended with status {code}"
    name = signal.Signals(-code).name
    reason = REASONS.get(signal.Signals(-code))
    return f"worker killed by signal {-code} ({name}{', ' + reason if reason else ''})"
