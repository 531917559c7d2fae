"""Conversions between the units that names in physkit carry."""

from typing import Literal

SECONDS_PER_MINUTE = 60.0
MAX_GAP_S = 0.5
"""A face unseen for longer starts anew: its light, its size and its pulse have moved on."""
NOMINAL_DT_S = 1 / 30
"""Duration of a single frame without a neighbour."""
SnrKind = Literal["10log10", "20log10", "10log10-squared"]
"""10 log10 or 20 log10 of summed density, or 10 log10 of summed squared density."""


def bpm_from_hz(frequency_hz: float) -> float:
    """Beats (or breaths) per minute of a frequency in Hz."""
    return frequency_hz * SECONDS_PER_MINUTE


def hz_from_bpm(rate_bpm: float) -> float:
    """Frequency in Hz of a rate in beats (or breaths) per minute."""
    return rate_bpm / SECONDS_PER_MINUTE
