"""Respiration rate from the ways in which breathing modulates a pulse."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator

from physkit.core.units import bpm_from_hz
from physkit.signal.beat_times import TimedBeats, replaced, time_beats
from physkit.signal.hrv import normal_intervals

MIN_DURATION_S = 30.0
"""Shortest pulse: three breaths at 6 a minute; Karlen et al. 2013 use 32 s."""
BAND_HZ = (0.1, 0.5)
"""6 to 30 breaths a minute: where a modulation is looked for."""
LEAST_BPM = 8.5
"""Slowest breathing that is told: below, waves of the blood pressure (0.1 Hz) look the same."""
CLEAR, SUPPORTED = 0.5, 0.3
"""Least share of the beat intervals' band power around their peak: of them alone, and where the
baseline or the amplitude has the same rate, as clearly."""
MAX_DISAGREEMENT_BPM = 1.5
"""Largest difference of two rates that are the same."""
_FPS = 4.0
"""Sampling rate of the modulations; faster than any heart rate."""


@dataclass(frozen=True)
class Breathing:
    """A respiration rate."""

    rate_bpm: float
    """Breaths per minute."""
    concentration: float
    """Share of the beat intervals' band power around it, 0 to 1."""


def respiration_rate_bpm(pulse: Float[np.ndarray, "t"], *, fps: float) -> float | None:
    """Breaths per minute from a uniformly sampled pulse; None where not trustworthy."""
    beats = time_beats(pulse, fps=fps)
    found = None if beats is None else breathing(pulse, beats, fps=fps)
    return None if found is None else found.rate_bpm


def breathing(pulse: Float[np.ndarray, "t"], beats: TimedBeats, *, fps: float) -> Breathing | None:
    """The breathing that changes the intervals of beats; None where none is certain.

    Each beat modulation gives a rate: interval, baseline (mean of trough and crest), amplitude
    (crest less trough). That of the intervals is told, if it is `CLEAR`, or `SUPPORTED` by another:
    networks change baseline and amplitude, and two of those agreed on a wrong rate in one case of
    five. None under `MIN_DURATION_S`, under 10 normal beats, and for slower than `LEAST_BPM`.
    Karlen et al. 2013.
    """
    times_s = replaced(beats.times_s, beats.is_misplaced)
    is_short = pulse.shape[0] / fps < MIN_DURATION_S
    if is_short or times_s.shape[0] < 10 or normal_intervals(times_s).mean() < 0.8:
        return None
    interval, *others = _modulations(pulse, times_s, fps=fps)
    rate_bpm, concentration = _dominant_rate_bpm(*interval)
    is_supported = concentration >= SUPPORTED and any(
        abs(other_bpm - rate_bpm) <= MAX_DISAGREEMENT_BPM and other >= SUPPORTED
        for other_bpm, other in (_dominant_rate_bpm(*other) for other in others)
    )
    if rate_bpm < LEAST_BPM or not (concentration >= CLEAR or is_supported):
        return None
    return Breathing(rate_bpm, concentration)


def _modulations(
    pulse: Float[np.ndarray, "t"], times_s: Float[np.ndarray, "n"], *, fps: float
) -> list[tuple[Float[np.ndarray, "m"], Float[np.ndarray, "m"]]]:
    """Times and values of interval, baseline and amplitude, one a beat."""
    edges = np.clip(np.round(times_s * fps).astype(int), 0, pulse.shape[0] - 1)
    troughs = np.array([pulse[a : b + 1].min() for a, b in pairwise(edges)])
    crests = np.array([pulse[a : b + 1].max() for a, b in pairwise(edges)])
    normal = normal_intervals(times_s)
    middle_s = (times_s[:-1] + times_s[1:]) / 2
    return [
        (middle_s[normal], np.diff(times_s)[normal]),
        (middle_s, (troughs + crests).astype(np.float64) / 2),
        (middle_s, (crests - troughs).astype(np.float64)),
    ]


def _dominant_rate_bpm(
    times_s: Float[np.ndarray, "m"], values: Float[np.ndarray, "m"]
) -> tuple[float, float]:
    """Rate and concentration of the strongest modulation in the band."""
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
    return bpm_from_hz(float(top_hz)), concentration
