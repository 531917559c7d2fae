"""What a benchmark answers with: rows of speeds, and the machine they were measured on."""

import statistics
from dataclasses import asdict, dataclass
from typing import Any

from physkit.core.machine import Machine

REFERENCE_ROW = "released-onnx"


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
        speeds = {row.name: row.frames_per_s for row in self.rows}
        reference = speeds.get(REFERENCE_ROW)
        machine = self.machine
        lines = [
            f"{machine.cpu}, {machine.cores} cores, torch {machine.torch}, commit {self.commit}",
            f"{'runtime':<16} {'threads':>7} {'frames/s':>9} {'least':>8} {'most':>8} {'ratio':>6}",
        ]
        for row in self.rows:
            start = f"{row.name:<16} {row.threads:>7}"
            if row.frames_per_s is None:
                lines.append(f"{start} {row.error}")
                continue
            ratio = f"{row.frames_per_s / reference:6.2f}" if reference else f"{'-':>6}"
            least, most = min(row.frames_per_s_all), max(row.frames_per_s_all)
            lines.append(f"{start} {row.frames_per_s:9.1f} {least:8.1f} {most:8.1f} {ratio}")
        return lines
