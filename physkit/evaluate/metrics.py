"""Aggregates over windows, each with its standard error, and agreement between two rates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from physkit.evaluate.protocols import Protocol
from physkit.evaluate.windows import WindowRow


@dataclass(frozen=True)
class Estimate:
    """A figure with its uncertainty; NaN where it has no value."""

    value: float
    """The figure over all windows that have it."""
    standard_error: float
    """As the protocol defines it, with windows as independent."""
    interval: tuple[float, float] = (float("nan"), float("nan"))
    """95 % bootstrap interval over subjects."""


@dataclass(frozen=True)
class Metrics:
    """The six aggregates of a protocol."""

    mae_bpm: Estimate
    """Mean absolute error of the heart rate."""
    rmse_bpm: Estimate
    """Root mean squared error of the heart rate."""
    mape_percent: Estimate
    """Mean absolute error of the heart rate, relative to the true one."""
    pearson: Estimate
    """Correlation of predicted and true heart rates."""
    snr_db: Estimate
    """Mean signal-to-noise ratio."""
    macc: Estimate
    """Mean maximum amplitude of the cross-correlation."""


@dataclass(frozen=True)
class BlandAltman:
    """Agreement of predicted and true heart rate: true less predicted."""

    bias_bpm: float
    """Mean difference."""
    sd_bpm: float
    """Standard deviation of the difference (n - 1)."""
    lower_bpm: float
    """Lower limit of agreement."""
    upper_bpm: float
    """Upper limit of agreement."""


@dataclass(frozen=True, eq=False)
class Figures:
    """The window table as columns."""

    rate_bpm: Float[np.ndarray, "n"]
    """Predicted heart rates."""
    label_bpm: Float[np.ndarray, "n"]
    """True heart rates."""
    snr_db: Float[np.ndarray, "n"]
    """Signal-to-noise ratios."""
    macc: Float[np.ndarray, "n"]
    """Cross-correlations."""
    quality: Float[np.ndarray, "n"]
    """Signal qualities."""

    @property
    def has_rate(self) -> Bool[np.ndarray, "n"]:
        """Windows with both heart rates."""
        return np.asarray(np.isfinite(self.rate_bpm) & np.isfinite(self.label_bpm))

    @property
    def error_bpm(self) -> Float[np.ndarray, "m"]:
        """Predicted less true rate of the windows that have both."""
        return np.asarray((self.rate_bpm - self.label_bpm)[self.has_rate])

    @property
    def relative_error_percent(self) -> Float[np.ndarray, "m"]:
        """Absolute error over the true rate of the windows that have both."""
        return np.asarray(np.abs(self.error_bpm) / self.label_bpm[self.has_rate] * 100)


def figures(windows: Sequence[WindowRow]) -> Figures:
    """The columns of a window table."""
    rows = [
        (w.heart_rate_bpm, w.label_heart_rate_bpm, w.snr_db, w.macc, w.quality) for w in windows
    ]
    columns = np.array(rows, dtype=np.float64).reshape(-1, 5).T
    return Figures(*columns)


def metrics(table: Figures, protocol: Protocol) -> Metrics:
    """All six aggregates with the protocol's standard errors; windows without a value are left out.

    MAE, MAPE, SNR, MACC: std / sqrt n of the window values; RMSE: std(e²) / sqrt n or its root;
    Pearson r: sqrt((1 - r²) / (n - 2)). Standard deviations are the population's.
    """
    error = table.error_bpm
    return Metrics(
        mae_bpm=_mean(np.abs(error)),
        rmse_bpm=_rmse(error, protocol),
        mape_percent=_mean(table.relative_error_percent),
        pearson=_pearson(table.rate_bpm[table.has_rate], table.label_bpm[table.has_rate]),
        snr_db=_mean(table.snr_db[np.isfinite(table.snr_db)]),
        macc=_mean(table.macc[np.isfinite(table.macc)]),
    )


def bland_altman(table: Figures, protocol: Protocol) -> BlandAltman:
    """Mean difference, its spread, and the limits of agreement of the protocol.

    Bland and Altman 1986.
    """
    difference = -table.error_bpm
    if difference.size < 2:
        return BlandAltman(*(float("nan"),) * 4)
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    reach = protocol.bland_altman_factor * sd
    return BlandAltman(bias, sd, bias - reach, bias + reach)


def _mean(x: Float[np.ndarray, "n"]) -> Estimate:
    if x.size == 0:
        return Estimate(float("nan"), float("nan"))
    return Estimate(float(x.mean()), float(x.std() / np.sqrt(x.size)))


def _rmse(error: Float[np.ndarray, "n"], protocol: Protocol) -> Estimate:
    if error.size == 0:
        return Estimate(float("nan"), float("nan"))
    spread = float(np.std(error**2) / np.sqrt(error.size))
    finish: Callable[[float], float] = np.sqrt if protocol.rmse_error == "sqrt" else float
    return Estimate(float(np.sqrt(np.mean(error**2))), float(finish(spread)))


def _pearson(a: Float[np.ndarray, "n"], b: Float[np.ndarray, "n"]) -> Estimate:
    n = a.size
    if n < 2 or not (np.ptp(a) > 0 and np.ptp(b) > 0):
        return Estimate(float("nan"), float("nan"))
    r = float(np.corrcoef(a, b)[0, 1])
    # two windows always correlate perfectly, and rounding may exceed one
    standard_error = np.sqrt(max(0.0, 1 - r**2) / (n - 2)) if n > 2 else float("nan")
    return Estimate(r, float(standard_error))
