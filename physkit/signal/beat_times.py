"""Exact beat times: each beat is placed where the mean beat of its recording fits best."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.stats import skew

from physkit.core.units import hz_from_bpm
from physkit.signal.beats import band_limited, find_beats, upsampled
from physkit.signal.heart_rate import hann_spectrum, spectral_heart_rate_bpm

MIN_BEATS = 8
"""Fewer beats give no mean beat."""
HARMONICS = 3.5
"""Highest frequency that is used, in heart rates: more are noise in a pulse read from video."""
REACH = 0.5
"""Time before and after a beat that is compared with the mean beat, in beats."""
MAX_SHIFT = 0.15
"""Farthest that a beat is moved in a round, in beats."""
STEP_S = 0.01
"""Spacing of the samples and shifts that are compared; a parabola goes between."""
ROUNDS = 2
"""Times that the mean beat is made and fitted."""
INVERTED_SKEWNESS = -0.25
"""Skewness of the slope from which on a pulse is upside down: its falls are steeper than its rises.
Upright fingers and faces have 0.28 to 4.8."""
MISPLACED = 2.5
"""Times the median timing error from which on a beat is misplaced."""
LEAST_ERROR_S = 4e-3
"""Smallest timing error of a misplaced beat: less does not change a variability."""


@dataclass(frozen=True, eq=False)
class TimedBeats:
    """Beats and how exactly their times are known."""

    times_s: Float[np.ndarray, "n"]
    """Where each beat begins, in seconds after the first sample."""
    error_s: Float[np.ndarray, "n"]
    """Standard deviation of each time, from how far the beat is off the mean beat."""

    @property
    def is_misplaced(self) -> Bool[np.ndarray, "n"]:
        """Which beats were hit by noise."""
        if not self.times_s.size:
            return np.zeros(0, bool)
        return np.asarray(self.error_s > max(MISPLACED * np.median(self.error_s), LEAST_ERROR_S))


def time_beats(pulse: Float[np.ndarray, "t"], *, fps: float) -> TimedBeats | None:
    """The beats of `find_beats`, less those at the ends, each fitted to the mean of all beats.

    pulse: uniform samples without NaN, upright or upside down. A foot is one point of a beat, and
    noise moves it; the fit uses all of the beat. None with fewer than `MIN_BEATS`.
    """
    if _is_inverted(pulse, fps=fps):
        pulse = -pulse
    feet_s = find_beats(pulse, fps=fps)
    if feet_s.shape[0] < MIN_BEATS:
        return None
    period_s = float(np.median(np.diff(feet_s)))
    x, rate_hz = upsampled(pulse, fps=fps)
    high_hz = min(HARMONICS / period_s, 0.45 * fps)
    smooth = band_limited(x, rate_hz, 0.5 / period_s, high_hz)
    wave = CubicSpline(np.arange(x.shape[0]) / rate_hz, smooth)
    reach_s = (REACH + MAX_SHIFT) * period_s
    times_s = feet_s[(feet_s > reach_s) & (feet_s < x.shape[0] / rate_hz - reach_s)]
    if times_s.shape[0] < MIN_BEATS:
        return None
    at_s = np.arange(-REACH * period_s, REACH * period_s, STEP_S)
    weights = np.sqrt(np.hanning(at_s.size + 2)[1:-1])
    for _ in range(ROUNDS):
        beats = _standard(wave(times_s[:, None] + at_s), weights)
        mean_beat = _standard(np.median(beats, axis=0), weights)
        times_s, likeness = _fitted(wave, times_s, at_s, mean_beat, weights, period_s=period_s)
    # the residual as noise of the band, which moves a beat by the noise over its slopes
    slope = float((weights * np.gradient(mean_beat, at_s) ** 2).sum())
    n_apart = 1 / (2 * high_hz * STEP_S)
    error_s = n_apart * np.sqrt(np.maximum(1 - likeness**2, 0) / at_s.size / slope)
    return TimedBeats(times_s, error_s)


def _is_inverted(pulse: Float[np.ndarray, "t"], *, fps: float) -> bool:
    if pulse.shape[0] < MIN_BEATS or not np.ptp(pulse) > 0:
        return False
    x, rate_hz = upsampled(pulse, fps=fps)
    beat_hz = hz_from_bpm(spectral_heart_rate_bpm(hann_spectrum(x, fps=rate_hz)))
    if not np.isfinite(beat_hz):
        return False
    high_hz = min(HARMONICS * beat_hz, 0.45 * fps)
    slope = np.diff(band_limited(x, rate_hz, 0.5 * beat_hz, high_hz))
    return bool(skew(slope) < INVERTED_SKEWNESS)


def _standard(
    beats: Float[np.ndarray, "*n s"], weights: Float[np.ndarray, "s"]
) -> Float[np.ndarray, "*n s"]:
    """Each beat with a weighted mean of 0 and a weighted norm of 1."""
    centred = beats - (beats * weights).sum(-1, keepdims=True) / weights.sum()
    norm = np.sqrt((weights * centred**2).sum(-1, keepdims=True))
    return np.asarray(centred / np.maximum(norm, np.finfo(float).tiny))


def _fitted(
    wave: CubicSpline,
    times_s: Float[np.ndarray, "n"],
    at_s: Float[np.ndarray, "s"],
    mean_beat: Float[np.ndarray, "s"],
    weights: Float[np.ndarray, "s"],
    *,
    period_s: float,
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Times at which the beats are most like the mean beat, and how like: a correlation."""
    n_shifts = int(MAX_SHIFT * period_s / STEP_S)
    shifts_s = STEP_S * np.arange(-n_shifts, n_shifts + 1)
    likeness = np.stack(
        [
            _standard(wave(times_s[:, None] + shift + at_s), weights) @ (mean_beat * weights)
            for shift in shifts_s
        ],
        axis=1,
    )
    best = np.clip(likeness.argmax(axis=1), 1, shifts_s.size - 2)
    row = np.arange(times_s.size)
    left, top, right = (likeness[row, best + step] for step in (-1, 0, 1))
    curvature = left - 2 * top + right
    between = np.where(curvature < 0, 0.5 * (left - right) / np.minimum(curvature, -1e-12), 0.0)
    moved_s = shifts_s[best] + STEP_S * np.clip(between, -0.5, 0.5)
    moved_s[np.abs(between) > 1] = 0.0  # most alike at the end of its reach: as it was
    return times_s + moved_s - np.median(moved_s), top


def replaced(
    times_s: Float[np.ndarray, "n"], is_wrong: Bool[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Times with the wrong ones put where a monotonous curve through the others has them."""
    kept = ~is_wrong
    if kept.sum() < 2:
        return times_s
    index = np.arange(times_s.shape[0])
    kept[[0, -1]] = True
    return np.asarray(PchipInterpolator(index[kept], times_s[kept])(index))
