"""`physkit crossdomain` trained for real: killed on the way, it ends as it does undisturbed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from stores import add_recording

from physkit.cli import main

DEADLINE_S = 240.0
TEXT = """
stores:
  sun: {{store: {sun}, n_folds: 2}}
  moon: {{store: {moon}, n_folds: 2}}
train: [sun, moon]
test: [moon]
across: fold-0
folds: 1
score: {{protocol: toolbox-2025-03}}
compute: {{threads: 1}}
model:
  class_path: FacePhysConfig
  init_args: {{height: 12, width: 12, channels: 8, n_blocks: 1, d_state: 8, head_d_state: 4}}
data: {{n_frames: 32, batch_size: 2}}
trainer: {{max_steps: 12}}
run: {{checkpoint_every: 1, threads: 1, workers: 0, plots: 0}}
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A matrix of two data sets, without its folder."""
    folder = tmp_path_factory.mktemp("matrix")
    for name, first_bpm in (("sun", 60.0), ("moon", 75.0)):
        for number in range(4):
            add_recording(
                folder / f"{name}.zarr",
                f"{number}",
                subject=f"p{number}",
                rate_bpm=first_bpm + 9 * number,
                n_frames=240,
                dataset=name,
            )
    stores = {name: folder / f"{name}.zarr" for name in ("sun", "moon")}
    path = folder / "matrix.yaml"
    path.write_text(TEXT.format(**stores), encoding="utf-8")
    return path


def start(config: Path, out: Path) -> subprocess.Popen[str]:
    words = ["crossdomain", "--config", str(config), "--out", str(out), "--json"]
    return subprocess.Popen(
        [sys.executable, "-m", "physkit.cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def in_this_process(config: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["crossdomain", "--config", str(config), "--out", str(out), "--json"]) == 0
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


def kill_once(run: subprocess.Popen[str], out: Path, pattern: str) -> None:
    """As soon as there is such a file."""
    deadline = time.monotonic() + DEADLINE_S
    while not list(out.glob(pattern)):
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


@pytest.mark.slow
def test_a_matrix_killed_on_the_way_ends_as_an_undisturbed_one(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    undisturbed = in_this_process(config, tmp_path / "undisturbed", capsys)
    out = tmp_path / "disturbed"
    for pattern in ("trainings/sun-fold-0-*/state.ckpt", "cells/sun-on-moon-*/done.json"):
        kill_once(start(config, out), out, pattern)
    assert not (out / "matrix.json").exists()
    (kept,) = out.glob("cells/sun-on-moon-*/predictions.parquet")
    made_at_ns = kept.stat().st_mtime_ns
    disturbed = in_this_process(config, out, capsys)
    assert kept.stat().st_mtime_ns == made_at_ns
    assert len(disturbed["cells"]) == 2
    for one, other in zip(undisturbed["cells"], disturbed["cells"], strict=True):
        assert one == pytest.approx(other, abs=1e-6)
