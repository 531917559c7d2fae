"""Stretches of a signal that stand still."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import maximum_filter1d, minimum_filter1d

STILL = 0.02
"""A window whose range is less than this share of the usual one stands still."""
EDGE = 0.002
"""How near to its limit a clipped sample lies, relative to the signal's range."""
PLATEAU_S = 0.04
"""A shorter stay at a limit is the tip of a beat."""
MIN_PLATEAUS = 3
"""Fewer plateaus at one limit are no clipping but a few large beats."""


def longest_flat_s(samples: Float[np.ndarray, "t"], *, rate_hz: float, window_s: float) -> float:
    """The longest time for which a signal stands still, in seconds; 0 where under `window_s`."""
    n = max(round(window_s * rate_hz), 2)
    if len(samples) < n:
        return 0.0
    inside = slice(n // 2, len(samples) - (n - 1) // 2)
    ranges = (maximum_filter1d(samples, n) - minimum_filter1d(samples, n))[inside]
    # of windows that move: with half of the signal still, the median is no range at all
    usual = float(np.percentile(ranges, 90))
    longest = max((stop - start for start, stop in _runs(ranges <= STILL * usual)), default=0)
    return (longest + n - 1) / rate_hz if longest else 0.0


def plateau_share(samples: Float[np.ndarray, "t"], *, rate_hz: float) -> float:
    """Share of the samples that lie on plateaus at the signal's very top or bottom."""
    low, high = float(samples.min()), float(samples.max())
    margin = EDGE * (high - low)
    at_least = max(round(PLATEAU_S * rate_hz), 2)
    total = 0
    for at_limit in (samples >= high - margin, samples <= low + margin):
        lengths = [stop - start for start, stop in _runs(at_limit) if stop - start >= at_least]
        total += sum(lengths) if len(lengths) >= MIN_PLATEAUS else 0
    return total / len(samples)


def _runs(marks: Bool[np.ndarray, "t"]) -> list[tuple[int, int]]:
    """First index and one past the last of every stretch of marked samples."""
    edges = np.diff(np.concatenate([[0], marks.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
    return [(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]
