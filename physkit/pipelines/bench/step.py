"""`physkit bench step`: frames a second of the one-frame step, beside the released files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from physkit.core.errors import InputError
from physkit.runtime.torch_cpu import torch_threads

if TYPE_CHECKING:
    from physkit.models.facephys import FacePhys
    from physkit.pipelines.bench.released import Clip
    from physkit.pipelines.bench.report import BenchReport, BenchRow

SECONDS_A_FRAME = 1 / 30


@dataclass(frozen=True)
class BenchStepConfig:
    """Measure FacePhys frame by frame, batch 1, in every runtime at hand."""

    weights: str | None = None
    """Weights file; random weights when None, on which the speed does not depend."""
    released: str | None = None
    """Folder with the released model.onnx, model.tflite and state.gz, to compare with."""
    repeats: int = 5
    """Measurements of each runtime; they take turns, so that a slow moment hits all alike."""
    frames: int = 150
    """Frames in each measurement."""
    threads: int = 1
    """Threads that each runtime may use."""

    def __post_init__(self) -> None:
        if min(self.repeats, self.frames, self.threads) < 1:
            raise InputError(
                f"--repeats {self.repeats} --frames {self.frames} --threads {self.threads}: "
                "each must be at least 1"
            )


def run(config: BenchStepConfig) -> "BenchReport":
    """Speeds of the eager and the compiled step, and of the released files where they are given.

    A runtime that cannot run has the reason in its row. Raises WeightsError for `weights`, and
    InputError where `released` is no folder.
    """
    # imported here: the command line reads this module for its options only
    import numpy as np

    from physkit.pipelines.bench.released import released_litert, released_onnx
    from physkit.pipelines.bench.report import BenchReport, this_commit, this_machine

    net = _network(config.weights)
    size = (config.frames, net.config.height, net.config.width, 3)
    clip = np.random.default_rng(0).random(size, dtype=np.float32)
    builders: dict[str, Callable[[], Callable[[], None]]] = {
        "torch-eager": partial(_torch_pass, net, clip, compiled=False),
        "torch-compiled": partial(_torch_pass, net, clip, compiled=True),
    }
    if config.released is not None:
        if not Path(config.released).is_dir():
            raise InputError(f"{config.released}: no such folder; give that of FacePhys-Release")
        released = (Path(config.released), clip, config.threads)
        builders["released-onnx"] = partial(released_onnx, *released)
        builders["released-litert"] = partial(released_litert, *released)
    with torch_threads(config.threads):
        rows = _measure(builders, config)
    return BenchReport(this_machine(), this_commit(), rows)


def _network(weights: str | None) -> "FacePhys":
    from physkit.models.facephys import FacePhys
    from physkit.weights.load import load_model

    if weights is None:
        return FacePhys().eval()
    net = load_model("facephys", Path(weights))
    assert isinstance(net, FacePhys)
    return net


def _torch_pass(net: "FacePhys", clip: "Clip", *, compiled: bool) -> Callable[[], None]:
    """One pass over `clip`, its state fed back every frame."""
    import torch

    from physkit.runtime.compiled import compile_step

    frames = torch.from_numpy(clip)[:, None]
    dt_s = torch.full((1,), SECONDS_A_FRAME)
    step = compile_step(net, frames[0]) if compiled else net.step

    def run() -> None:
        with torch.inference_mode():
            state = net.init_state(1)
            for frame in frames:
                _, state = step(frame, state, dt_s=dt_s)

    return run


def _measure(
    builders: dict[str, Callable[[], Callable[[], None]]], config: BenchStepConfig
) -> "tuple[BenchRow, ...]":
    """A row for each runtime, in the order given; the first pass of each is not counted."""
    import time

    from physkit.core.errors import PhyskitError
    from physkit.pipelines.bench.report import BenchRow

    passes: dict[str, Callable[[], None]] = {}
    errors: dict[str, str] = {}
    for name, build in builders.items():
        try:
            passes[name] = build()
            passes[name]()
        except PhyskitError as error:
            errors[name] = str(error)
    speeds: dict[str, list[float]] = {name: [] for name in builders}
    for _ in range(config.repeats):
        for name, run_once in passes.items():
            start_s = time.perf_counter()
            run_once()
            speeds[name].append(config.frames / (time.perf_counter() - start_s))
    return tuple(
        BenchRow(name, config.threads, tuple(speeds[name]), errors.get(name)) for name in builders
    )
