"""Heart-rate variability from beat times."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import median_filter, percentile_filter
from scipy.signal import lombscargle

from physkit.signal.beat_times import TimedBeats, replaced

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
STEP_WINDOW = 91
"""Successive differences over which their usual size is taken (Lipponen and Tarvainen 2019)."""
STEP_FACTOR = 6.0
"""Quartile deviations from which on a difference is an artefact. Lipponen and Tarvainen take 5.2,
for ECG, where beat times have no noise: of finger videos that leaves out true differences."""
LEAST_STEP = 0.02
"""Smallest difference that may be an artefact, in mean intervals."""
MAX_CORRECTED_FRACTION = 0.25
"""Largest share of beats that may be corrected; with more, HRV is not computed."""
MAX_RATIO_SDNN, MAX_RATIO_RMSSD = 1.65, 1.5
"""RMSSD over SDNN from which on neither, or no RMSSD, is believed. Of intervals that are nothing
but timing noise the ratio is the root of 3; at rest it is about 1 or less."""
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
    rmssd_ms: float | None
    """Root of the mean squared difference between successive intervals; None where noise of the
    beat times may be most of it (see `believed`)."""
    pnn50_percent: float | None
    """Successive differences over 50 ms, as a share of the number of intervals (Task Force); None
    where RMSSD is."""
    lf_hf: float | None
    """Power in 0.04-0.15 Hz over that in 0.15-0.4 Hz by Lomb-Scargle; None under two minutes, and
    where RMSSD is."""
    artefact_fraction: float
    """Share of intervals left out as ectopic or misdetected."""
    corrected_fraction: float = 0.0
    """Share of beats whose times were corrected: see `hrv`."""


def hrv(
    beats: Float[np.ndarray, "n"] | TimedBeats,
    *,
    min_duration_s: float = MIN_DURATION_S,
    max_artefact_fraction: float = MAX_ARTEFACT_FRACTION,
) -> HRV | None:
    """Variability of beats (their times in seconds, increasing); None where it is not reliable.

    Ectopic or misdetected intervals (see `normal_intervals`) are left out, and a difference counts
    only between two normal neighbours. Of `TimedBeats`, a beat that is misplaced, or whose interval
    changes too suddenly, is put between its neighbours for SDNN, and no difference at it counts
    in RMSSD: after Lipponen and Tarvainen 2019.
    None under `min_duration_s`, under 20 normal intervals, above `max_artefact_fraction`, or above
    `MAX_CORRECTED_FRACTION`. Task Force of the ESC and NASPE 1996.
    """
    timed = beats if isinstance(beats, TimedBeats) else TimedBeats(beats, np.zeros(len(beats)))
    beats_s = timed.times_s
    if beats_s.shape[0] < 2 or beats_s[-1] - beats_s[0] < min_duration_s:
        return None
    normal = normal_intervals(beats_s)
    if normal.sum() < 20:
        return None
    steps_ms = np.diff(beats_s, n=2) * 1e3
    is_pair = normal[1:] & normal[:-1]
    sudden = is_pair & _is_sudden(steps_ms, beats_s) & (timed is beats)
    misplaced = timed.is_misplaced
    wrong = misplaced.copy()
    wrong[1:-1] |= sudden
    corrected_s = replaced(beats_s, wrong)
    normal = normal_intervals(corrected_s)
    touched = misplaced[:-2] | misplaced[1:-1] | misplaced[2:]
    steps_ms = steps_ms[is_pair & ~sudden & ~touched]
    artefact_fraction, corrected_fraction = 1 - float(normal.mean()), float(wrong.mean())
    is_clean = artefact_fraction <= max_artefact_fraction
    if steps_ms.size < 20 or not is_clean or corrected_fraction > MAX_CORRECTED_FRACTION:
        return None
    nn_ms = 1e3 * np.diff(corrected_s)[normal]
    return HRV(
        n_beats=beats_s.shape[0],
        duration_s=float(beats_s[-1] - beats_s[0]),
        mean_nn_ms=float(nn_ms.mean()),
        sdnn_ms=float(nn_ms.std(ddof=1)),
        rmssd_ms=float(np.sqrt(np.mean(steps_ms**2))),
        pnn50_percent=float(np.sum(np.abs(steps_ms) > 50) / (steps_ms.size + 1) * 100),
        lf_hf=_lf_hf(corrected_s[1:][normal], nn_ms),
        artefact_fraction=artefact_fraction,
        corrected_fraction=corrected_fraction,
    )


def believed(found: HRV | None) -> HRV | None:
    """Variability without what may be noise of the beat times; None where all of it may be.

    Noise of the times makes RMSSD grow with the root of 6, SDNN with the root of 2 of its variance:
    see `MAX_RATIO_SDNN`.
    """
    if found is None or found.rmssd_ms is None or found.sdnn_ms == 0:
        return found
    ratio = found.rmssd_ms / found.sdnn_ms
    if ratio >= MAX_RATIO_SDNN:
        return None
    if ratio >= MAX_RATIO_RMSSD:
        return dataclasses.replace(found, rmssd_ms=None, pnn50_percent=None, lf_hf=None)
    return found


def _is_sudden(
    steps_ms: Float[np.ndarray, "m"], beats_s: Float[np.ndarray, "n"]
) -> Bool[np.ndarray, "m"]:
    """Differences of successive intervals that are far from the usual of the 91 around."""
    sizes_ms = np.abs(steps_ms)
    low, high = (percentile_filter(sizes_ms, p, size=STEP_WINDOW) for p in (25, 75))
    least_ms = LEAST_STEP * 1e3 * float(np.mean(np.diff(beats_s)))
    return np.asarray(sizes_ms > np.maximum(STEP_FACTOR * (high - low) / 2, least_ms))


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
