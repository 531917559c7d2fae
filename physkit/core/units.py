"""Conversions between the units that names in physkit carry."""

SECONDS_PER_MINUTE = 60.0


def bpm_from_hz(frequency_hz: float) -> float:
    """Beats (or breaths) per minute of a frequency in Hz."""
    return frequency_hz * SECONDS_PER_MINUTE


def hz_from_bpm(rate_bpm: float) -> float:
    """Frequency in Hz of a rate in beats (or breaths) per minute."""
    return rate_bpm / SECONDS_PER_MINUTE
