"""`physkit bench train` and `physkit bench chunk`: FacePhys on clips, beside its convolutions."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from physkit.bench.lap import Lap, laps_in_turns
from physkit.bench.report import SPEEDS, speed_cells
from physkit.core.config import Counts
from physkit.core.errors import InputError
from physkit.core.table import cell, table

if TYPE_CHECKING:
    from physkit.core.machine import Machine

Precision = Literal["fp32", "bf16"]
FRAME_FLOP = 148.6e6
"""Floating-point operations of FacePhys a frame, forwards; backwards are two times as many."""
ROOFLINE_ROW = "convolution"


@dataclass(frozen=True)
class BenchTrainConfig:
    """Measure a training step of FacePhys (forward, loss, backward, Adam) at batch 1.

    Beside it, in turns, run bare 3x3 convolutions of the network's size, forwards and backwards:
    what they reach is the roofline.
    """

    lengths: Counts = field(default_factory=lambda: [128, 1600])
    """Frames of the clip; one row for each, as in 128,1600."""
    precisions: list[Precision] = field(default_factory=lambda: ["fp32", "bf16"])
    """fp32, bf16 (mixed: convolutions in bfloat16, recurrences in float32), or both."""
    repeats: int = 5
    """Measurements of each row; they take turns, so that a slow moment hits all alike."""
    threads: int = 2
    """Threads of torch."""
    backend: str = "auto"
    """Form of the operators: native, chunked, reference, triton, or auto."""
    checkpoint_frames: int | None = None
    """Frames between which the backward pass recomputes instead of storing; null stores all."""
    device: str = "cpu"
    """Torch device: cpu, cuda, ..."""

    def __post_init__(self) -> None:
        _check(self.lengths, self.repeats, self.threads)
        if self.checkpoint_frames is not None and self.checkpoint_frames < 1:
            raise InputError(f"--checkpoint_frames {self.checkpoint_frames}: must be at least 1")


@dataclass(frozen=True)
class BenchChunkConfig:
    """Measure FacePhys reading clips in chunks, without gradients, at batch 1.

    Beside it, in turns, run bare 3x3 convolutions of the network's size: what they reach is the
    roofline.
    """

    lengths: Counts = field(default_factory=lambda: [16, 64, 128])
    """Frames of a chunk; one row for each, as in 16,64,128."""
    precisions: list[Precision] = field(default_factory=lambda: ["fp32", "bf16"])
    """fp32, bf16 (mixed: convolutions in bfloat16, recurrences in float32), or both."""
    repeats: int = 9
    """Measurements of each row; they take turns, so that a slow moment hits all alike."""
    threads: int = 2
    """Threads of torch."""
    backend: str = "auto"
    """Form of the operators: native, chunked, reference, triton, or auto."""
    device: str = "cpu"
    """Torch device: cpu, cuda, ..."""

    def __post_init__(self) -> None:
        _check(self.lengths, self.repeats, self.threads)


def _check(lengths: Counts, repeats: int, threads: int) -> None:
    if min(*lengths, repeats, threads) < 1:
        raise InputError(
            f"--lengths {lengths} --repeats {repeats} --threads {threads}: each must be at least 1"
        )


@dataclass(frozen=True)
class NetworkRow:
    """One precision and length: its speeds and its memory, or why it has none."""

    name: str
    """Precision and frames of a clip, such as fp32-t128."""
    frames_per_s_all: tuple[float, ...] = ()
    """One speed a repeat."""
    roofline_fraction: float | None = None
    """Median over the repeats of the speed beside that of the float32 convolutions in the same
    turn, both in operations a second."""
    peak_rss_mb: float | None = None
    """Most memory its process has held, in units of 1024 * 1024 bytes."""
    threads: int = 0
    """Threads of torch."""
    error: str | None = None
    """Why it could not run."""

    @property
    def frames_per_s(self) -> float | None:
        """Median over the repeats; None where it could not run."""
        return statistics.median(self.frames_per_s_all) if self.frames_per_s_all else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `error` only where there is one."""
        fields = {"name": self.name, "frames_per_s": self.frames_per_s} | asdict(self)
        fields["frames_per_s_all"] = list(self.frames_per_s_all)
        if self.error is None:
            del fields["error"]
        return fields

    def cells(self) -> tuple[str, ...]:
        """A row of the table; of its columns only the last where it could not run."""
        if self.error is not None:
            return (self.name, *[""] * 5, self.error)
        roofline, memory_mb = cell(self.roofline_fraction, ".2f"), cell(self.peak_rss_mb, ".0f")
        speeds = speed_cells(self.frames_per_s_all, ".0f")
        return (self.name, *speeds, roofline, memory_mb, "")


