"""The HTML report: one file that asks the network for nothing."""

from collections.abc import Sequence
from html import escape

from physkit.evaluate.conditions import Breakdown
from physkit.evaluate.report.figures import (
    bland_altman_svg,
    coverage_svg,
    error_svg,
    scatter_svg,
    waveform_svg,
)
from physkit.evaluate.report.html import document, table
from physkit.evaluate.result import METRIC_LABELS, Score, shown


def report_html(score: Score) -> str:
    """The whole report of a score as one HTML document."""
    body = [
        f"<h1>Heart rate under {escape(score.protocol)}</h1>",
        f"<p>{escape(score.lines()[0])}</p>",
        _metrics(score),
        *(f"<p>{escape(line)}</p>" for line in score.remarks()),
        "<h2>Agreement</h2>",
        f'<div class="pair">{bland_altman_svg(score)}{scatter_svg(score)}</div>',
        "<h2>Errors, and what abstaining on poor signals buys</h2>",
        f'<div class="pair">{error_svg(score)}{coverage_svg(score)}</div>',
        *_conditions(score.conditions),
        "<h2>Waveforms and spectra</h2>",
        *_examples(score),
        _provenance(score),
    ]
    return document(f"{score.protocol} report", body)


def _metrics(score: Score) -> str:
    rows = []
    for name, (label, unit) in METRIC_LABELS.items():
        estimate = getattr(score.metrics, name)
        low, high = (shown(end, 3) for end in estimate.interval)
        rows.append(
            (
                f"{label} ({unit})" if unit else label,
                shown(estimate.value, 4),
                shown(estimate.standard_error, 4),
                f"{low} to {high}",
            )
        )
    return table(("metric", "value", "standard error", "95 % over subjects"), rows)


def _conditions(found: Sequence[Breakdown]) -> list[str]:
    if not found:
        return []
    parts = ["<h2>Conditions</h2>"]
    head = ("windows", "subjects", "MAE (bpm)", "RMSE (bpm)", "MAPE (%)", "gated (%)", "SNR (dB)")
    for breakdown in found:
        rows = [
            (
                g.group,
                str(g.n_windows),
                str(g.n_subjects),
                *(shown(v, 2) for v in (g.mae_bpm, g.rmse_bpm, g.mape_percent)),
                shown(g.mape_gated_percent, 2),
                shown(g.snr_db, 2),
            )
            for g in breakdown.groups
        ]
        parts.append(table((breakdown.condition, *head), rows))
        parts.append(
            f'<p class="small">gap between best and worst: {shown(breakdown.gap_bpm, 2)} bpm</p>'
        )
    return parts


def _examples(score: Score) -> list[str]:
    return [
        f"<p>{example.rank}: {escape(example.recording)}, "
        f"MAE {shown(example.error_bpm, 2)} bpm</p>{waveform_svg(example)}"
        for example in score.examples
    ]


def _provenance(score: Score) -> str:
    facts = {
        "predictions": score.predictions_file,
        "sha256": score.predictions_sha256,
        **{name: str(value) for name, value in score.settings.items()},
        **score.versions,
    }
    text = "; ".join(f"{name} {value}" for name, value in facts.items())
    return f'<h2>Provenance</h2><p class="small">{escape(text)}</p>'
