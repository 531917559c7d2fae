"""A blood-volume pulse: beats of variable intervals, a dicrotic wave, breathing."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.core.units import bpm_from_hz, hz_from_bpm
from physkit.synth.drift import slow_drift

SYSTOLIC_PEAK_S, SYSTOLIC_WIDTH = 0.16, 0.42
DICROTIC_PEAK_S, DICROTIC_WIDTH = 0.44, 0.16
RUNOFF_PEAK_S, RUNOFF_WIDTH, RUNOFF_STRENGTH = 0.40, 0.60, 0.45
"""Time after the start of a beat at 60 bpm, log-normal width, and height of a beat's waves; the
runoff is the slow emptying of the vessels under the other two."""
FOOT_S = 0.045
"""Time from the log-normal start of a systolic wave to its visible rise, at 60 bpm."""
REACH_S = 6.0
"""Time after which the waves of a beat are zero."""
RECOVERY_ROUNDS = 4
"""Iterations by which beat times and heart rate, which depend on each other, converge."""
RATE_LIMITS_BPM = (20.0, 250.0)
"""Lowest and highest heart rate."""


@dataclass(frozen=True)
class PulseConfig:
    """The heart and the breathing behind a pulse."""

    heart_rate_bpm: float = 72.0
    """Mean heart rate in beats per minute."""
    variability: float = 0.015
    """Relative standard deviation of beat intervals that breathing does not explain."""
    recovery_bpm: float = 0.0
    """How far the initial heart rate is above `heart_rate_bpm`, after exercise."""
    recovery_s: float = 40.0
    """Time in seconds in which two thirds of that decay."""
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
    stiffness: float = 0.0
    """Age of the arteries from 0 to 1: the reflected wave comes earlier and fills the notch."""
    spo2_percent: float = 97.5
    """Mean oxygen saturation in percent."""
    sensor_s: float = 0.025
    """Time over which the contact sensor smooths the pulse, as a standard deviation in seconds."""
    finger_lag_s: float = 0.0
    """Time in seconds by which the pulse reaches the contact sensor later than the face."""

    def __post_init__(self) -> None:
        """Check the values."""
        low_bpm, high_bpm = RATE_LIMITS_BPM
        for rate_bpm in (self.heart_rate_bpm, self.heart_rate_bpm + self.recovery_bpm):
            if not low_bpm <= rate_bpm <= high_bpm:
                raise InputError(f"heart rate {rate_bpm} bpm: choose {low_bpm:g} to {high_bpm:g}")


@dataclass(frozen=True, eq=False)
class Heartbeats:
    """Beats over a span of time, and the breathing that modulates them."""

    foot_times_s: Float[np.ndarray, "beats"]
    """Start of each beat's upstroke; some beats are before 0 s."""
    intervals_s: Float[np.ndarray, "beats"]
    """From each beat to the next."""
    breath_phase: float
    """Phase of the breathing at 0 s, in radians."""

    def between(self, start_s: float, end_s: float) -> Float[np.ndarray, "n"]:
        """Feet of the beats from `start_s` until before `end_s`."""
        feet_s = self.foot_times_s
        return np.asarray(feet_s[(feet_s >= start_s) & (feet_s < end_s)])


