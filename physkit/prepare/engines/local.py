"""Worker processes of this computer, any of which may die without taking the others along."""

import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

from physkit.prepare.engines.base import Crew
from physkit.prepare.work import Outcome, PrepareTask, Progress

WORKER = (sys.executable, "-m", "physkit.prepare.engines.worker")
ATTEMPTS = 2
"""How often a recording is tried whose worker dies."""
SEGFAULT = "a damaged file, or a broken decoder"
REASONS = {signal.SIGKILL: "out of memory?", signal.SIGSEGV: SEGFAULT, signal.SIGABRT: SEGFAULT}

Events = queue.Queue[Progress | Outcome | BaseException]


def run_local(tasks: Sequence[PrepareTask], crew: Crew) -> Iterator[Progress | Outcome]:
    """Does all tasks, each in one of `crew.workers` processes; closing the generator ends them."""
    todo: queue.SimpleQueue[PrepareTask] = queue.SimpleQueue()
    for task in tasks:
        todo.put(task)
    events: Events = queue.Queue()
    posts = [_Post(todo, events) for _ in range(min(crew.workers, len(tasks)))]
    try:
        for post in posts:
            post.start()
        n_left = len(tasks)
        while n_left:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            n_left -= isinstance(event, Outcome)
            yield event
    finally:
        for post in posts:
            post.stop()


class _Post(threading.Thread):
    """Keeps one worker process busy, and replaces it when it dies."""

    def __init__(self, todo: "queue.SimpleQueue[PrepareTask]", events: Events) -> None:
        super().__init__(daemon=True)
        self._todo = todo
        self._events = events
        self._lock = threading.Lock()
        self._worker: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def run(self) -> None:
        """Does tasks until there are none, or `stop` is called."""
        try:
            while not self._is_stopped:
                self._do(self._todo.get_nowait())
        except queue.Empty:
            return
        except BaseException as error:  # noqa: BLE001 (told in the main thread, which waits)
            self._events.put(error)

    def stop(self) -> None:
        """Ends the worker at once; what it was doing is not done."""
        with self._lock:
            self._is_stopped = True
            worker = self._worker
        if worker is not None:
            worker.kill()
        if self.is_alive():
            self.join()
        if worker is not None:
            _closed(worker)

    def _do(self, task: PrepareTask) -> None:
        code = 0
        for _ in range(ATTEMPTS):
            worker = self._ready_worker()
            if worker is None or self._work(worker, task):
                return
            code = _closed(worker)
            if self._is_stopped:
                return
        failure = f"{_fate(code)}, {ATTEMPTS} times over"
        self._events.put(Outcome(task.recording.name, failure=failure))

    def _ready_worker(self) -> "subprocess.Popen[bytes] | None":
        """A living worker; None after `stop`."""
        with self._lock:
            if self._is_stopped:
                return None
            if self._worker is None or self._worker.poll() is not None:
                self._worker = subprocess.Popen(
                    WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            return self._worker

    def _work(self, worker: "subprocess.Popen[bytes]", task: PrepareTask) -> bool:
        """Whether the worker lived to do the task."""
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            pickle.dump(task, worker.stdin)
            worker.stdin.flush()
            while True:
                event = pickle.load(worker.stdout)
                self._events.put(event)
                if isinstance(event, Outcome):
                    return True
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            return False


def _closed(worker: "subprocess.Popen[bytes]") -> int:
    """Exit status of a worker that ends."""
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # a task that it never took
    return worker.wait()


def _fate(code: int) -> str:
    if code >= 0:
        return f"worker ended with status {code}"
    name = signal.Signals(-code).name
    reason = REASONS.get(signal.Signals(-code))
    return f"worker killed by signal {-code} ({name}{', ' + reason if reason else ''})"
