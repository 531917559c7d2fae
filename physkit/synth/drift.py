"""Slow random change: what heads, lamps and breathing have in common."""

import numpy as np
from jaxtyping import Float

N_WAVES = 6
"""Enough sinusoids that a minute of drift does not look periodic."""


def slow_drift(
    times_s: Float[np.ndarray, "t"], *, low_hz: float, high_hz: float, rng: np.random.Generator
) -> Float[np.ndarray, "t"]:
    """A smooth random signal of zero mean and unit variance between two frequencies."""
    frequency_hz = rng.uniform(low_hz, high_hz, N_WAVES)
    phase = rng.uniform(0.0, 2 * np.pi, N_WAVES)
    strength = rng.normal(size=N_WAVES)
    strength *= np.sqrt(2.0) / np.linalg.norm(strength)
    waves = np.cos(2 * np.pi * frequency_hz * times_s[:, None] + phase)
    return np.asarray(waves @ strength)
