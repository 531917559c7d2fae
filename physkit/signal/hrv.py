"""Heart-rate variability from beat times."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import median_filter
from scipy.signal import lombscargle

MIN_DURATION_S = 30.0
"""Shortest recording for SDNN, RMSSD and pNN50: from 30 s on they agree fairly with those of five
minutes (Munoz et al. 2015; for RMSSD also Baek et al. 2015)."""
MIN_SPECTRUM_S = 120.0
"""Shortest recording for LF/HF: about two minutes resolve the low band (Task Force 1996)."""
MAX_ARTEFACT_FRACTION = 0.1
"""Largest share of intervals that may be left out; with more, HRV is not computed."""
MAX_DEVIATION = 0.3
"""An interval that differs more than this from the median of its neighbours is not normal. Malik's
20 % (Task Force 1996) also removes strong respiratory arrhythmia of young people; a missed beat
differs by 100 %, an extra beat by 50 %."""
INTERVAL_RANGE_S = (0.3, 2.0)
"""Intervals outside are not physiological at rest (200 and 30 bpm)."""
LOW_BAND_HZ = (0.04, 0.15)
"""LF of the Task Force 1996."""
HIGH_BAND_HZ = (0.15, 0.4)
"""HF of the Task Force 1996."""


@dataclass(frozen=True)
class HRV:
    """Variability of the intervals between normal beats (NN)."""

    n_beats: int
    """Number of beats."""
    duration_s: float
    """From the first beat to the last."""
    mean_nn_ms: float
    """Mean interval."""
    sdnn_ms: float
    """Standard deviation of the intervals (n - 1)."""
    rmssd_ms: float
    """Root of the mean squared difference between successive intervals."""
    pnn50_percent: float
    """Successive differences over 50 ms, as a share of the number of intervals (Task Force)."""
    lf_hf: float | None
    """Power in 0.04-0.15 Hz over that in 0.15-0.4 Hz by Lomb-Scargle; None under two minutes."""
    artefact_fraction: float
    """Share of intervals left out as ectopic or misdetected."""


def hrv(
    beats_s: Float[np.ndarray, "n"],
    *,
    min_duration_s: float = MIN_DURATION_S,
    max_artefact_fraction: float = MAX_ARTEFACT_FRACTION,
) -> HRV | None:
    """Variability of beats at `beats_s` (seconds, increasing); None where it is not reliable.

    Ectopic or misdetected intervals (see `normal_intervals`) are left out and not replaced by
    interpolated ones; a difference counts only between two normal neighbours. None under
    `min_duration_s`, under 20 normal intervals, or above `max_artefact_fraction`.
    Task Force of the ESC and NASPE 1996.
    """
    if beats_s.shape[0] < 2 or beats_s[-1] - beats_s[0] < min_duration_s:
        return None
    intervals_ms = np.diff(beats_s) * 1e3
    normal = normal_intervals(beats_s)
    artefact_fraction = 1 - float(normal.mean())
    if normal.sum() < 20 or artefact_fraction > max_artefact_fraction:
        return None
    nn_ms = intervals_ms[normal]
    differences_ms = np.diff(intervals_ms)[normal[1:] & normal[:-1]]
    return HRV(
        n_beats=beats_s.shape[0],
        duration_s=float(beats_s[-1] - beats_s[0]),
        mean_nn_ms=float(nn_ms.mean()),
        sdnn_ms=float(nn_ms.std(ddof=1)),
        rmssd_ms=float(np.sqrt(np.mean(differences_ms**2))),
        pnn50_percent=float(np.sum(np.abs(differences_ms) > 50) / nn_ms.shape[0] * 100),
        lf_hf=_lf_hf(beats_s[1:][normal], nn_ms),
        artefact_fraction=artefact_fraction,
    )


def normal_intervals(beats_s: Float[np.ndarray, "n"]) -> Bool[np.ndarray, "n-1"]:
    """Which intervals are between normal beats: in range, and near the median of the 11 around."""
    intervals_s = np.diff(beats_s)
    around_s = median_filter(intervals_s, size=11, mode="nearest")
    in_range = (intervals_s >= INTERVAL_RANGE_S[0]) & (intervals_s <= INTERVAL_RANGE_S[1])
    return np.asarray(in_range & (np.abs(intervals_s - around_s) <= MAX_DEVIATION * around_s))


def _lf_hf(times_s: Float[np.ndarray, "n"], nn_ms: Float[np.ndarray, "n"]) -> float | None:
    duration_s = times_s[-1] - times_s[0]
    if duration_s < MIN_SPECTRUM_S:
        return None
    # five frequencies per resolution cell, so that no peak is missed
    frequency_hz = np.arange(LOW_BAND_HZ[0], HIGH_BAND_HZ[1], 1 / (5 * duration_s))
    power = lombscargle(times_s, nn_ms - nn_ms.mean(), 2 * np.pi * frequency_hz)
    low, high = (
        np.trapezoid(power[inside], frequency_hz[inside])
        for inside in (
            (frequency_hz >= low_hz) & (frequency_hz < high_hz)
            for low_hz, high_hz in (LOW_BAND_HZ, HIGH_BAND_HZ)
        )
    )
    return float(low / high) if high > 0 else None
