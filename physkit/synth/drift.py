"""Random change over time, shared by heads, lamps and breathing."""

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


def moments(
    duration_s: float, *, every_s: float, spread: float, rng: np.random.Generator
) -> Float[np.ndarray, "n"]:
    """Random moments from 0 s to `duration_s`, on average `every_s` apart.

    spread: relative width of the gaps around their mean, 0 to 1.
    """
    n = int(np.ceil(duration_s / (every_s * (1.0 - 0.9 * spread)))) + 1
    gaps_s = every_s * rng.uniform(1.0 - spread, 1.0 + spread, n)
    times_s = np.cumsum(gaps_s) - gaps_s[0] * rng.uniform()
    return np.asarray(times_s[times_s < duration_s])


def ramped_steps(
    times_s: Float[np.ndarray, "t"],
    moments_s: Float[np.ndarray, "n"],
    values: Float[np.ndarray, "m"],
    *,
    ramp_s: float,
) -> Float[np.ndarray, "t"]:
    """`values[0]` at first, and the next value after each moment, by a smooth ramp. m = n + 1."""
    out = np.full(times_s.shape, values[0])
    for moment_s, change in zip(moments_s, np.diff(values), strict=True):
        passed = np.clip((times_s - moment_s) / ramp_s, 0.0, 1.0)
        out += change * passed * passed * (3.0 - 2.0 * passed)
    return out
