"""Whoever is killed leaves no worker behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest


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
    workers = psutil.Process(run.pid).children(recursive=True)
    assert len(workers) >= 2
    run.send_signal(signal.SIGKILL)
    run.wait()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
