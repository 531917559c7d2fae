"""The label of a recording at the times of any frames."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import Akima1DInterpolator

from physkit.core.errors import InputError
from physkit.core.types import Pulse
from physkit.signal.filters import detrend, lowpass, smoothness_of_cutoff
from physkit.signal.heart_rate import hann_spectrum, spectral_heart_rate_bpm
from physkit.signal.resample import mean_fps, resample, seen_runs

EDGE_S = 0.05
"""How far outside of the label a frame may lie; it takes the label's first or last value."""
FLAT_S = 2.0
"""A label that keeps one value this long, a beat at 30 bpm, shows a sensor that is off."""
CUTOFF = 0.4
"""Cutoff of the low-pass, as a share of the frame rate. At 30 frames/s that is 12 Hz: 3.3 Hz pass
but for 2e-7 of them, and of what would fold back to under 3.3 Hz less than 1e-4 is left."""
FASTER = 1.05
"""A label faster than the frames by less than this holds nothing that could fold back."""
LATE_S = 0.15
"""How far outside of a run its ends are held: a window may begin `EDGE_S` outside, end a little
after its last frame, and lose a sample of the label to the low-pass's uniform clock."""
MIN_RUN = 3
"""Fewer samples between two gaps make no curve."""
RATE_FPS = 30.0
"""Clock on which the heart rate of a label is read, in Hz."""
DRIFT_HZ = 0.25
"""Slower changes of a label are no pulse."""
SPACING_HZ = 0.5 / 60
"""Spacing of the label's spectrum; the parabola through its top does the rest."""


def clean_label(pulse: Pulse, *, place: str) -> Pulse:
    """The label's finite samples, without its flat stretches; gaps show in the timestamps.

    place: store and recording, for errors.
    Raises InputError where times do not increase or no pulse is left.
    """
    samples, timestamps_s = pulse.samples, pulse.timestamps_s
    if not (np.isfinite(timestamps_s).all() and (np.diff(timestamps_s) > 0).all()):
        raise InputError(f"{place}: the label's times do not increase; see physkit audit")
    finite = np.isfinite(samples)
    if not finite.any():
        raise InputError(f"{place}: 0 pulse samples; rerun physkit prep or remove the recording")
    seen, seen_s = samples[finite], timestamps_s[finite]
    kept = ~_flat(seen, seen_s)
    if not kept.any() or np.ptp(seen) == 0:
        raise InputError(
            f"{place}: the label is flat ({seen[0]:g} throughout); correct it and rerun "
            "physkit prep, or remove the recording"
        )
    return Pulse(seen[kept], seen_s[kept])


def label_runs(label: Pulse) -> list[tuple[float, float]]:
    """First and last times in seconds between which a clean label has no gap."""
    return [
        (float(label.timestamps_s[run][0]), float(label.timestamps_s[run][-1]))
        for run in _runs(label)
    ]


def label_for_rate(label: Pulse, *, fps: float) -> Pulse:
    """A clean label without what would fold back when it is sampled at `fps` Hz.

    A label that is hardly faster than that stays as it is. A faster one is put on a uniform clock
    of its own rate in each run, and low-passed there.
    """
    label_fps, runs = mean_fps(label.timestamps_s), _runs(label)
    if not (label_fps > FASTER * fps and runs):
        return label
    samples, clocks_s = [], []
    for run in runs:
        even, times_s = resample(label.samples[run], label.timestamps_s[run], fps=label_fps)
        samples.append(lowpass(even, fps=label_fps, cutoff_hz=CUTOFF * fps))
        clocks_s.append(times_s)
    return Pulse(np.concatenate(samples), np.concatenate(clocks_s))


class LabelClock:
    """A clean label at any times: a modified Akima spline through each of its runs."""

    def __init__(self, label: Pulse) -> None:
        runs = _runs(label)
        self._starts_s = np.array([label.timestamps_s[run][0] for run in runs])
        self._splines = [
            Akima1DInterpolator(label.timestamps_s[run], label.samples[run], method="makima")
            for run in runs
        ]
        self.n_bytes = sum(int(spline.c.nbytes + spline.x.nbytes) for spline in self._splines)
        """Memory it holds."""

    def at(self, times_s: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
        """Values at increasing times in seconds, all within one run or `LATE_S` outside of it."""
        number = int(np.searchsorted(self._starts_s, times_s[0] + LATE_S, side="right")) - 1
        spline = self._splines[max(number, 0)]
        return np.asarray(spline(np.clip(times_s, spline.x[0], spline.x[-1])))

    def heart_rate_bpm(self, *, start_s: float, stop_s: float) -> float:
        """Heart rate between two times within one run; NaN where there is none."""
        times_s = np.arange(start_s, stop_s, 1 / RATE_FPS)
        if times_s.shape[0] < MIN_RUN:
            return float("nan")
        smoothness = smoothness_of_cutoff(DRIFT_HZ, fps=RATE_FPS)
        pulse = detrend(self.at(times_s), smoothness=smoothness)
        spectrum = hann_spectrum(pulse, fps=RATE_FPS, spacing_hz=SPACING_HZ)
        return spectral_heart_rate_bpm(spectrum)


def _runs(label: Pulse) -> list[slice]:
    runs = seen_runs(label.samples, label.timestamps_s)
    return [run for run in runs if run.stop - run.start >= MIN_RUN]


def _flat(
    samples: Float[np.ndarray, "t"], timestamps_s: Float[np.ndarray, "t"]
) -> Bool[np.ndarray, "t"]:
    """Which samples belong to a constant stretch of `FLAT_S` or more."""
    ends = np.flatnonzero(np.diff(samples) != 0)
    first = np.concatenate([[0], ends + 1])
    last = np.concatenate([ends, [samples.shape[0] - 1]])
    long = timestamps_s[last] - timestamps_s[first] >= FLAT_S
    return np.repeat(long, last - first + 1)
