"""The HTML report: one file that asks the network for nothing."""

import json
from collections.abc import Iterator
from typing import Any

from physkit.evaluate.conditions import Breakdown
from physkit.evaluate.report.figures import (
    bland_altman_svg,
    coverage_svg,
    error_svg,
    scatter_svg,
    waveform_svg,
)
from physkit.evaluate.report.render import as_picture, render
from physkit.evaluate.result import METRIC_LABELS, Score, shown


def report_html(score: Score) -> str:
    """The whole report of a score as one HTML document."""
    return render(
        "evaluate/report/report.html.j2",
        score=score,
        metrics=list(_metrics(score)),
        pictures={
            "bland_altman": as_picture(bland_altman_svg(score)),
            "scatter": as_picture(scatter_svg(score)),
            "error": as_picture(error_svg(score)),
            "coverage": as_picture(coverage_svg(score)),
        },
        groups={breakdown.condition: list(_groups(breakdown)) for breakdown in score.conditions},
        waveforms=[(one, as_picture(waveform_svg(one))) for one in score.examples],
        provenance=list(_provenance(score)),
    )


def _metrics(score: Score) -> Iterator[tuple[str, ...]]:
    """Rows of name, value, standard error and interval."""
    for name, (label, unit) in METRIC_LABELS.items():
        estimate = getattr(score.metrics, name)
        low, high = (shown(end, 3) for end in estimate.interval)
        yield (
            f"{label} ({unit})" if unit else label,
            shown(estimate.value, 4),
            shown(estimate.standard_error, 4),
            f"{low} to {high}",
        )


def _groups(breakdown: Breakdown) -> Iterator[tuple[str, ...]]:
    """A row a group."""
    for g in breakdown.groups:
        errors = (g.mae_bpm, g.rmse_bpm, g.mape_percent, g.mape_gated_percent, g.snr_db)
        yield (g.group, str(g.n_windows), str(g.n_subjects), *(shown(v, 2) for v in errors))


def _provenance(score: Score) -> Iterator[tuple[str, str]]:
    """What was evaluated, and how: name and value."""
    facts: dict[str, Any] = {
        "predictions": score.predictions_file,
        "sha256": score.predictions_sha256,
        **{name: str(value) for name, value in score.settings.items()},
        **score.versions,
    }
    for source in score.sources:
        weights, store = source.get("weights") or {}, source.get("store") or {}
        facts |= {
            f"model for {store.get('path')}": source.get("model"),
            **{f"weights {name}": value for name, value in weights.items()},
            **{f"store {name}": value for name, value in store.items()},
        }
    for name, value in facts.items():
        if value is not None:
            yield name, value if isinstance(value, str) else json.dumps(value, default=str)
