"""The result of an evaluation: metrics, protocol, and provenance."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from physkit.core.table import table
from physkit.evaluate.conditions import AnsiVerdict, Breakdown
from physkit.evaluate.examples import Example
from physkit.evaluate.gating import CoveragePoint, Gating
from physkit.evaluate.metrics import BlandAltman, Metrics
from physkit.evaluate.predictions import LeftOut, Sources
from physkit.evaluate.variability import HrvErrors
from physkit.evaluate.windows import WindowRow

METRIC_LABELS = {
    "mae_bpm": ("MAE", "bpm"),
    "rmse_bpm": ("RMSE", "bpm"),
    "mape_percent": ("MAPE", "%"),
    "pearson": ("Pearson r", ""),
    "snr_db": ("SNR", "dB"),
    "macc": ("MACC", ""),
}
"""Label and unit of each aggregate."""
_NOT_IN_JSON = ("windows", "examples", "left_out")


@dataclass(frozen=True, eq=False)
class Score:
    """The evaluation of one predictions file under one protocol."""

    protocol: str
    """Name of the protocol."""
    settings: Mapping[str, Any]
    """Every setting that the metrics depend on."""
    versions: Mapping[str, str]
    """Versions of physkit, Python and the numerical packages."""
    predictions_file: str
    """File that was scored."""
    predictions_sha256: str
    """Its checksum."""
    n_recordings: int
    """Recordings read."""
    n_subjects: int
    """Subjects they are of."""
    n_windows: int
    """Windows evaluated."""
    n_windows_with_rate: int
    """Windows in which both heart rates exist; heart-rate metrics use these alone."""
    n_windows_unseen: int
    """Windows with too little face or label for a heart rate."""
    metrics: Metrics
    """The six aggregates with their errors."""
    bland_altman: BlandAltman
    """Agreement of true and predicted rate."""
    gating: Gating
    """Errors with and without the windows of low signal quality."""
    coverage: tuple[CoveragePoint, ...]
    """Error over coverage."""
    conditions: tuple[Breakdown, ...]
    """Errors by condition."""
    ansi_cta_2065: tuple[AnsiVerdict, ...]
    """Verdict for each skin-tone column; empty where there is none."""
    hrv: HrvErrors | None
    """Errors of heart-rate variability, where recordings support it."""
    windows: tuple[WindowRow, ...]
    """The window table."""
    examples: tuple[Example, ...]
    """Best, median and worst recording, for the report."""
    left_out: tuple[LeftOut, ...] = ()
    """Recordings that could not be read or scored, each with the cause."""
    warning: str | None = None
    """How many of the people the weights know, where they know some."""
    sources: Sources = ()
    """Model, weights and store of the predictions, where the file says so."""

    @property
    def exit_status(self) -> int:
        """What the command ends with: 0 only when every recording was scored."""
        return 1 if self.left_out else 0

    def to_dict(self) -> dict[str, Any]:
        """Everything but the window table and the waveforms, ready for JSON; NaN becomes None."""
        fields = [f.name for f in dataclasses.fields(self) if f.name not in _NOT_IN_JSON]
        told = {name: plain(getattr(self, name)) for name in fields}
        return told | {
            "left_out": [{"recording": name, "cause": cause} for name, cause in self.left_out]
        }

    def title(self) -> str:
        """What was scored, and how."""
        window_s = self.settings["window_s"]
        window = "whole recordings" if window_s is None else f"{window_s:g} s windows"
        short_s = [w.duration_s for w in self.windows if window_s and w.duration_s < window_s - 0.5]
        if short_s:
            window += f" ({len(short_s)} of them shorter, from {min(short_s):.1f} s on)"
        title = (
            f"{self.protocol}, {window}, heart rate by {self.settings['hr']}: "
            f"{self.n_recordings} recordings of {self.n_subjects} subjects, "
            f"{self.n_windows} windows, {self.n_windows_with_rate} with both heart rates"
        )
        if self.n_windows_unseen:
            title += f", {self.n_windows_unseen} with too little face or label"
        return title

    def lines(self) -> list[str]:
        """The lines that are printed in a terminal."""
        rows = []
        for name, (label, unit) in METRIC_LABELS.items():
            estimate = getattr(self.metrics, name)
            low, high = (shown(end, 3) for end in estimate.interval)
            value, error = shown(estimate.value, 4), shown(estimate.standard_error, 4)
            rows.append((label, value, error, f"{low} to {high}", unit))
        head = ("", "value", "std. error", "95 % over subjects", "")
        warnings = [f"warning: {self.warning}"] if self.warning else []
        return [*warnings, self.title(), *table(head, rows), *self.remarks()]

    def remarks(self) -> list[str]:
        """The lines below the table: agreement, gated errors, conditions, what was left out."""
        left_out = [f"left out: {name}: {cause}" for name, cause in self.left_out]
        return self._agreement() + self._by_condition() + left_out

    def _agreement(self) -> list[str]:
        b, g = self.bland_altman, self.gating
        agreement = (
            f"true - predicted: {shown(b.bias_bpm, 2)} bpm, limits of agreement "
            f"{shown(b.lower_bpm, 2)} to {shown(b.upper_bpm, 2)} bpm"
        )
        abstention = (
            f"MAPE {shown(g.mape_percent, 2)} % over {self.n_windows_with_rate} windows, "
            f"{shown(g.mape_gated_percent, 2)} % over the {g.n_windows} of them with a quality of "
            f"{g.min_quality:g} or more"
        )
        return [agreement, abstention]

    def _by_condition(self) -> list[str]:
        lines = []
        for breakdown in self.conditions:
            groups = ", ".join(
                f"{g.group} {shown(g.mae_bpm, 2)} ({g.n_windows})" for g in breakdown.groups
            )
            lines.append(
                f"MAE by {breakdown.condition}: {groups}; gap {shown(breakdown.gap_bpm, 2)} bpm"
            )
        for verdict in self.ansi_cta_2065:
            outcome = (
                "met in every group" if verdict.meets else "missed in " + ", ".join(verdict.failing)
            )
            lines.append(
                f"ANSI/CTA-2065 (MAPE under {verdict.limit_percent:g} %) by {verdict.condition}: "
                f"{outcome}"
            )
        return lines


def plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as dicts and lists; NaN and infinity as None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def shown(value: float, digits: int) -> str:
    """A number as text; a dash where there is none."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "-"
