"""Confidence intervals by resampling subjects, since windows of one subject are not independent."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from physkit.evaluate.metrics import Estimate, Figures, Metrics
from physkit.evaluate.windows import WindowRow

N_RESAMPLES = 2000
"""Number of resamples: 50 then lie beyond each end of a 95 % interval."""


def with_intervals(
    metrics: Metrics,
    table: Figures,
    windows: Sequence[WindowRow],
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
) -> Metrics:
    """The metrics with 95 % percentile intervals over subjects; NaN for fewer than two subjects.

    A resample draws as many subjects as there are, with replacement, each with all its windows.
    Efron and Tibshirani 1993.
    """
    names = [w.subject for w in windows]
    subjects, owner = np.unique(np.array(names, dtype=str), return_inverse=True)
    if subjects.size < 2:
        return metrics
    rng = np.random.default_rng(seed)
    share = np.full(subjects.size, 1 / subjects.size)
    counts = rng.multinomial(subjects.size, share, size=n_resamples).astype(np.float64)
    rated = table.has_rate
    error, true = table.rate_bpm - table.label_bpm, table.label_bpm
    draw = _Draws(counts, owner)
    values = {
        "mae_bpm": draw.mean(np.abs(error), rated),
        "rmse_bpm": np.sqrt(draw.mean(error**2, rated)),
        "mape_percent": draw.mean(np.abs(error) / true * 100, rated),
        "pearson": draw.pearson(table.rate_bpm, true, rated),
        "snr_db": draw.mean(table.snr_db, np.isfinite(table.snr_db)),
        "macc": draw.mean(table.macc, np.isfinite(table.macc)),
    }
    return replace(
        metrics,
        **{name: _with_interval(getattr(metrics, name), drawn) for name, drawn in values.items()},
    )


class _Draws:
    """Means over resampled subjects, from sums per subject.

    counts: how often each resample (row) drew each subject (column).
    owner: the subject of each window.
    """

    def __init__(self, counts: Float[np.ndarray, "b s"], owner: Int[np.ndarray, "n"]) -> None:
        self.counts, self.owner = counts, owner

    def _sum(self, x: Float[np.ndarray, "n"]) -> Float[np.ndarray, "b"]:
        per_subject = np.bincount(self.owner, weights=x, minlength=self.counts.shape[1])
        return np.asarray(self.counts @ per_subject)

    def mean(self, x: Float[np.ndarray, "n"], valid: np.ndarray) -> Float[np.ndarray, "b"]:
        """Mean of the valid windows in each resample; NaN where it drew none."""
        n = self._sum(valid.astype(np.float64))
        total = self._sum(np.where(valid, x, 0.0))
        return np.asarray(np.divide(total, n, out=np.full(n.shape, np.nan), where=n > 0))

    def pearson(
        self, a: Float[np.ndarray, "n"], b: Float[np.ndarray, "n"], valid: np.ndarray
    ) -> Float[np.ndarray, "b"]:
        """Correlation of the valid windows in each resample; NaN where one does not vary."""
        if not valid.any():
            return np.full(self.counts.shape[0], np.nan)
        # centred beforehand, so that the sums of squares keep their digits
        a, b = a - a[valid].mean(), b - b[valid].mean()
        mean_a, mean_b = self.mean(a, valid), self.mean(b, valid)
        spread = (self.mean(a * a, valid) - mean_a**2) * (self.mean(b * b, valid) - mean_b**2)
        covariance = self.mean(a * b, valid) - mean_a * mean_b
        out = np.full(spread.shape, np.nan)
        np.divide(covariance, np.sqrt(np.abs(spread)), out=out, where=spread > 1e-12)
        return out


def _with_interval(estimate: Estimate, drawn: Float[np.ndarray, "b"]) -> Estimate:
    drawn = drawn[np.isfinite(drawn)]
    if drawn.size == 0:
        return estimate
    low, high = np.quantile(drawn, (0.025, 0.975))
    return replace(estimate, interval=(float(low), float(high)))
