"""Beat times of a pulse waveform: the feet, where the pressure begins to rise."""

import numpy as np
from jaxtyping import Float, Int
from scipy.fft import next_fast_len
from scipy.interpolate import CubicSpline
from scipy.ndimage import percentile_filter
from scipy.signal import argrelextrema

from physkit.signal.heart_rate import hann_spectrum, spectral_heart_rate_bpm

_FINE_FPS = 100.0
"""Slower signals are first resampled to this rate, to locate a foot between close samples."""
_MIN_DURATION_S = 2.0
"""A shorter signal shows no rhythm."""
_LOCAL_WINDOW_S = 10.0
"""Length of the windows in which the local heart rate is read."""
_RHYTHM_WEIGHT = 2.0
"""Cost of an unrhythmic interval, in full-strength upstrokes per squared log ratio."""
_MIN_STRENGTH = 0.2
"""An upstroke weaker than this share of its neighbourhood's is no beat."""


def find_beats(pulse: Float[np.ndarray, "t"], *, fps: float) -> Float[np.ndarray, "n"]:
    """Times in seconds after the first sample at which beats begin (pulse feet: the minima).

    pulse: uniform samples without NaN, upright: a beat is a rise, as in contact PPG and in the
    output of physkit's networks. Empty for a flat or too short signal. Beats are found in noise,
    too: `signal_quality` tells a pulse from noise.

    Candidates are the upstrokes; a dynamic programme picks the chain of strong ones with steady
    intervals (after Ellis 2007), so that neither dicrotic waves nor noise add beats. The foot is
    the minimum before the upstroke, placed between samples by a parabola.
    """
    n = pulse.shape[0]
    if n < 8 or n / fps < _MIN_DURATION_S or not np.ptp(pulse) > 0:
        return np.zeros(0)
    x, rate_hz = upsampled(pulse, fps=fps)
    period_s = _local_period_s(x, fps=rate_hz)
    if period_s is None:
        return np.zeros(0)
    f0_hz = 1 / float(np.median(period_s))
    coarse = band_limited(x, rate_hz, 0.5 * f0_hz, min(3.5 * f0_hz, 0.45 * fps))
    upstrokes, strength = _candidates(coarse, period_s, fps=rate_hz)
    chain = upstrokes[_best_chain(upstrokes / rate_hz, strength, period_s[upstrokes])]
    fine = band_limited(x, rate_hz, 0.3 * f0_hz, min(8.0, 5 * f0_hz, 0.45 * fps))
    return _feet(coarse, fine, chain, period_s * rate_hz) / rate_hz


def upsampled(pulse: Float[np.ndarray, "t"], *, fps: float) -> tuple[Float[np.ndarray, "u"], float]:
    """The standardised pulse at 100 Hz or more, and its rate in Hz."""
    x = (pulse - pulse.mean()) / pulse.std()
    factor = int(np.ceil(_FINE_FPS / fps))
    if factor == 1:
        return x, fps
    n = pulse.shape[0]
    at = np.arange((n - 1) * factor + 1) / factor
    return np.asarray(CubicSpline(np.arange(n), x)(at)), fps * factor


def band_limited(
    x: Float[np.ndarray, "t"], fps: float, low_hz: float, high_hz: float
) -> Float[np.ndarray, "t"]:
    """Zero-phase band-pass: a second-order Butterworth, forward and backward, as its spectrum."""
    pad = min(x.shape[0] - 1, int(2 * fps))
    padded = np.pad(x, pad, mode="reflect", reflect_type="odd")
    nfft = next_fast_len(padded.shape[0], real=True)
    frequency_hz = np.fft.rfftfreq(nfft, 1 / fps)
    frequency_hz[0] = frequency_hz[1] * 1e-3
    gain = 1 / ((1 + (low_hz / frequency_hz) ** 4) * (1 + (frequency_hz / high_hz) ** 4))
    # the transform is circular: a straight line connects the last value to the first
    bridge = np.linspace(padded[-1], padded[0], nfft - padded.shape[0] + 2)[1:-1]
    y = np.fft.irfft(np.fft.rfft(np.concatenate([padded, bridge])) * gain, nfft)
    return np.asarray(y[pad : pad + x.shape[0]])