def draw_heartbeats(
    config: PulseConfig, *, duration_s: float, rng: np.random.Generator
) -> Heartbeats:
    """Beats from a little before 0 s until after `duration_s`."""
    mean_s = 1.0 / hz_from_bpm(config.heart_rate_bpm)
    breath_phase = float(rng.uniform(0.0, 2 * np.pi))
    breath_hz = hz_from_bpm(config.respiration_rate_bpm)
    slowest_s = duration_s * (1.0 + max(config.recovery_bpm, 0.0) / config.heart_rate_bpm)
    n_lead = int(np.ceil(1.5 * REACH_S / mean_s))
    n = int(np.ceil(1.5 * slowest_s / mean_s)) + 2 * n_lead
    regular_s = (np.arange(n) - n_lead - rng.uniform()) * mean_s
    breathing = np.sin(2 * np.pi * breath_hz * regular_s + breath_phase)
    wander = slow_drift(regular_s, low_hz=0.04, high_hz=0.12, rng=rng)
    change = config.sinus_arrhythmia * breathing + config.variability * wander
    feet_s = regular_s
    for _ in range(RECOVERY_ROUNDS):
        above = config.recovery_bpm * np.exp(-np.maximum(feet_s, 0.0) / config.recovery_s)
        excited = config.heart_rate_bpm / (config.heart_rate_bpm + above)
        intervals_s = mean_s * excited * np.clip(1.0 + change, 0.5, 2.0)
        passed_s = np.concatenate([[0.0], np.cumsum(intervals_s[:-1])])
        feet_s = regular_s[n_lead] + passed_s - passed_s[n_lead]
    return Heartbeats(feet_s, intervals_s, breath_phase)


def pulse_at(
    beats: Heartbeats, times_s: Float[np.ndarray, "t"], *, config: PulseConfig
) -> Float[np.ndarray, "t"]:
    """Blood volume at any times: a beat is about 1 high and the foot of a beat near 0."""
    breath_hz = hz_from_bpm(config.respiration_rate_bpm)
    height = np.sin(2 * np.pi * breath_hz * beats.foot_times_s + beats.breath_phase)
    height = 1.0 + config.respiration_amplitude * height
    pulse = config.respiration_baseline * breathing_at(beats, times_s, config=config)
    order = np.argsort(times_s, kind="stable")
    sorted_s = times_s[order]
    for foot_s, interval_s, high in zip(beats.foot_times_s, beats.intervals_s, height, strict=True):
        first, last = np.searchsorted(sorted_s, [foot_s - REACH_S / 10, foot_s + REACH_S])
        reached = order[first:last]
        # Waves shorten with the root of the interval, as systole does.
        scale = np.sqrt(interval_s)
        since = (times_s[reached] - foot_s) / scale + FOOT_S
        pulse[reached] += high * _beat(since, config)
    return pulse


def breathing_at(
    beats: Heartbeats, times_s: Float[np.ndarray, "t"], *, config: PulseConfig
) -> Float[np.ndarray, "t"]:
    """The breath at any times, from -1 to 1."""
    breath_hz = hz_from_bpm(config.respiration_rate_bpm)
    return np.asarray(np.sin(2 * np.pi * breath_hz * times_s + beats.breath_phase))


def rate_at(beats: Heartbeats, times_s: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    """Heart rate in beats per minute at any times: that of the current beat."""
    beat = np.searchsorted(beats.foot_times_s, times_s, side="right") - 1
    return bpm_from_hz(1.0) / beats.intervals_s[np.clip(beat, 0, None)]


def _beat(since: Float[np.ndarray, "t"], config: PulseConfig) -> Float[np.ndarray, "t"]:
    """One beat; times are those of a beat of one second."""
    reflected_s = DICROTIC_PEAK_S * (1.0 - 0.35 * config.stiffness)
    reflected_width = DICROTIC_WIDTH * (1.0 + config.stiffness)
    return np.asarray(
        _wave(since, SYSTOLIC_PEAK_S, SYSTOLIC_WIDTH)
        + config.dicrotic_strength * _wave(since, reflected_s, reflected_width)
        + RUNOFF_STRENGTH * _wave(since, RUNOFF_PEAK_S, RUNOFF_WIDTH)
    )


def _wave(since: Float[np.ndarray, "t"], peak_s: float, width: float) -> Float[np.ndarray, "t"]:
    """A log-normal bump of height 1: a steep rise and a slow fall."""
    log_ratio = np.log(np.maximum(since, 1e-6) / peak_s)
    return np.where(since > 0, np.exp(-0.5 * (log_ratio / width) ** 2), 0.0)
