"""Vital signs of a pulse of any length, with gaps and irregular timestamps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from physkit.core.errors import InputError
from physkit.core.types import Pulse
from physkit.signal.beat_times import time_beats
from physkit.signal.beats import find_beats
from physkit.signal.confidence import Certainty, certainties
from physkit.signal.filters import bandpass, detrend, smoothness_of_cutoff
from physkit.signal.heart_rate import (
    HIGH_HZ,
    LOW_HZ,
    Spectrum,
    average_spectrum,
    hann_spectrum,
    spectral_heart_rate_bpm,
)
from physkit.signal.hrv import HRV, believed, hrv, normal_intervals
from physkit.signal.quality import signal_quality, snr_db
from physkit.signal.rate_over_time import DRIFT_HZ, RateOverTime, rate_over_time
from physkit.signal.resample import Run, mean_fps, uniform_runs
from physkit.signal.respiration import Breathing, breathing

MIN_SEEN_S = 8.0
"""Least duration of pulse for a heart rate: five beats at 40 bpm, and a spectral line 15 bpm wide.
The shortest recording with a validated rate has ten seconds (Munoz et al. 2015)."""
MIN_RUN_S = 4.0
"""A shorter unbroken run gives no spectral line and is left out."""
MIN_BEATS_S = 20.0
"""Shortest run whose beats alone give its rate: in 10 s, one wrong foot changes it by 0.5 %."""
MIN_QUALITY = 0.35
"""Least signal quality for a heart rate. 10 s of white or pink noise stay below it in 97 of 100
cases, of brown or band-passed noise in nearly 90, and 30 s of noise in 99. A pulse with as much
broadband noise as signal reaches it in 97 of 100 cases."""
MIN_BEAT_QUALITY = 0.6
"""Least signal quality for single beats, and so for their variability and the respiration rate."""
MIN_RATE_QUALITY = 0.9
"""Least signal quality at which beats give a better mean rate than the spectrum of a steady rate.
Of a changing one `MIN_BEAT_QUALITY` is enough: the spectrum has no peak at its mean."""
MIN_FPS = 8.0
"""Slower video cannot show the fastest heart rate and its shape."""
SEGMENT_S = 30.0
"""Longer runs are read in windows of at most this length, since the heart rate changes."""
STEADY_SHARE = 0.9
"""Share of consistent seconds from which on a rate is steady."""


@dataclass(frozen=True)
class QualityGate:
    """The signal quality that a heart rate needs."""

    least: float = MIN_QUALITY
    """Of any rate."""
    steady: float = MIN_QUALITY
    """Of one that is consistent in at least `STEADY_SHARE` of the seconds (see `RateOverTime`)."""


RateSource = Literal["spectrum", "beats", "seconds"]
"""What a heart rate is: the peak of the spectrum; that and beats together, or beats alone; or the
mean of the rate over time."""


@dataclass(frozen=True)
class PulseReading:
    """Vital signs of one clip; a field is None where the clip does not support it."""

    heart_rate_bpm: float | None
    """Beats per minute: the mean rate."""
    respiration_rate_bpm: float | None
    """Breaths per minute."""
    signal_quality: float
    """0 (noise or nothing) to 1 (clean pulse), over all that was long enough to judge."""
    snr_db: float | None
    """Power at the heart rate and its double over the rest of 0.6-3.3 Hz, in dB."""
    hrv: HRV | None
    """Heart-rate variability of the longest unbroken run."""
    warnings: tuple[str, ...]
    """Why a field is None, what was left out, where one number misleads; one sentence each."""
    over_time: RateOverTime | None = None
    """The heart rate of every second; None without a heart rate."""
    heart_rate_from: RateSource | None = None
    """What the heart rate was read from; None without one."""
    certainty: Mapping[str, Certainty] = field(default_factory=dict)
    """Expected error and confidence of each vital sign that is not None, by name: those of
    `LIMITS` in confidence.py."""


def read_pulse(
    pulse: Pulse, *, min_seen_s: float = MIN_SEEN_S, gate: QualityGate | None = None
) -> PulseReading:
    """Heart rate, respiration, quality and variability of a pulse with NaN where nothing was seen.

    Gaps up to half a second are bridged; unbroken runs of `MIN_RUN_S` or more are used, and their
    spectra averaged by length. The heart rate is None, with a warning, when they add up to less
    than `min_seen_s` or their quality does not reach the gate (the usual one by default).
    Raises InputError if the timestamps do not strictly increase.
    """
    _check_clock(pulse)
    fps = mean_fps(pulse.timestamps_s)
    if not fps >= MIN_FPS:
        problem = "fewer than two frames" if np.isnan(fps) else f"{fps:.1f} frames/s"
        return _nothing(f"no heart rate: {problem}; at least {MIN_FPS:.0f} frames/s are needed")
    runs = uniform_runs(pulse, fps=fps)
    usable = [run for run in runs if run.duration_s >= MIN_RUN_S]
    seen_s = sum(run.duration_s for run in usable)
    if seen_s < min_seen_s:
        longest_s = max((run.duration_s for run in runs), default=0.0)
        return _nothing(
            f"no heart rate: too little pulse was seen, {longest_s:.1f} s at most without a gap; "
            f"{min_seen_s:.0f} s are needed, in pieces of {MIN_RUN_S:.0f} s or more"
        )
    warnings = _left_out(runs, usable)
    quality = float(
        np.average(
            [signal_quality(run.pulse, fps=fps) for run in usable],
            weights=[run.duration_s for run in usable],
        )
    )
    rate_bpm = spectral_heart_rate_bpm(_spectrum(usable))
    times_s, gate = pulse.timestamps_s, gate or QualityGate()
    over_time = rate_over_time(
        usable, start_s=float(times_s[0]), end_s=float(times_s[-1]), min_quality=MIN_QUALITY
    )
    least = gate.steady if over_time.consistent_share >= STEADY_SHARE else gate.least
    if quality < least or not np.isfinite(rate_bpm):
        problem = f"the signal quality {quality:.2f} is under {least:.2f}"
        return _nothing(f"no heart rate: {problem}", quality=quality, more=warnings)
    source: RateSource = "spectrum"
    if not over_time.is_steady:
        rate_bpm, source = over_time.mean_bpm(usable), "seconds"
        warnings += (_changes(over_time),)
    enough = MIN_RATE_QUALITY if over_time.is_steady else MIN_BEAT_QUALITY
    beat_bpm = _refined(rate_bpm, usable) if quality >= enough else None
    if beat_bpm is not None:
        rate_bpm, source = beat_bpm, "beats"
    found, breath, more = _from_beats(max(usable, key=lambda run: run.duration_s), quality)
    return PulseReading(
        heart_rate_bpm=rate_bpm,
        respiration_rate_bpm=None if breath is None else breath.rate_bpm,
        signal_quality=quality,
        snr_db=_snr_db(usable, rate_bpm),
        hrv=found,
        warnings=(*warnings, *more),
        over_time=over_time,
        heart_rate_from=source,
        certainty=certainties(quality=quality, found=found, breath=breath),
    )


def _from_beats(run: Run, quality: float) -> tuple[HRV | None, Breathing | None, tuple[str, ...]]:
    """Variability and respiration, each where it passes its gate, and why it does not."""
    if quality < MIN_BEAT_QUALITY:
        weak = f"the pulse is weak: signal quality {quality:.2f}, so no beats are read"
        return None, None, (weak,)
    beats = time_beats(run.pulse, fps=run.fps)
    measured = None if beats is None else hrv(beats)
    found = believed(measured)
    if beats is None or measured is None:
        return None, None, ()
    if found is None or found.rmssd_ms is None:
        what = "no variability" if found is None else "no RMSSD"
        return (
            found,
            None,
            (f"{what} and no respiration rate: noise of the beat times may be most of it",),
        )
    return found, breathing(run.pulse, beats, fps=run.fps), ()


def _changes(over_time: RateOverTime) -> str:
    low_bpm, high_bpm = over_time.range_bpm
    return (
        f"the heart rate changed between {low_bpm:.0f} and {high_bpm:.0f} bpm; the one number is "
        "its mean, see the heart rate over time"
    )


def pulse_spectrum(pulse: Pulse) -> Spectrum | None:
    """The spectrum that `read_pulse` finds the heart rate in; None where no run is long enough."""
    fps = mean_fps(pulse.timestamps_s)
    if not fps >= MIN_FPS:
        return None
    usable = [run for run in uniform_runs(pulse, fps=fps) if run.duration_s >= MIN_RUN_S]
    return _spectrum(usable) if usable else None


def _check_clock(pulse: Pulse) -> None:
    steps_s = np.diff(pulse.timestamps_s)
    if not np.all(steps_s > 0):
        where = int(np.flatnonzero(~(steps_s > 0))[0]) + 1
        raise InputError(
            f"pulse timestamps: no increase at index {where} "
            f"({pulse.timestamps_s[where - 1]} s, then {pulse.timestamps_s[where]} s); "
            "sort the samples by time and drop repeated ones"
        )


def _nothing(warning: str, *, quality: float = 0.0, more: tuple[str, ...] = ()) -> PulseReading:
    return PulseReading(None, None, quality, None, None, (warning, *more))


def _left_out(runs: list[Run], usable: list[Run]) -> tuple[str, ...]:
    seconds = sum(run.duration_s for run in runs) - sum(run.duration_s for run in usable)
    if seconds < 1.0:
        return ()
    return (f"{seconds:.1f} s of pulse in pieces under {MIN_RUN_S:.0f} s were left out",)


def _segments(runs: list[Run]) -> list[Run]:
    """Detrended pieces of at most `SEGMENT_S`, overlapping by half where a run is longer."""
    segments = []
    for run in runs:
        n, length = run.pulse.shape[0], min(run.pulse.shape[0], int(SEGMENT_S * run.fps))
        x = detrend(run.pulse, smoothness=smoothness_of_cutoff(DRIFT_HZ, fps=run.fps))
        starts = np.linspace(0, n - length, 1 + int(np.ceil(2 * (n - length) / length)))
        segments += [
            Run(x[s : s + length], run.fps, run.start_s + s / run.fps) for s in starts.astype(int)
        ]
    return segments


def _spectrum(runs: list[Run]) -> Spectrum:
    return average_spectrum([hann_spectrum(x.pulse, fps=x.fps) for x in _segments(runs)])


def _refined(rate_bpm: float, runs: list[Run]) -> float | None:
    """The rate of a clean pulse, corrected by its beats; None where they disagree.

    The peak of a spectrum differs from the mean rate where the rhythm is irregular or the amplitude
    changes. The beats of a short run depend on its first and last foot. So short runs take the mean
    of both: its error is 0.32 bpm in 10 s of synthetic pulse; the spectrum's 0.42, the beats' 0.36.
    """
    beats = [b for r in runs if (b := find_beats(r.pulse, fps=r.fps)).shape[0] > 1]
    if not beats:
        return None
    normal = np.concatenate([normal_intervals(b) for b in beats])
    if normal.mean() < 0.9:
        return None
    beat_bpm = 60 / float(np.concatenate([np.diff(b) for b in beats])[normal].mean())
    if abs(beat_bpm - rate_bpm) > 0.1 * rate_bpm:
        return None
    is_long = max(run.duration_s for run in runs) >= MIN_BEATS_S
    return beat_bpm if is_long else (beat_bpm + rate_bpm) / 2


def _snr_db(runs: list[Run], rate_bpm: float) -> float | None:
    ratios, weights = [], []
    for piece in _segments(runs):
        x = bandpass(piece.pulse, fps=piece.fps, low_hz=LOW_HZ, high_hz=HIGH_HZ)
        ratio = snr_db(x, fps=piece.fps, rate_bpm=rate_bpm, low_hz=LOW_HZ, high_hz=HIGH_HZ)
        if np.isfinite(ratio):
            ratios.append(ratio)
            weights.append(piece.duration_s)
    return float(np.average(ratios, weights=weights)) if ratios else None
