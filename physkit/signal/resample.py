"""Samples with true timestamps onto a uniform clock, gaps kept as gaps."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.interpolate import Akima1DInterpolator

from physkit.core.errors import InputError
from physkit.core.types import Pulse

MAX_GAP_S = 0.5
"""Longest gap that is interpolated: under one beat at 120 bpm."""
GAP_STEPS = 1.5
"""An interval of so many usual ones holds a dropped sample."""
MOST_TICKS = 50_000_000
"""Longest uniform clock, 19 days at 30 Hz; one wild time would ask for all memory."""


@dataclass(frozen=True, eq=False)
class Run:
    """An unbroken stretch of pulse on a uniform clock."""

    pulse: Float[np.ndarray, "t"]
    """Samples without NaN."""
    fps: float
    """Their rate in Hz."""
    start_s: float
    """Time of the first, on the clock of the whole pulse."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float(self.pulse.shape[0] / self.fps)

    @property
    def end_s(self) -> float:
        """Time after the last sample."""
        return self.start_s + self.duration_s


def uniform_runs(pulse: Pulse, *, fps: float) -> list[Run]:
    """The unbroken stretches of a pulse (see `seen_runs`), each resampled to `fps` Hz."""
    runs = []
    for seen in seen_runs(pulse.samples, pulse.timestamps_s):
        values, times_s = resample(pulse.samples[seen], pulse.timestamps_s[seen], fps=fps)
        runs.append(Run(values, fps, float(times_s[0])))
    return runs


def mean_fps(timestamps_s: Float[np.ndarray, "t"]) -> float:
    """Frames a second in Hz over the intervals that are no gaps; NaN for fewer than two of them.

    One over the mean interval: the median of times in whole milliseconds (33, 33, 34) is 1 % off.
    Intervals of more than `MAX_GAP_S` count only where there are no others.
    """
    steps_s = np.diff(timestamps_s)
    if steps_s.size == 0:
        return float("nan")
    unbroken_s = steps_s[steps_s <= MAX_GAP_S]
    return float(1 / (unbroken_s if unbroken_s.size else steps_s).mean())


def usual_step_s(timestamps_s: Float[np.ndarray, "t"]) -> float:
    """Mean interval in seconds, gaps left out; NaN for fewer than two timestamps.

    Times in whole milliseconds give 16 or 17 ms as the median of 60 Hz; their mean is right.
    """
    if timestamps_s.shape[0] < 2:
        return float("nan")
    steps_s = np.diff(timestamps_s)
    return float(steps_s[steps_s <= GAP_STEPS * np.median(steps_s)].mean())


def seen_runs(
    samples: Float[np.ndarray, "t"],
    timestamps_s: Float[np.ndarray, "t"],
    *,
    max_gap_s: float = MAX_GAP_S,
) -> list[slice]:
    """Index ranges in which no two neighbouring seen samples lie more than `max_gap_s` apart.

    A NaN sample means that nothing was seen. A range begins and ends at a seen sample and may
    contain NaN.
    """
    seen = np.flatnonzero(np.isfinite(samples))
    if seen.size == 0:
        return []
    breaks = np.flatnonzero(np.diff(timestamps_s[seen]) > max_gap_s)
    first = np.concatenate([[0], breaks + 1])
    last = np.concatenate([breaks, [seen.size - 1]])
    return [slice(int(seen[a]), int(seen[b]) + 1) for a, b in zip(first, last, strict=True)]


def resample(
    samples: Float[np.ndarray, "t"],
    timestamps_s: Float[np.ndarray, "t"],
    *,
    fps: float,
    max_gap_s: float = MAX_GAP_S,
) -> tuple[Float[np.ndarray, "u"], Float[np.ndarray, "u"]]:
    """Values and times in seconds on a uniform clock of `fps` Hz from the first timestamp on.

    A modified Akima spline between seen samples, which does not overshoot where timestamps jitter;
    NaN wherever nothing was seen for more than `max_gap_s`. Akima 1970.
    Raises InputError where the times span more than `MOST_TICKS` steps of that clock.
    """
    if timestamps_s.shape[0] == 0:
        return np.zeros(0), np.zeros(0)
    span_s = float(timestamps_s[-1] - timestamps_s[0])
    if span_s * fps > MOST_TICKS:
        raise InputError(
            f"times span {span_s:.3g} s with {len(timestamps_s)} samples; repair them, or leave "
            "the recording out"
        )
    # tolerance of 0.0005 steps: keeps the last sample of timestamps that are already uniform
    n = int(np.floor((timestamps_s[-1] - timestamps_s[0]) * fps + 5e-4)) + 1
    grid_s = timestamps_s[0] + np.arange(n) / fps
    tolerance_s = 1e-3 / fps
    return sample_at(
        samples, timestamps_s, grid_s, max_gap_s=max_gap_s, tolerance_s=tolerance_s
    ), grid_s


def sample_at(
    samples: Float[np.ndarray, "t"],
    timestamps_s: Float[np.ndarray, "t"],
    at_s: Float[np.ndarray, "u"],
    *,
    max_gap_s: float = MAX_GAP_S,
    tolerance_s: float = 0.0,
) -> Float[np.ndarray, "u"]:
    """Values at any times by the spline of `resample`; NaN wherever nothing was seen.

    max_gap_s: longest gap in seconds that is interpolated.
    tolerance_s: seconds outside a run of samples in which its first and last value are used.
    """
    values = np.full(at_s.shape, np.nan)
    for run in seen_runs(samples, timestamps_s, max_gap_s=max_gap_s):
        finite = np.isfinite(samples[run])
        times, seen = timestamps_s[run][finite], samples[run][finite].astype(np.float64)
        inside = (at_s >= times[0] - tolerance_s) & (at_s <= times[-1] + tolerance_s)
        values[inside] = _interpolate(times, seen, np.clip(at_s[inside], times[0], times[-1]))
    return values


def _interpolate(
    times: Float[np.ndarray, "r"], values: Float[np.ndarray, "r"], at: Float[np.ndarray, "u"]
) -> Float[np.ndarray, "u"]:
    if times.shape[0] < 3:
        return np.asarray(np.interp(at, times, values))
    return np.asarray(Akima1DInterpolator(times, values, method="makima")(at))
