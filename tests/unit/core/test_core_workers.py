"""The worker pool: who dies, who is told, and that nobody is left behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from physkit.core import workers
from physkit.core.workers import WorkerDeath, WorkerProcess, run_in_pool


@pytest.mark.slow
def test_workers_of_a_killed_synthesis_end_with_it(tmp_path: Path) -> None:
    words = ["synth", "--layout", "ubfc", "--out", str(tmp_path / "raw"), "--workers", "2"]
    run = subprocess.Popen(
        [sys.executable, "-m", "physkit.cli", *words, "--width", "320", "--height", "240"]
    )
    unfinished = tmp_path / "raw" / ".subject1.unfinished"
    until = time.monotonic() + 60
    while not unfinished.exists() and time.monotonic() < until:
        time.sleep(0.1)
    pool = psutil.Process(run.pid).children(recursive=True)
    assert len(pool) >= 2
    run.send_signal(signal.SIGKILL)
    run.wait()
    _, alive = psutil.wait_procs(pool, timeout=10)
    assert alive == []


SCRIPT = """
from functools import partial
from physkit.core.workers import run_in_pool
{call}
"""


def run_code(code: str) -> list[str]:
    exec(code)
    return ["done"]


def test_a_script_needs_no_guard_and_every_task_is_told_with_its_index(tmp_path: Path) -> None:
    call = "print(sorted(run_in_pool(str.split, ['a b', 'c', ''], workers=2)))"
    (tmp_path / "a.py").write_text(SCRIPT.format(call=call))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "a.py")], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("[(0, 'a'), (0, 'b'), (1, 'c')]\n", "")


def test_a_task_that_kills_its_workers_is_told_and_the_others_are_done() -> None:
    tasks = ["import os; os._exit(7)", "pass", "import os; os.abort()", "pass"]
    told = dict(run_in_pool(run_code, tasks, workers=2, attempts=2))
    assert told == {
        0: WorkerDeath("worker ended with status 7"),
        1: "done",
        2: WorkerDeath("worker killed by signal 6 (SIGABRT, a damaged file, or a broken decoder)"),
        3: "done",
    }


def test_a_task_whose_worker_died_once_is_tried_again(tmp_path: Path) -> None:
    mark = str(tmp_path / "seen")
    dies_once = f"import os\nif not os.path.exists({mark!r}): os.mkdir({mark!r}); os._exit(1)"
    assert list(run_in_pool(run_code, [dies_once], workers=1, attempts=2)) == [(0, "done")]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[psutil.Process]:
    """The processes of the pool alone: a test process may have other children."""
    found: list[psutil.Process] = []

    class Counted(WorkerProcess):
        def __init__(self) -> None:
            super().__init__()
            found.append(psutil.Process(self._process.pid))

    monkeypatch.setattr(workers, "WorkerProcess", Counted)
    return found


def test_an_exception_of_a_task_is_raised_and_ends_the_pool(started: list[psutil.Process]) -> None:
    events = run_in_pool(
        run_code, ["raise ValueError('no')", "import time; time.sleep(60)"], workers=2
    )
    with pytest.raises(ValueError, match="no"):
        list(events)
    assert len(started) == 2
    assert psutil.wait_procs(started, timeout=5)[1] == []


def test_closing_ends_the_workers_at_once(started: list[psutil.Process]) -> None:
    events = run_in_pool(run_code, ["pass", "import time; time.sleep(60)"], workers=2)
    assert next(events) == (0, "done")
    events.close()
    assert len(started) == 2
    assert psutil.wait_procs(started, timeout=5)[1] == []


def test_what_a_worker_prints_is_not_among_the_results(tmp_path: Path) -> None:
    call = "print(*run_in_pool(partial(map, print), ['x'], workers=1))"
    (tmp_path / "a.py").write_text(SCRIPT.format(call=call))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "a.py")], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("(0, None)\n", "x\n")
