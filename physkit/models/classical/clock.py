"""Filters that need an even clock, for frames that came on an uneven one."""

import numpy as np
from jaxtyping import Float

from physkit.signal.filters import bandpass

NYQUIST_MARGIN = 0.9
"""A band that reaches beyond this part of the Nyquist frequency is cut there."""


def mean_rate_hz(times_s: Float[np.ndarray, "t"]) -> float:
    """Frames a second over the whole span; 0 where time stands still."""
    span_s = float(times_s[-1] - times_s[0])
    return (len(times_s) - 1) / span_s if span_s > 0 else 0.0


def even_times_s(
    times_s: Float[np.ndarray, "t"], *, n: int | None = None
) -> Float[np.ndarray, "n"]:
    """`n` evenly spaced times (by default as many as given) over the same span."""
    return np.linspace(times_s[0], times_s[-1], len(times_s) if n is None else n)


def bandpass_on_clock(
    x: Float[np.ndarray, "t"],
    times_s: Float[np.ndarray, "t"],
    *,
    low_hz: float,
    high_hz: float,
    order: int,
) -> Float[np.ndarray, "t"]:
    """Zero-phase band-pass of samples at uneven times, by way of an even clock over their span.

    The clock has as many ticks as there are samples; where those are too few for the filter's
    padding, a whole multiple of their intervals. Zeros where frames come too slowly for the band.
    """
    fps = mean_rate_hz(times_s)
    high_hz = min(high_hz, NYQUIST_MARGIN * fps / 2)
    if high_hz <= low_hz:
        return np.zeros_like(x)
    intervals, padding = len(x) - 1, 3 * (2 * order + 1)
    refinement = max(1, -(-padding // intervals))
    clock_s = even_times_s(times_s, n=intervals * refinement + 1)
    even = bandpass(
        np.interp(clock_s, times_s, x),
        fps=fps * refinement,
        low_hz=low_hz,
        high_hz=high_hz,
        order=order,
    )
    return np.asarray(np.interp(times_s, clock_s, even))
