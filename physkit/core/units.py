"""Conversions between the units that names in physkit carry."""

from typing import Literal

import numpy as np

SECONDS_PER_MINUTE = 60.0
MAX_GAP_S = 0.5
"""A face unseen for longer starts anew: its light, its size and its pulse have moved on."""
NOMINAL_DT_S = 1 / 30
"""Duration of a single frame without a neighbour."""
MOST_STRETCHED = 100.0
"""A clock that spans so many times what its rate says has a wild time in it, or another unit."""
SnrKind = Literal["10log10", "20log10", "10log10-squared"]
"""10 log10 or 20 log10 of summed density, or 10 log10 of summed squared density."""


def frame_durations_s(
    timestamps_s: np.ndarray, *, before_s: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Seconds (t,) since the frame before of every frame (t,), and whether a stretch begins there.

    A stretch begins after more than `MAX_GAP_S` without a frame, and at the first of all unless
    the stretch goes on from a frame at `before_s`. Its state starts anew, and its first frame
    lasts like its second; a single frame lasts `NOMINAL_DT_S`.
    """
    dt_s = np.diff(timestamps_s, prepend=-np.inf if before_s is None else before_s)
    is_new = dt_s > MAX_GAP_S
    following_s = np.append(dt_s[1:], NOMINAL_DT_S)[: dt_s.shape[0]]
    following_s[following_s > MAX_GAP_S] = NOMINAL_DT_S
    return np.where(is_new, following_s, dt_s), is_new


def bpm_from_hz(frequency_hz: float) -> float:
    """Beats (or breaths) per minute of a frequency in Hz."""
    return frequency_hz * SECONDS_PER_MINUTE


def hz_from_bpm(rate_bpm: float) -> float:
    """Frequency in Hz of a rate in beats (or breaths) per minute."""
    return rate_bpm / SECONDS_PER_MINUTE