@dataclass(frozen=True)
class NetworkReport:
    """Rows measured in one run on one machine."""

    machine: "Machine"
    """Where they were measured."""
    commit: str
    """Commit of the source."""
    conv_roofline_gflops: float
    """Median rate of the bare float32 convolutions, in 1e9 operations a second."""
    rows: tuple[NetworkRow, ...]
    """One precision and length each."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [row.to_dict() for row in self.rows]
        roofline = self.conv_roofline_gflops
        head = {"machine": asdict(self.machine), "commit": self.commit}
        return head | {"conv_roofline_gflops": roofline, "rows": rows}

    def lines(self) -> list[str]:
        """An aligned table; `roofline` is the share of the convolutions' rate."""
        machine = self.machine
        return [
            f"{machine.cpu}, {machine.cores} cores, torch {machine.torch}, commit {self.commit}",
            f"3x3 convolutions in float32: {self.conv_roofline_gflops:.0f} GFLOP/s",
            *table(("clip", *SPEEDS, "roofline", "RSS MB", ""), [row.cells() for row in self.rows]),
        ]


def train(config: BenchTrainConfig) -> NetworkReport:
    """Speed and memory of training steps. Raises PhyskitError where nothing can run."""
    from physkit.bench.network_rows import Setting, convolved, trained

    setting = Setting(config.backend, config.device, config.threads, config.checkpoint_frames)
    rows = {
        f"{precision}-t{length}": partial(trained, setting, precision, length)
        for precision in config.precisions
        for length in config.lengths
    }
    roofline = partial(convolved, setting, backward=True)
    return _report(rows, roofline, config.repeats, config.threads, flop=3 * FRAME_FLOP)


def chunk(config: BenchChunkConfig) -> NetworkReport:
    """Speed and memory of reading in chunks. Raises PhyskitError where nothing can run."""
    from physkit.bench.network_rows import Setting, convolved, read

    setting = Setting(config.backend, config.device, config.threads)
    rows = {
        f"{precision}-t{length}": partial(read, setting, precision, length)
        for precision in config.precisions
        for length in config.lengths
    }
    roofline = partial(convolved, setting, backward=False)
    return _report(rows, roofline, config.repeats, config.threads, flop=FRAME_FLOP)


def _report(
    rows: Mapping[str, Callable[[], Lap]],
    roofline: Callable[[], Lap],
    repeats: int,
    threads: int,
    *,
    flop: float,
) -> NetworkReport:
    from physkit.bench.network_rows import CONVOLUTION_FLOP
    from physkit.core.machine import this_commit, this_machine

    laps, errors = laps_in_turns({ROOFLINE_ROW: roofline, **rows}, repeats)
    if ROOFLINE_ROW in errors:
        raise InputError(f"bare convolutions cannot run: {errors[ROOFLINE_ROW]}")
    per_frame = CONVOLUTION_FLOP * flop / FRAME_FLOP  # forwards alone, or with backwards
    rates = [lap.frames_per_s * per_frame for lap in laps.pop(ROOFLINE_ROW)]
    found = tuple(
        NetworkRow(name, threads=threads, error=errors[name])
        if name in errors
        else _row(name, laps[name], rates, threads, flop)
        for name in rows
    )
    return NetworkReport(this_machine(), this_commit(), statistics.median(rates) / 1e9, found)


def _row(name: str, laps: list[Lap], rates: list[float], threads: int, flop: float) -> NetworkRow:
    speeds = tuple(lap.frames_per_s for lap in laps)
    fractions = [speed * flop / rate for speed, rate in zip(speeds, rates, strict=True)]
    memory_mb = max(lap.peak_rss_mb for lap in laps)
    return NetworkRow(name, speeds, statistics.median(fractions), memory_mb, threads)
