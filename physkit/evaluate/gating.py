"""Errors without the windows of low signal quality, and the error-versus-coverage curve."""

from dataclasses import dataclass

import numpy as np

from physkit.evaluate.metrics import Figures

_STEPS = 20
"""Points of the curve: every 5 % of coverage."""


@dataclass(frozen=True)
class Gating:
    """Errors of all windows, and of the windows that reach a signal quality."""

    min_quality: float
    """Signal quality below which a window is left out."""
    coverage: float
    """Share of all windows that are kept; windows without a heart rate are not."""
    n_windows: int
    """How many those are."""
    mae_bpm: float
    """Over all windows."""
    mae_gated_bpm: float
    """Over the answered windows."""
    mape_percent: float
    """Over all windows."""
    mape_gated_percent: float
    """Over the answered windows."""


@dataclass(frozen=True)
class CoveragePoint:
    """Errors over the best windows by signal quality."""

    coverage: float
    """Share of all windows that is kept."""
    min_quality: float
    """Quality of the worst window kept."""
    mae_bpm: float
    """Over the windows kept."""
    mape_percent: float
    """Over the windows kept."""


def gating(table: Figures, *, min_quality: float) -> Gating:
    """Errors of all windows and of those whose quality reaches `min_quality`."""
    kept = table.quality[table.has_rate] >= min_quality
    absolute, relative = np.abs(table.error_bpm), table.relative_error_percent
    return Gating(
        min_quality=min_quality,
        coverage=float(kept.sum() / max(1, table.quality.size)),
        n_windows=int(kept.sum()),
        mae_bpm=_mean(absolute),
        mae_gated_bpm=_mean(absolute[kept]),
        mape_percent=_mean(relative),
        mape_gated_percent=_mean(relative[kept]),
    )


def coverage_curve(table: Figures) -> tuple[CoveragePoint, ...]:
    """Errors of the best 5, 10, .. 100 % of windows by quality; windows without a rate come last.

    El-Yaniv and Wiener 2010.
    """
    quality = table.quality[table.has_rate]
    order = np.argsort(-quality, kind="stable")
    absolute, relative = np.abs(table.error_bpm)[order], table.relative_error_percent[order]
    n = table.quality.size
    sizes = np.unique(np.ceil(np.arange(1, _STEPS + 1) / _STEPS * n).astype(int))
    return tuple(
        CoveragePoint(
            coverage=float(size / n),
            min_quality=float(quality[order[size - 1]]),
            mae_bpm=_mean(absolute[:size]),
            mape_percent=_mean(relative[:size]),
        )
        for size in sizes
        if size <= quality.size
    )


def _mean(x: np.ndarray) -> float:
    return float(x.mean()) if x.size else float("nan")
