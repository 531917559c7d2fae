"""What a benchmark answers with: rows of speeds, and the machine they were measured on."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from physkit.core.machine import Machine
from physkit.core.table import cell, table

REFERENCE_ROW = "released-onnx"
SPEEDS = ("frames/s", "least", "most")
"""Columns of a table: the median over the repeats, and the ends."""


@dataclass(frozen=True)
class BenchRow:
    """One runtime: its speeds, or why it has none."""

    name: str
    """What was run, such as torch-eager."""
    threads: int
    """Threads it ran on."""
    frames_per_s_all: tuple[float, ...] = ()
    """One speed a repeat."""
    error: str | None = None
    """Why it could not run."""

    @property
    def frames_per_s(self) -> float | None:
        """Median over the repeats; None where it could not run."""
        return statistics.median(self.frames_per_s_all) if self.frames_per_s_all else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `error` only where there is one."""
        row: dict[str, Any] = {"name": self.name, "frames_per_s": self.frames_per_s}
        row |= {"frames_per_s_all": list(self.frames_per_s_all), "threads": self.threads}
        return row | ({} if self.error is None else {"error": self.error})


@dataclass(frozen=True)
class BenchReport:
    """Rows measured in one run on one machine."""

    machine: Machine
    """Where they were measured."""
    commit: str
    """Commit of the source, `-dirty` where it was changed since; unknown outside a checkout."""
    rows: tuple[BenchRow, ...]
    """One runtime each."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [row.to_dict() for row in self.rows]
        return {"machine": asdict(self.machine), "commit": self.commit, "rows": rows}

    def lines(self) -> list[str]:
        """An aligned table; `ratio` is to the released ONNX file in the same run."""
        reference = {row.name: row.frames_per_s for row in self.rows}.get(REFERENCE_ROW)
        machine = self.machine
        rows = []
        for row in self.rows:
            speed = row.frames_per_s
            ratio = None if speed is None or reference is None else speed / reference
            speeds = speed_cells(row.frames_per_s_all, ".1f")
            ratio_cell = cell(ratio, ".2f") if speed else ""
            rows.append((row.name, str(row.threads), *speeds, ratio_cell, row.error or ""))
        return [
            f"{machine.cpu}, {machine.cores} cores, torch {machine.torch}, commit {self.commit}",
            *table(("runtime", "threads", *SPEEDS, "ratio", ""), rows),
        ]


def speed_cells(speeds: Sequence[float], form: str) -> tuple[str, ...]:
    """Cells of a table under the names `SPEEDS`; empty where there is no speed."""
    if not speeds:
        return ("",) * len(SPEEDS)
    return tuple(format(x, form) for x in (statistics.median(speeds), min(speeds), max(speeds)))
