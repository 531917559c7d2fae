"""Heart rate over time: one value a second, each the mean of the seconds around it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import median_filter

from physkit.core.units import bpm_from_hz
from physkit.signal.beats import find_beats
from physkit.signal.filters import detrend, smoothness_of_cutoff
from physkit.signal.heart_rate import hann_spectrum, spectral_heart_rate_bpm
from physkit.signal.quality import window_qualities
from physkit.signal.resample import Run

RATE_WINDOW_S = 8.0
"""Each value is read in so many seconds around its time, or in all of a shorter run."""
DRIFT_HZ = 0.25
"""Slower changes are drift."""
MAX_DISAGREEMENT = 0.08
"""Largest difference of the spectrum's and the beats' rate in a window, as a share: beyond it the
rate changes within the window, or one of both is wrong."""
MAX_STEP = 0.12
"""Largest difference of a value from the median of the five around, as a share."""
STEADY_RANGE = 0.15
"""Range of rates, as a share of their mean, beyond which one number misleads. The rate of a healthy
person at rest changes by less between windows of 8 s."""
RANGE_PERCENT = (5.0, 95.0)
"""Percentiles between which that range lies."""


@dataclass(frozen=True, eq=False)
class RateOverTime:
    """Heart rates at whole seconds after the first timestamp of a pulse."""

    times_s: Float[np.ndarray, "n"]
    """On the clock of the pulse, a second apart."""
    rates_bpm: Float[np.ndarray, "n"]
    """Mean rate of `RATE_WINDOW_S` around; NaN where none is certain: near the ends of a run, where
    the rate jumps, and in noise."""
    consistent_share: float = 0.0
    """Share of the seconds that have a window in which spectrum and beats agree with each other and
    with the seconds around, whatever the quality."""

    @property
    def is_answered(self) -> bool:
        """Whether there is any rate."""
        return bool(np.isfinite(self.rates_bpm).any())

    @property
    def range_bpm(self) -> tuple[float, float]:
        """Lowest and highest rate, without the outermost twentieths. Needs an answered second."""
        low, high = np.nanpercentile(self.rates_bpm, RANGE_PERCENT)
        return float(low), float(high)

    @property
    def is_steady(self) -> bool:
        """Whether one number describes all of it; true where nothing is answered."""
        if not self.is_answered:
            return True
        low, high = self.range_bpm
        return high - low <= STEADY_RANGE * float(np.nanmean(self.rates_bpm))

    def mean_bpm(self, runs: Sequence[Run]) -> float:
        """Mean rate over all seconds of the runs that have an answered one; NaN for none.

        Unanswered seconds take the rate interpolated between answered ones of their run.
        """
        means, weights = [], []
        for run in runs:
            inside = (self.times_s >= run.start_s) & (self.times_s <= run.end_s)
            inside &= np.isfinite(self.rates_bpm)
            if inside.any():
                at_s = np.arange(run.start_s, run.end_s, 0.1)
                means.append(np.interp(at_s, self.times_s[inside], self.rates_bpm[inside]).mean())
                weights.append(run.duration_s)
        return float(np.average(means, weights=weights)) if means else float("nan")


def rate_over_time(
    runs: Sequence[Run], *, start_s: float, end_s: float, min_quality: float
) -> RateOverTime:
    """The rates of runs of pulse, at whole seconds from `start_s` to `end_s`.

    min_quality: least signal quality of a window that is answered.
    """
    times_s = start_s + np.arange(max(0, int(np.floor(end_s - start_s + 1e-6)) + 1))
    rates_bpm = np.full(times_s.shape, np.nan)
    counts = np.zeros(2)
    for run in runs:
        counts += _fill(run, times_s, rates_bpm, min_quality=min_quality)
    return RateOverTime(times_s, rates_bpm, float(counts[0] / max(1, counts[1])))


def _fill(
    run: Run,
    times_s: Float[np.ndarray, "n"],
    rates_bpm: Float[np.ndarray, "n"],
    *,
    min_quality: float,
) -> tuple[int, int]:
    """Writes the rates of a run. Returns how many seconds are consistent, and of how many."""
    n, fps = run.pulse.shape[0], run.fps
    length = min(n, round(RATE_WINDOW_S * fps))
    wanted = np.round((times_s - run.start_s) * fps - length / 2)
    starts = np.clip(wanted, 0, n - length)
    at = np.flatnonzero(np.abs(wanted - starts) <= 0.5 * fps)
    if not at.size:
        return 0, 0
    bounds = [(int(s), int(s) + length) for s in starts[at]]
    qualities = window_qualities(run.pulse, fps=fps, bounds=bounds)
    x = detrend(run.pulse, smoothness=smoothness_of_cutoff(DRIFT_HZ, fps=fps))
    beats_s = find_beats(run.pulse, fps=fps)
    found = np.array([_window_rate_bpm(x, beats_s, a, b, fps=fps) for a, b in bounds])
    known = np.flatnonzero(np.isfinite(found))
    around = median_filter(found[known], size=5, mode="nearest")
    found[known[np.abs(found[known] - around) > MAX_STEP * around]] = np.nan
    n_consistent = int(np.isfinite(found).sum())
    found[np.array(qualities) < min_quality] = np.nan
    rates_bpm[at] = found
    return n_consistent, at.size


def _window_rate_bpm(
    x: Float[np.ndarray, "t"], beats_s: Float[np.ndarray, "k"], a: int, b: int, *, fps: float
) -> float:
    """The spectral rate of a window if its beats agree, else NaN."""
    rate_bpm = spectral_heart_rate_bpm(hann_spectrum(x[a:b], fps=fps, spacing_hz=0.01))
    inside_s = beats_s[(beats_s >= a / fps) & (beats_s < b / fps)]
    if inside_s.shape[0] < 3:
        return float("nan")
    beat_bpm = bpm_from_hz((inside_s.shape[0] - 1) / float(inside_s[-1] - inside_s[0]))
    agree = abs(beat_bpm - rate_bpm) <= MAX_DISAGREEMENT * rate_bpm
    return rate_bpm if agree else float("nan")
