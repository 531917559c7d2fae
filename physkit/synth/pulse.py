"""A blood-volume pulse with beats of its own: variable intervals, a dicrotic wave, breathing."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.core.units import hz_from_bpm
from physkit.synth.drift import slow_drift

SYSTOLIC_PEAK_S, SYSTOLIC_WIDTH = 0.16, 0.42
DICROTIC_PEAK_S, DICROTIC_WIDTH = 0.44, 0.16
RUNOFF_PEAK_S, RUNOFF_WIDTH, RUNOFF_STRENGTH = 0.40, 0.60, 0.45
"""Time after the start of a beat at 60 bpm, log-normal width, and height of a beat's waves; the
runoff is the slow emptying of the vessels under the other two."""
FOOT_S = 0.045
"""A systolic wave has risen visibly this long after its log-normal start, at 60 bpm."""
LEAD_BEATS = 3
"""Beats before the clip whose tails reach into it."""
RATE_LIMITS_BPM = (20.0, 250.0)
"""Slower and faster hearts do not keep anyone alive."""


@dataclass(frozen=True)
class PulseConfig:
    """The heart and the breathing behind a pulse."""

    heart_rate_bpm: float = 72.0
    """Mean heart rate in beats per minute."""
    variability: float = 0.015
    """Relative standard deviation of beat intervals that breathing does not explain."""
    respiration_rate_bpm: float = 15.0
    """Breaths per minute."""
    sinus_arrhythmia: float = 0.02
    """Relative change of the beat interval over a breath, as an amplitude."""
    respiration_amplitude: float = 0.12
    """Relative change of a beat's height over a breath, as an amplitude."""
    respiration_baseline: float = 0.10
    """Rise and fall of the baseline over a breath, relative to a beat's height."""
    dicrotic_strength: float = 0.25
    """Height of the dicrotic wave relative to the systolic peak."""

    def __post_init__(self) -> None:
        """Refuse hearts that do not beat like one."""
        low_bpm, high_bpm = RATE_LIMITS_BPM
        if not low_bpm <= self.heart_rate_bpm <= high_bpm:
            raise InputError(
                f"heart rate {self.heart_rate_bpm} bpm is no heart's; "
                f"choose {low_bpm:g} to {high_bpm:g}"
            )


@dataclass(frozen=True, eq=False)
class Heartbeats:
    """Beats over a span of time, and how breathing runs through them."""

    foot_times_s: Float[np.ndarray, "beats"]
    """When each beat's upstroke begins; some beats lie before 0 s."""
    intervals_s: Float[np.ndarray, "beats"]
    """From each beat to the next."""
    breath_phase: float
    """Phase of the breathing at 0 s, in radians."""


def draw_heartbeats(
    config: PulseConfig, *, duration_s: float, rng: np.random.Generator
) -> Heartbeats:
    """Beats from a little before 0 s until after `duration_s`."""
    mean_s = 1.0 / hz_from_bpm(config.heart_rate_bpm)
    breath_phase = float(rng.uniform(0.0, 2 * np.pi))
    breath_hz = hz_from_bpm(config.respiration_rate_bpm)
    n = int(np.ceil(1.5 * duration_s / mean_s)) + 2 * LEAD_BEATS
    regular_s = (np.arange(n) - LEAD_BEATS - rng.uniform()) * mean_s
    breathing = np.sin(2 * np.pi * breath_hz * regular_s + breath_phase)
    wander = slow_drift(regular_s, low_hz=0.04, high_hz=0.12, rng=rng)
    change = config.sinus_arrhythmia * breathing + config.variability * wander
    intervals_s = mean_s * np.clip(1.0 + change, 0.5, 2.0)
    feet_s = regular_s[0] + np.concatenate([[0.0], np.cumsum(intervals_s[:-1])])
    return Heartbeats(feet_s, intervals_s, breath_phase)


def pulse_at(
    beats: Heartbeats, times_s: Float[np.ndarray, "t"], *, config: PulseConfig
) -> Float[np.ndarray, "t"]:
    """Blood volume at any times: a beat is about 1 high and the foot of a beat near 0."""
    # Waves shorten with the root of the interval, as systole does.
    scale = np.sqrt(beats.intervals_s)
    since_s = times_s[:, None] - beats.foot_times_s + FOOT_S * scale
    waves = _wave(since_s / scale, SYSTOLIC_PEAK_S, SYSTOLIC_WIDTH)
    waves += config.dicrotic_strength * _wave(since_s / scale, DICROTIC_PEAK_S, DICROTIC_WIDTH)
    waves += RUNOFF_STRENGTH * _wave(since_s / scale, RUNOFF_PEAK_S, RUNOFF_WIDTH)
    breath_hz = hz_from_bpm(config.respiration_rate_bpm)
    height = np.sin(2 * np.pi * breath_hz * beats.foot_times_s + beats.breath_phase)
    breathing = np.sin(2 * np.pi * breath_hz * times_s + beats.breath_phase)
    pulse = waves @ (1.0 + config.respiration_amplitude * height)
    return np.asarray(pulse + config.respiration_baseline * breathing)


def _wave(
    since_s: Float[np.ndarray, "t beats"], peak_s: float, width: float
) -> Float[np.ndarray, "t beats"]:
    """A log-normal bump of height 1: a steep rise and a slow fall."""
    log_ratio = np.log(np.maximum(since_s, 1e-6) / peak_s)
    return np.where(since_s > 0, np.exp(-0.5 * (log_ratio / width) ** 2), 0.0)
