"""Respiration rate from the three ways in which breathing modulates a pulse."""

from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator

from physkit.core.units import bpm_from_hz
from physkit.signal.beats import find_beats
from physkit.signal.hrv import normal_intervals

MIN_DURATION_S = 30.0
"""Shortest pulse: three breaths at 6 a minute; Karlen et al. 2013 use 32 s."""
BAND_HZ = (0.1, 0.5)
"""6 to 30 breaths a minute."""
MAX_DISAGREEMENT_BPM = 2.0
"""Largest difference of two estimates that agree."""
MIN_CONCENTRATION = 0.5
"""Least share of a modulation's band power that must lie around its peak to be a breath."""
_FPS = 4.0
"""Sampling rate of the modulations; faster than any heart rate."""


def respiration_rate_bpm(pulse: Float[np.ndarray, "t"], *, fps: float) -> float | None:
    """Breaths per minute from a uniformly sampled upright pulse; None where not trustworthy.

    Baseline (feet), amplitude (foot to crest) and beat interval each give a rate; at least two with
    a clear peak must agree, and their mean, weighted by clarity, is returned.
    None under `MIN_DURATION_S`, under 10 clean beats, or without agreement. Karlen et al. 2013.
    """
    if pulse.shape[0] / fps < MIN_DURATION_S:
        return None
    beats_s = find_beats(pulse, fps=fps)
    if beats_s.shape[0] < 10 or normal_intervals(beats_s).mean() < 0.8:
        return None
    estimates = [
        estimate
        for times_s, values in _modulations(pulse, beats_s, fps=fps)
        if (estimate := _dominant_rate_bpm(times_s, values)) is not None
    ]
    return _agreed(estimates)


def _modulations(
    pulse: Float[np.ndarray, "t"], beats_s: Float[np.ndarray, "n"], *, fps: float
) -> list[tuple[Float[np.ndarray, "m"], Float[np.ndarray, "m"]]]:
    """Times and values of baseline, amplitude and interval, one a beat."""
    feet = pulse[np.clip(np.round(beats_s * fps).astype(int), 0, pulse.shape[0] - 1)]
    edges = np.round(beats_s * fps).astype(int)
    crests = np.array([pulse[a : b + 1].max() for a, b in pairwise(edges)])
    normal = normal_intervals(beats_s)
    middle_s = (beats_s[:-1] + beats_s[1:]) / 2
    return [
        (beats_s, feet.astype(np.float64)),
        (beats_s[:-1], (crests - feet[:-1]).astype(np.float64)),
        (middle_s[normal], np.diff(beats_s)[normal]),
    ]


def _dominant_rate_bpm(
    times_s: Float[np.ndarray, "m"], values: Float[np.ndarray, "m"]
) -> tuple[float, float] | None:
    """Rate and concentration of the strongest modulation in the band; None if it is not clear."""
    at = np.arange(times_s[0], times_s[-1], 1 / _FPS)
    x = PchipInterpolator(times_s, values)(at)
    x = (x - np.polynomial.Polynomial.fit(at, x, 1)(at)) * np.hanning(at.size)
    nfft = max(2048, at.size)
    frequency_hz, power = np.fft.rfftfreq(nfft, 1 / _FPS), np.abs(np.fft.rfft(x, nfft)) ** 2
    inside = (frequency_hz >= BAND_HZ[0]) & (frequency_hz <= BAND_HZ[1])
    # the total includes slower drift, which lowers the concentration
    total = power[(frequency_hz > 0.03) & (frequency_hz <= BAND_HZ[1])].sum()
    top_hz = frequency_hz[inside][np.argmax(power[inside])]
    width_hz = max(0.05, 2 / (at[-1] - at[0]))
    near = inside & (np.abs(frequency_hz - top_hz) <= width_hz)
    concentration = float(power[near].sum() / total) if total > 0 else 0.0
    if concentration < MIN_CONCENTRATION:
        return None
    return bpm_from_hz(float(top_hz)), concentration


def _agreed(estimates: list[tuple[float, float]]) -> float | None:
    """The weighted mean of the largest group of estimates that agree; None for a group of one."""
    groups = [
        [other for other in estimates if abs(other[0] - one[0]) <= MAX_DISAGREEMENT_BPM]
        for one in estimates
    ]
    best = max(groups, key=lambda group: (len(group), sum(c for _, c in group)), default=[])
    if len(best) < 2:
        return None
    rates, weights = zip(*best, strict=True)
    return float(np.average(rates, weights=weights))
