"""Small training runs, here or in processes of their own that can be killed."""

import dataclasses
import multiprocessing
import os
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from window_stores import write_steady

from physkit.data.splits import StoreConfig
from physkit.data.windows.config import DataConfig
from physkit.models.facephys.config import FacePhysConfig
from physkit.train.config import OptimConfig, RunConfig, TrainerConfig
from physkit.train.csv_log import read_csv_log
from physkit.train.run.config import FitConfig
from physkit.weights.file import read_weights

SMALL = {
    **dict.fromkeys(("height", "width", "channels"), 8),
    **dict.fromkeys(("d_state", "head_d_state"), 4),
    "n_blocks": 1,
}
"""Fields of the smallest FacePhys."""
BY_THE_CLOCK = {"frames_per_s", "peak_rss_mb"}
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
        stores=divided(store, train="abcd", validation="ef"),
        model=FacePhysConfig(**SMALL),
        data=DataConfig(n_frames=FRAMES, batch_size=2),
        optim=OptimConfig(lr=3e-3),
        trainer=TrainerConfig(max_steps=4, validate_every=4, accelerator="cpu"),
        run=RunConfig(checkpoint_every=2, log_every=1, plots=0, workers=0, threads=1),
    )
    return changed(config, **changes)


def divided(
    store: Path, *, train: Iterable[str], **others: Iterable[str]
) -> dict[str, StoreConfig]:
    """One store whose people are listed, one letter each or by name."""
    lists = {purpose: tuple(people) for purpose, people in others.items()}
    return {"s": StoreConfig(str(store), train=tuple(train), **lists)}  # type: ignore[arg-type]


def changed(config: FitConfig, **changes: Any) -> FitConfig:
    """The config with some fields changed, those of its blocks too, whichever block has them."""
    top = {field.name for field in dataclasses.fields(config)}
    own = {name: value for name, value in changes.items() if name in top}
    for block in ("data", "optim", "trainer", "run"):
        part = own.get(block, getattr(config, block))
        fields = {field.name for field in dataclasses.fields(part)} - top
        inner = {name: value for name, value in changes.items() if name in fields}
        own[block] = dataclasses.replace(part, **inner)
    return dataclasses.replace(config, **own)


def start(
    config: FitConfig,
    environment: Mapping[str, str] | None = None,
    *,
    run: Callable[[FitConfig, dict[str, str]], None] | None = None,
) -> Any:
    """The run in a process of its own. run: what trains there; by default `physkit.fit`."""
    process = PROCESSES.Process(target=run or _fit, args=(config, dict(environment or {})))
    process.start()
    return process


def start_all(
    config: FitConfig,
    n_processes: int,
    *,
    run: Callable[[FitConfig, dict[str, str]], None] | None = None,
) -> list[Any]:
    """The run in processes that train together, started as torchrun starts them."""
    if n_processes == 1:
        return [start(config, run=run)]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    shared |= {"WORLD_SIZE": str(n_processes), "TORCHELASTIC_RUN_ID": "test"}
    together = on_devices(config, n_processes)
    return [
        start(together, shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, run=run)
        for rank in range(n_processes)
    ]


def on_devices(config: FitConfig, n: int) -> FitConfig:
    """The run in so many processes."""
    return changed(config, devices=n)


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


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


def curve(config: FitConfig) -> list[dict[str, float]]:
    """All that was logged but speed and memory."""
    rows = read_csv_log(Path(config.out) / "metrics.csv")
    return [{k: float(v) for k, v in row.items() if v and k not in BY_THE_CLOCK} for row in rows]


def weights(config: FitConfig, name: str) -> dict[str, Tensor]:
    """The weights called best or last."""
    return read_weights(Path(config.out) / f"{name}.safetensors")[1]


def last_step(config: FitConfig) -> int:
    """The last step that is logged; 0 before there is one."""
    log = Path(config.out) / "metrics.csv"
    lines = log.read_text().splitlines()[1:] if log.exists() else []
    return max((int(line.split(",")[0]) for line in lines if "," in line), default=0)
