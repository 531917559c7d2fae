"""The picture of a pulse: its waveform, its spectrum, and its heart rate over time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from physkit.core.errors import InputError
from physkit.core.files import whole_file
from physkit.core.types import Pulse
from physkit.core.units import bpm_from_hz
from physkit.signal.filters import bandpass, detrend
from physkit.signal.heart_rate import HIGH_HZ, LOW_HZ, spectral_heart_rate_bpm
from physkit.signal.rate_over_time import RateOverTime
from physkit.signal.reading import RateSource, pulse_spectrum
from physkit.signal.resample import mean_fps, uniform_runs

if TYPE_CHECKING:
    from physkit.inference.result import PulseResult

KINDS = (".png", ".svg", ".pdf")
BAND_BPM = (30.0, 240.0)
SAME_BPM = 0.5
"""Rates closer than this are one line in the picture, where a line is 0.4 bpm wide."""
LEAST_RANGE_BPM = 20.0
"""Of the rates over time: a steady heart looks steady."""
MIN_RUN_S = 2.0
MEANS: Mapping[RateSource | None, str] = {
    "beats": "mean rate, refined from beats",
    "seconds": "mean rate of all seconds",
    "spectrum": "of all pieces together",
    None: "mean rate",
}
"""What the heart rate is where it is off the spectral peak."""
PULSE_COLOUR = "#b3123f"
SPECTRUM_COLOUR = "#333333"
RAW_COLOUR = "#bbbbbb"
UNSEEN_COLOUR = "#e4e4e4"


@dataclass(frozen=True)
class RateMark:
    """A heart rate that is marked in the spectrum."""

    rate_bpm: float
    """Where."""
    label: str
    """Which rate it is, and where it comes from."""
    is_reported: bool
    """Whether it is the result, and not only the top of the spectrum."""


def rate_marks(result: PulseResult) -> tuple[RateMark, ...]:
    """The heart rates to mark: one where the result is the spectral peak to `SAME_BPM`, else both.

    None where the result has no heart rate.
    """
    rate_bpm, spectrum = result.heart_rate_bpm, pulse_spectrum(result.read_pulse)
    if rate_bpm is None or spectrum is None:
        return ()
    peak_bpm = spectral_heart_rate_bpm(spectrum)
    if not abs(peak_bpm - rate_bpm) > SAME_BPM:
        return (RateMark(rate_bpm, f"heart rate {rate_bpm:.1f} bpm, at the spectral peak", True),)
    return (
        RateMark(rate_bpm, f"heart rate {rate_bpm:.1f} bpm: {MEANS[result.heart_rate_from]}", True),
        RateMark(peak_bpm, f"spectral peak {peak_bpm:.1f} bpm: most common rate", False),
    )


def check_plot_path(path: Path) -> None:
    """Raises InputError, before any work is done, for a picture that could not be written."""
    if path.suffix.lower() not in KINDS or path.is_dir():
        raise InputError(f"{path}: no picture format; end the name in {', '.join(KINDS)}")
    if not path.parent.is_dir():
        raise InputError(f"{path}: no folder '{path.parent}'; make it first")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: its folder cannot be written; choose another place")


def plot_pulse(result: PulseResult, path: Path) -> None:
    """Draw the pulse of a clip into a file. Raises InputError where it cannot be written."""
    over_time = result.heart_rate_over_time
    n_parts = 2 if over_time is None else 3
    figure = Figure(figsize=(10, 3 * n_parts), layout="constrained")
    parts = figure.subplots(n_parts, 1)
    _draw_waveform(parts[0], result.pulse)
    _draw_spectrum(parts[1], result)
    if over_time is not None:
        _draw_over_time(parts[2], result, over_time)
        parts[2].set_xlim(parts[0].get_xlim())
    figure.suptitle(_title(result))
    for axes in parts:
        axes.spines[["top", "right"]].set_visible(False)
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, dpi=120, format=path.suffix[1:].lower())


def _title(result: PulseResult) -> str:
    rate = result.heart_rate_bpm
    shown = "no heart rate" if rate is None else f"{rate:.1f} bpm"
    return f"{shown}   ({result.model}, signal quality {result.signal_quality:.2f} of 1)"


def _draw_waveform(axes: Axes, pulse: Pulse) -> None:
    """The pulse over time as read and in the band of the heart; grey where no face was seen."""
    times_s, unseen = pulse.timestamps_s, np.isnan(pulse.samples).tolist()
    axes.plot(times_s, pulse.samples, color=RAW_COLOUR, linewidth=0.8, label="as read")
    for index, part in enumerate(_in_heart_band(pulse)):
        label = f"{LOW_HZ}-{HIGH_HZ} Hz" if index == 0 else None
        axes.plot(part.timestamps_s, part.samples, color=PULSE_COLOUR, linewidth=1.5, label=label)
    whole_height = axes.get_xaxis_transform()
    axes.fill_between(
        times_s, 0, 1, where=unseen, transform=whole_height, color=UNSEEN_COLOUR, linewidth=0
    )
    axes.set(xlabel="time (s); grey: no face seen", ylabel="pulse (unitless)")
    axes.set_title("Pulse", loc="left")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, ncols=2)


def _in_heart_band(pulse: Pulse) -> list[Pulse]:
    """Each run of seen pulse of two seconds or more, on a uniform clock, band-passed."""
    fps, parts = mean_fps(pulse.timestamps_s), []
    for run in uniform_runs(pulse, fps=fps):
        if run.duration_s >= MIN_RUN_S and fps > 2 * HIGH_HZ:
            x = detrend(run.pulse)
            smooth = bandpass(x, fps=fps, low_hz=LOW_HZ, high_hz=HIGH_HZ, order=2)
            parts.append(Pulse(smooth, run.start_s + np.arange(len(x)) / fps))
    return parts


def _draw_spectrum(axes: Axes, result: PulseResult) -> None:
    """Power over beats per minute, and the rates of `rate_marks`."""
    axes.set(xlabel="rate (beats per minute)", ylabel="power (share of largest)", xlim=BAND_BPM)
    axes.set_title("Spectrum", loc="left")
    spectrum = pulse_spectrum(result.read_pulse)
    if spectrum is None:
        axes.text(
            0.5, 0.5, "too little pulse for a spectrum", transform=axes.transAxes, ha="center"
        )
        return
    for mark in rate_marks(result):
        colour, style = (PULSE_COLOUR, "--") if mark.is_reported else (SPECTRUM_COLOUR, ":")
        axes.axvline(mark.rate_bpm, color=colour, linestyle=style, linewidth=1.2, label=mark.label)
    if axes.get_lines():
        axes.legend(loc="upper right", frameon=False)
    rate_bpm = bpm_from_hz(1.0) * spectrum.frequency_hz
    inside = (rate_bpm >= BAND_BPM[0]) & (rate_bpm <= BAND_BPM[1])
    power = spectrum.power[inside]
    axes.plot(rate_bpm[inside], power / power.max(), color=SPECTRUM_COLOUR, linewidth=1.2)


def _draw_over_time(axes: Axes, result: PulseResult, over_time: RateOverTime) -> None:
    """The heart rate of every second; the reported one, over the time that it is read from."""
    times_s, rates_bpm = over_time.times_s, over_time.rates_bpm
    axes.plot(times_s, rates_bpm, ".-", color=SPECTRUM_COLOUR, linewidth=1.2, label="8 s around")
    if result.heart_rate_bpm is not None and result.faces:
        ends_s = (result.faces[0].start_s, result.faces[0].end_s)
        rate_bpm, label = result.heart_rate_bpm, f"heart rate {result.heart_rate_bpm:.1f} bpm"
        axes.plot(ends_s, [rate_bpm] * 2, "--", color=PULSE_COLOUR, linewidth=1.2, label=label)
    axes.set(xlabel="time (s)", ylabel="beats per minute")
    axes.margins(y=0.3)
    low_bpm, high_bpm = axes.get_ylim()
    missing_bpm = max(0.0, LEAST_RANGE_BPM - (high_bpm - low_bpm)) / 2
    axes.set_ylim(low_bpm - missing_bpm, high_bpm + missing_bpm)
    axes.set_title("Heart rate over time", loc="left")
    axes.legend(loc="upper right", frameon=False, ncols=2)
