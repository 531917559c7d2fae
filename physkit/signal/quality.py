"""Quality of a pulse: signal-to-noise ratio and a quality index."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from physkit.core.units import SnrKind, hz_from_bpm
from physkit.signal.beats import find_beats
from physkit.signal.filters import bandpass, detrend, smoothness_of_cutoff
from physkit.signal.heart_rate import density, hann_spectrum, spectral_heart_rate_bpm

HARMONIC_HALF_WIDTH_HZ = 0.1
"""Power this close to the heart rate or its double is signal; both ends included."""
MIN_QUALITY_S = 4.0
"""A shorter signal has too few beats to be distinguished from noise."""
MIN_PULSE_SHARE = 1e-5
"""Least spread without drift, as a share; less is a rounding error (1e-7 in float32)."""
WINDOW_S = 10.0
"""Windows in which the heart rate is taken as constant."""
PULSE_BAND_HZ = (0.5, 4.0)
"""Band whose power is shared between pulse and noise."""
CONCENTRATION_RANGE = (0.4, 0.85)
"""Shares of the band's power at the heart rate and its double: noise's, and a clean pulse's."""
UNEVENNESS_RANGE = (0.05, 0.3)
"""Median absolute log ratio of successive intervals: a clean pulse's, and noise's."""


def snr_db(
    x: Float[np.ndarray, "t"],
    *,
    fps: float,
    rate_bpm: float,
    low_hz: float,
    high_hz: float,
    kind: SnrKind = "10log10",
) -> float:
    """Power at `rate_bpm` and its double over the rest of the band, in dB; 0 without a rest.

    x: filtered pulse. The second harmonic is not cut at `high_hz`. NaN where the ratio has no
    logarithm (no signal power at all) or `rate_bpm` is NaN. De Haan and Jeanne 2013, as
    rPPG-Toolbox computes it.
    """
    if not np.isfinite(rate_bpm):
        return float("nan")
    frequency_hz, power = density(x, fps=fps)
    if kind == "10log10-squared":
        power = power**2
    f0_hz = hz_from_bpm(rate_bpm)
    first, second = _around(frequency_hz, f0_hz), _around(frequency_hz, 2 * f0_hz)
    band = (frequency_hz >= low_hz) & (frequency_hz <= high_hz)
    signal = power[first].sum() + power[second].sum()
    rest = power[band & ~first & ~second].sum()
    if rest == 0:
        return 0.0
    if signal == 0:
        return float("nan")
    return float((20 if kind == "20log10" else 10) * np.log10(signal / rest))


def _around(frequency_hz: Float[np.ndarray, "f"], centre_hz: float) -> Bool[np.ndarray, "f"]:
    return np.asarray(
        (frequency_hz >= centre_hz - HARMONIC_HALF_WIDTH_HZ)
        & (frequency_hz <= centre_hz + HARMONIC_HALF_WIDTH_HZ)
    )


def signal_quality(pulse: Float[np.ndarray, "t"], *, fps: float) -> float:
    """Signal quality from 0 (noise, a flat line) to 1 (a clean pulse).

    pulse: uniform samples, upright; scale, offset and slow drift have no effect. The geometric mean
    of two numbers: the share of the power in 0.5-4 Hz at the heart rate and its double, in windows
    of 10 s, and the evenness of successive beat intervals. Band-passed noise has a high share but
    uneven beats; an irregular, clean rhythm has a low evenness only. Both are scaled so that noise
    (white, pink, brown, band-passed) is at 0 and synthetic pulses are at 1.
    0 for a flat signal or one under `MIN_QUALITY_S`.
    """
    return window_qualities(pulse, fps=fps, bounds=[(0, pulse.shape[0])])[0]


def window_qualities(
    pulse: Float[np.ndarray, "t"], *, fps: float, bounds: Sequence[tuple[int, int]]
) -> list[float]:
    """`signal_quality` of many windows (first sample, one past the last) of one pulse.

    Trend and beats are computed once for the whole pulse, which saves most of the time where
    windows overlap.
    """
    if not np.ptp(pulse) > 0 or pulse.shape[0] / fps < MIN_QUALITY_S:
        return [0.0] * len(bounds)
    x = (pulse - pulse.mean()) / pulse.std()
    x = detrend(x, smoothness=smoothness_of_cutoff(0.3, fps=fps))
    if x.std() < MIN_PULSE_SHARE:
        return [0.0] * len(bounds)
    low_hz, high_hz = PULSE_BAND_HZ[0], min(PULSE_BAND_HZ[1], 0.45 * fps)
    beats_s = find_beats(bandpass(x, fps=fps, low_hz=low_hz, high_hz=high_hz, order=2), fps=fps)
    return [
        _index(x[a:b], beats_s[(beats_s >= a / fps) & (beats_s < b / fps)], fps=fps)
        for a, b in bounds
    ]


def _index(x: Float[np.ndarray, "t"], beats_s: Float[np.ndarray, "n"], *, fps: float) -> float:
    if x.shape[0] / fps < MIN_QUALITY_S or beats_s.shape[0] < 4:
        return 0.0
    low, high = CONCENTRATION_RANGE
    concentration = np.clip((_concentration(x, fps=fps) - low) / (high - low), 0, 1)
    unevenness = float(np.median(np.abs(np.diff(np.log(np.diff(beats_s))))))
    low, high = UNEVENNESS_RANGE
    return float(np.sqrt(concentration * np.clip((high - unevenness) / (high - low), 0, 1)))


def _concentration(x: Float[np.ndarray, "t"], *, fps: float) -> float:
    """Share of the power in `PULSE_BAND_HZ` at the heart rate and its double; mean over windows."""
    n = x.shape[0]
    window = min(n, int(WINDOW_S * fps))
    starts = np.linspace(0, n - window, 1 + int(np.ceil(2 * (n - window) / window)))
    shares = []
    for start in np.unique(starts.astype(int)):
        spectrum = hann_spectrum(x[start : start + window], fps=fps, spacing_hz=0.01)
        rate_hz = hz_from_bpm(spectral_heart_rate_bpm(spectrum))
        frequency_hz, power = spectrum.frequency_hz, spectrum.power
        # the main lobe of a Hann window reaches two resolution cells to either side
        width_hz = max(0.12, 1.5 * spectrum.resolution_hz)
        band = (frequency_hz >= PULSE_BAND_HZ[0]) & (frequency_hz <= PULSE_BAND_HZ[1])
        near = np.abs(frequency_hz - rate_hz) <= width_hz
        near |= np.abs(frequency_hz - 2 * rate_hz) <= width_hz
        total = power[band].sum()
        shares.append(power[band & near].sum() / total if total > 0 else 0.0)
    return float(np.mean(shares))