def _local_period_s(x: Float[np.ndarray, "t"], *, fps: float) -> Float[np.ndarray, "t"] | None:
    """The beat interval in seconds around every sample, from spectra of overlapping windows."""
    n = x.shape[0]
    window = min(n, int(_LOCAL_WINDOW_S * fps))
    starts = np.unique(np.linspace(0, n - window, 1 + int(np.ceil(3 * (n - window) / window))))
    step = max(1, int(fps / 20))
    rates = np.array(
        [
            spectral_heart_rate_bpm(
                hann_spectrum(x[int(s) : int(s) + window : step], fps=fps / step, spacing_hz=0.01)
            )
            for s in starts
        ]
    )
    known = np.isfinite(rates)
    if not known.any():
        return None
    rates, centres = rates[known], (starts[known] + window / 2)
    # a median over neighbours: one window with a wrong rate must not change the period
    smooth = np.array([np.median(rates[max(0, i - 2) : i + 3]) for i in range(rates.size)])
    return np.asarray(60 / np.interp(np.arange(n), centres, smooth))


def _candidates(
    coarse: Float[np.ndarray, "t"], period_s: Float[np.ndarray, "t"], *, fps: float
) -> tuple[Int[np.ndarray, "k"], Float[np.ndarray, "k"]]:
    """Samples of steepest rise, and their slope relative to the strong ones around (0 to 1)."""
    slope = np.gradient(coarse)
    tops = argrelextrema(slope, np.greater)[0]
    if slope[-1] > slope[-2]:  # the signal may end before the last rise is steepest
        tops = np.append(tops, slope.shape[0] - 1)
    tops = tops[slope[tops] > 0]
    if tops.size == 0:
        return tops, np.zeros(0)
    steps = slope[tops]
    # the strong candidates within about eight beats are the systolic upstrokes
    beats_per_candidate = tops.size * float(np.median(period_s)) * fps / coarse.shape[0]
    size = max(5, int(8 * beats_per_candidate))
    reference = percentile_filter(steps, 100 - 60 / max(1.0, beats_per_candidate), size=size)
    strength = np.minimum(steps / reference, 1.0)
    strong = strength > _MIN_STRENGTH
    return tops[strong], strength[strong]


def _best_chain(
    times_s: Float[np.ndarray, "k"],
    strength: Float[np.ndarray, "k"],
    period_s: Float[np.ndarray, "k"],
) -> Int[np.ndarray, "n"]:
    """Indices of the chain with the largest sum of strengths less the cost of uneven intervals."""
    k = times_s.shape[0]
    best, previous = strength.copy(), np.full(k, -1)
    for j in range(1, k):
        first = int(np.searchsorted(times_s, times_s[j] - 3 * period_s[j]))
        ratio = (times_s[j] - times_s[first:j]) / period_s[j]
        gain = best[first:j] - _RHYTHM_WEIGHT * np.log(ratio) ** 2
        if gain.size and gain.max() > 0:
            previous[j] = first + int(np.argmax(gain))
            best[j] += gain.max()
    chain = []
    j = int(np.argmax(best)) if k else -1
    while j >= 0:
        chain.append(j)
        j = int(previous[j])
    return np.array(chain[::-1], dtype=np.int64)


def _feet(
    coarse: Float[np.ndarray, "t"],
    fine: Float[np.ndarray, "t"],
    upstrokes: Int[np.ndarray, "n"],
    period: Float[np.ndarray, "t"],
) -> Float[np.ndarray, "m"]:
    """The minimum before each upstroke, in samples with fractions; none where it is cut off.

    The minimum of the coarse signal is refined in the fine signal within a tenth of a beat: in
    noise, the fine signal alone would give a wrong minimum.
    """
    feet: list[float] = []
    for upstroke in upstrokes.tolist():
        reach = period[upstroke]
        first = max(0, upstroke - int(0.45 * reach))
        rough = first + int(np.argmin(coarse[first : upstroke + 1]))
        first = max(0, rough - int(0.1 * reach))
        low = first + int(np.argmin(fine[first : min(rough + int(0.1 * reach), upstroke) + 1]))
        foot = _vertex(fine, low)
        if foot is not None and (not feet or foot > feet[-1] + 1):
            feet.append(foot)
    return np.array(feet, dtype=np.float64)


def _vertex(x: Float[np.ndarray, "t"], index: int) -> float | None:
    """The minimum at `index`, between samples; None at an end of the signal."""
    if not 0 < index < x.shape[0] - 1:
        return None
    left, centre, right = x[index - 1 : index + 2]
    curvature = left - 2 * centre + right
    shift = 0.5 * (left - right) / curvature if curvature > 0 else 0.0
    return index + float(np.clip(shift, -0.5, 0.5))
