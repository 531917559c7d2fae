"""Small training runs, here or in processes of their own that can be killed."""

import dataclasses
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from window_stores import write_steady

from physkit.data.windows.config import AugmentConfig, RandomWindowsConfig, WindowSource
from physkit.train.run.config import FitConfig, OptimizerConfig

SMALL = {
    **dict.fromkeys(("height", "width", "channels"), 8),
    **dict.fromkeys(("d_state", "head_d_state"), 4),
    "n_blocks": 1,
}
"""Fields of the smallest FacePhys."""
DEADLINE_S = 300.0
FRAMES = 96
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["physkit.train.run.build", "physkit.train.loggers", "lightning", "scipy.signal"]
)


def people_store(path: Path) -> Path:
    """Six people of 6 s each, a to f, with hearts from 50 to 125 bpm."""
    for number, subject in enumerate("abcdef"):
        write_steady(
            path, f"{subject}_1", n_frames=180, bpm=50 + 15 * number, size_px=8, subject=subject
        )
    return path


def small_run(store: Path, out: Path, **changes: Any) -> FitConfig:
    """Four steps on a to d, validated by e and f."""
    config = FitConfig(
        out=str(out),
        train=[WindowSource(str(store), ("a", "b", "c", "d"))],
        validation=[WindowSource(str(store), ("e", "f"))],
        model_config=SMALL,
        windows=RandomWindowsConfig(n_frames=FRAMES, augment=AugmentConfig()),
        batch_size=2,
        max_steps=4,
        validate_every=4,
        checkpoint_every=2,
        log_every=1,
        optimizer=OptimizerConfig(lr=3e-3),
        plots=0,
        workers=0,
        threads=1,
        accelerator="cpu",
    )
    return dataclasses.replace(config, **changes)


def start(config: FitConfig, environment: Mapping[str, str] | None = None) -> Any:
    """The run in a process of its own."""
    process = PROCESSES.Process(target=_fit, args=(config, dict(environment or {})))
    process.start()
    return process


def _fit(config: FitConfig, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    from physkit.train.run.fit import fit

    fit(config)


def wait_for(condition: Callable[[], Any]) -> Any:
    """What the condition gives once it is true."""
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def ended_well(process: Any) -> bool:
    """Whether the process came to its end by itself, without an error."""
    process.join(DEADLINE_S)
    return bool(process.exitcode == 0)
