"""`physkit bench step`: frames a second of the one-frame step, beside the released files."""

import functools
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from physkit.bench.lap import SECONDS_A_FRAME
from physkit.core.config import Names
from physkit.core.errors import InputError
from physkit.core.registry import unknown_name
from physkit.runtime.torch_cpu import torch_threads

if TYPE_CHECKING:
    from physkit.bench.released import Clip
    from physkit.bench.report import BenchReport, BenchRow
    from physkit.core.artifact import Precision
    from physkit.models.facephys.network import FacePhys

ARTIFACTS: "Mapping[str, tuple[str, Precision]]" = {
    "onnx-fp32": ("onnx", "fp32"),
    "onnx-int8": ("onnx", "int8"),
    "litert-fp32": ("litert", "fp32"),
    "litert-int8": ("litert", "int8"),
    "jax": ("jax", "fp32"),
}
"""Rows, and the export target and precision of each."""


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
    rows: Names | None = None
    """Names of the rows to measure; by default all of them."""

    def __post_init__(self) -> None:
        if min(self.repeats, self.frames, self.threads) < 1:
            raise InputError(
                f"--repeats {self.repeats} --frames {self.frames} --threads {self.threads}: "
                "each must be at least 1"
            )


def run(config: BenchStepConfig) -> "BenchReport":
    """Speeds of the step in every runtime, each by a session, and of the released files.

    A runtime that cannot run has the reason in its row. Raises WeightsError for `weights`, and
    InputError where `released` is no folder, or for a row of an unknown name.
    """
    # imported here: the command line reads this module for its options only
    import numpy as np

    from physkit.bench.released import released_litert, released_onnx
    from physkit.bench.report import BenchReport
    from physkit.core.machine import this_commit, this_machine

    if config.released is not None and not Path(config.released).is_dir():
        raise InputError(f"{config.released}: no such folder; give that of FacePhys-Release")
    net = _network(config.weights)
    size = (config.frames, net.config.height, net.config.width, 3)
    clip = np.random.default_rng(0).random(size, dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder, torch_threads(config.threads):
        files = _Files(net, Path(folder), clip, config.threads)
        builders: dict[str, Callable[[], Callable[[], None]]] = {
            "torch-eager": partial(files.torch, "torch"),
            "torch-compiled": partial(files.torch, "torch-compiled"),
            **{name: partial(files.artifact, *of) for name, of in ARTIFACTS.items()},
            "jax-plain": partial(_plain_jax, net, clip),
        }
        if config.released is not None:
            released = (Path(config.released), clip, config.threads)
            builders["released-onnx"] = partial(released_onnx, *released)
            builders["released-litert"] = partial(released_litert, *released)
        chosen = config.rows or list(builders)
        for name in chosen:
            if name not in builders:
                raise unknown_name("row", name, builders)
        rows = _measure({name: builders[name] for name in chosen}, config)
    return BenchReport(this_machine(), this_commit(), rows)


def _plain_jax(net: "FacePhys", clip: "Clip") -> Callable[[], None]:
    from physkit.bench.released import missing_extra

    try:
        from physkit.bench.plain_jax import plain_jax
    except ModuleNotFoundError as error:
        raise missing_extra(error, "jax") from error
    return plain_jax(net, clip)


def _network(weights: str | None) -> "FacePhys":
    from physkit.models.facephys.network import FacePhys
    from physkit.weights.load import load_model

    if weights is None:
        return FacePhys().eval()
    net = load_model("facephys", Path(weights))
    assert isinstance(net, FacePhys)
    return net


class _Files:
    """What sessions run: the network's weights, and the artifacts made of it."""

    def __init__(self, net: "FacePhys", folder: Path, clip: "Clip", threads: int) -> None:
        from dataclasses import asdict

        from physkit.export import TARGETS
        from physkit.export.target import write_states
        from physkit.weights.file import WeightsCard, save_weights, sha256

        self._net, self._folder, self._clip, self._threads = net, folder, clip, threads
        # one writer a target: its precisions share a graph
        self._writer = functools.cache(lambda target: TARGETS[target]())
        self._weights = folder / "facephys.safetensors"
        save_weights(self._weights, net.state_dict(), WeightsCard("facephys", asdict(net.config)))
        self._sha256 = sha256(self._weights)
        write_states(folder, net, self._sha256)

    def torch(self, runtime: str) -> Callable[[], None]:
        """One pass of a session on the weights."""
        return self._pass(self._weights, runtime)

    def artifact(self, target: str, precision: "Precision") -> Callable[[], None]:
        """One pass of a session on an artifact."""
        import numpy as np

        from physkit.export.target import Calibration, ExportRequest

        dt_s = np.full(len(self._clip), SECONDS_A_FRAME, np.float32)
        request = ExportRequest(
            self._sha256, precision=precision, calibration=(Calibration(self._clip, dt_s),)
        )
        writer = self._writer(target)
        path = self._folder / request.file_name(writer.suffix)
        writer.write(self._net, request, path)
        return self._pass(path, "auto")

    def _pass(self, path: Path, runtime: str) -> Callable[[], None]:
        from physkit.runtime.session import Session

        session = Session(path, runtime=runtime, threads=self._threads)

        def run() -> None:  # one stream, which goes on from pass to pass
            for frame in self._clip:
                session.step(frame, SECONDS_A_FRAME)

        return run


def _measure(
    builders: dict[str, Callable[[], Callable[[], None]]], config: BenchStepConfig
) -> "tuple[BenchRow, ...]":
    """A row for each runtime, in the order given; the first pass of each is not counted."""
    import time

    from physkit.bench.report import BenchRow
    from physkit.core.errors import PhyskitError

    passes: dict[str, Callable[[], None]] = {}
    errors: dict[str, str] = {}
    for name, build in builders.items():
        try:
            run_once = build()
            run_once()
            passes[name] = run_once
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
