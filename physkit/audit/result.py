"""What an audit hands back: a line for each recording, and every finding."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from physkit.core.table import cell, table
from physkit.data.findings import SEVERITIES, Finding, Severity


@dataclass(frozen=True)
class RecordingSummary:
    """One recording in figures; None where they could not be had."""

    recording: str
    """Its name."""
    subject: str | None
    """The person."""
    n_frames: int | None = None
    """Frames that could be read."""
    fps: float | None = None
    """Frames a second, gaps left out."""
    duration_s: float | None = None
    """Time from the first to the last frame in seconds."""
    n_label_samples: int | None = None
    """Samples of the label."""
    label_rate_hz: float | None = None
    """Samples of the label a second, gaps left out."""
    face_coverage: float | None = None
    """Share of the frames with a face."""
    lag_ms: float | None = None
    """How late the label is behind the camera's pulse."""
    lag_spread_ms: float | None = None
    """How much the lags of short windows differ among each other."""
    lag_correlation: float | None = None
    """Correlation of label and camera pulse at that lag."""
    lag_rival_ms: float | None = None
    """Another lag, about a beat away, that fits as well."""
    drift_ms_per_min: float | None = None
    """Growth of the lag."""
    worst: Severity | None = None
    """Severity of its worst finding; None where nothing was found."""


@dataclass(frozen=True)
class AuditResult:
    """What is wrong with a raw data set or a store."""

    path: str
    """What was audited."""
    kind: Literal["raw", "store"]
    """A raw data set, or a prepared one."""
    dataset: str
    """Data set in `READERS`."""
    recordings: tuple[RecordingSummary, ...]
    """In natural order."""
    findings: tuple[Finding, ...]
    """By recording, the worst first; those of the whole tree or store at the end."""
    not_checked: tuple[str, ...]
    """What was left out to be quick, or for want of something."""
    strict: bool
    """Whether warnings and errors are a failure."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How many recordings there are, and findings of each severity."""
        counts = {"recordings": len(self.recordings)}
        for severity in SEVERITIES:
            counts[severity] = sum(f.severity == severity for f in self.findings)
        return counts

    @property
    def exit_status(self) -> int:
        """What the command ends with: 0 when the audit was done; 1 if strict and not clean."""
        return int(self.strict and any(f.severity != "note" for f in self.findings))

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "path": self.path,
            "kind": self.kind,
            "dataset": self.dataset,
            "recordings": [dataclasses.asdict(summary) for summary in self.recordings],
            "findings": [
                {
                    "recording": finding.recording,
                    "check": finding.check,
                    "severity": finding.severity,
                    "message": finding.message,
                    "suggestion": finding.suggestion,
                    "measured": dict(finding.measured),
                }
                for finding in self.findings
            ],
            "counts": dict(self.counts),
            "not_checked": list(self.not_checked),
        }

    def lines(self) -> list[str]:
        """A table of the recordings, the findings below it."""
        what = "store" if self.kind == "store" else "raw data set"
        lines = [f"{self.path}: {what}, {self.dataset}", "", *_table(self.recordings), ""]
        for finding in self.findings:
            where = finding.recording or "(whole)"
            lines.append(f"{finding.severity:8s}{where}  {finding.check}: {finding.message}")
            lines.append(f"{'':8s}-> {finding.suggestion}")
        lines += [f"not checked: {what}" for what in self.not_checked]
        counts = dict(self.counts)
        found = ", ".join(f"{counts[name]} {name}s" for name in SEVERITIES if counts[name])
        return [*lines, f"{counts['recordings']} recordings: {found or 'nothing found'}"]


COLUMNS = {
    "frames": ("n_frames", "d"),
    "fps": ("fps", ".2f"),
    "s": ("duration_s", ".1f"),
    "label Hz": ("label_rate_hz", ".2f"),
    "face": ("face_coverage", ".0%"),
    "lag ms": ("lag_ms", ".0f"),
    "agree": ("lag_correlation", ".2f"),
    "drift ms/min": ("drift_ms_per_min", ".0f"),
}
"""Columns of the table: field and format."""


def _table(recordings: tuple[RecordingSummary, ...]) -> list[str]:
    rows = []
    for summary in recordings:
        cells = [cell(getattr(summary, field), form) for field, form in COLUMNS.values()]
        rows.append([summary.recording, *cells, summary.worst or "ok"])
    return table(["recording", *COLUMNS, "worst"], rows)
