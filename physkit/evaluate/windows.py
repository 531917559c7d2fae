"""From recordings to windows, and from each window to heart rates, SNR and MACC."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.evaluate.predictions import MIN_SAMPLES, Condition, PredictedRecording
from physkit.evaluate.protocols import HeartRateMethod, Protocol
from physkit.signal.beats import find_beats
from physkit.signal.filters import bandpass, detrend, smoothness_of_cutoff
from physkit.signal.heart_rate import (
    average_spectrum,
    fft_heart_rate_bpm,
    hann_spectrum,
    peak_heart_rate_bpm,
    spectral_heart_rate_bpm,
)
from physkit.signal.quality import MIN_QUALITY_S, signal_quality, snr_db, window_qualities
from physkit.signal.rate_over_time import DRIFT_HZ
from physkit.signal.reading import MIN_SEEN_S
from physkit.signal.resample import resample

MIN_PIECE_S = 2.0
"""A shorter piece between two gaps may hold no whole beat, and is left out."""
ROUNDING_S = 1e-6
"""Durations closer than this are equal."""


@dataclass(frozen=True)
class WindowRow:
    """A row of the window table; NaN where a figure has no value."""

    recording: str
    """Recording it was cut from."""
    subject: str
    """Who was recorded."""
    start_s: float
    """Seconds after the recording's first sample."""
    duration_s: float
    """Length in seconds."""
    heart_rate_bpm: float
    """Predicted."""
    label_heart_rate_bpm: float
    """True, from the label waveform."""
    snr_db: float
    """Signal-to-noise ratio of the prediction at the true heart rate."""
    macc: float
    """Maximum amplitude of the cross-correlation with the label, 0 to 1."""
    quality: float
    """Signal quality of the prediction, 0 to 1, computed without the label."""
    seen_s: float
    """Seconds of it that the figures come from: all but gaps, and pieces under `MIN_PIECE_S`."""
    conditions: Mapping[str, Condition]
    """Properties of the recording."""

    @property
    def is_seen(self) -> bool:
        """Whether enough was seen for a heart rate: `MIN_SEEN_S`, or all of a shorter window."""
        return self.seen_s >= min(MIN_SEEN_S, self.duration_s) - ROUNDING_S

    @property
    def error_bpm(self) -> float:
        """Predicted less true heart rate."""
        return self.heart_rate_bpm - self.label_heart_rate_bpm


def cut_windows(
    recording: PredictedRecording,
    protocol: Protocol,
    *,
    window_s: float | None,
    hr: HeartRateMethod,
) -> list[WindowRow]:
    """The windows of one recording under a protocol; `window_s` None is the whole recording.

    Under physkit's protocol, a window with gaps is read from its pieces between them: their spectra
    are averaged by length, as are their qualities, beats are counted within them, and SNR and MACC
    are those of the longest. rPPG-Toolbox knows no gaps. A last window under `MIN_SAMPLES` is left
    out: rPPG-Toolbox skips it too, or fails at nine.

    Raises InputError where the window or the frame rate cannot be used.
    """
    _check(recording, protocol, window_s)
    prediction, label = waveforms(recording, protocol)
    bounds = _bounds(prediction.shape[0], recording.fps, protocol, window_s)
    pieces = [_pieces(prediction, label, bound, fps=recording.fps) for bound in bounds]
    qualities = _qualities(prediction, pieces, recording, protocol)
    windows = []
    for (start, stop), parts, quality in zip(bounds, pieces, qualities, strict=True):
        row = WindowRow(
            recording.recording,
            recording.subject,
            start_s=start / recording.fps,
            duration_s=(stop - start) / recording.fps,
            heart_rate_bpm=math.nan,
            label_heart_rate_bpm=math.nan,
            snr_db=math.nan,
            macc=math.nan,
            quality=quality,
            seen_s=sum(b - a for a, b in parts) / recording.fps,
            conditions=recording.conditions,
        )
        if row.is_seen:
            both = [(prediction[a:b], label[a:b]) for a, b in parts]
            rate_bpm, label_bpm, ratio_db, correlation = _figures(both, recording, protocol, hr)
            row = replace(
                row,
                heart_rate_bpm=rate_bpm,
                label_heart_rate_bpm=label_bpm,
                snr_db=ratio_db,
                macc=correlation,
            )
        windows.append(row)
    return windows


def waveforms(
    recording: PredictedRecording, protocol: Protocol
) -> tuple[Float[np.ndarray, "u"], Float[np.ndarray, "u"]]:
    """Prediction and label, before they are cut into windows.

    physkit's protocol sums differences and resamples by the true timestamps, with NaN in gaps;
    rPPG-Toolbox's sums within each window (see `filtered`) and uses no timestamps.
    """
    both = (recording.prediction, recording.label)
    if protocol.heart_rate == "toolbox":
        return both
    if recording.representation == "diff":
        both = (np.cumsum(both[0]), np.cumsum(both[1]))
    if recording.timestamps_s is None:
        return both
    times_s, fps = recording.timestamps_s, recording.fps
    return (
        resample(both[0], times_s, fps=fps)[0],
        resample(both[1], times_s, fps=fps)[0],
    )


def detrended(
    x: Float[np.ndarray, "t"], recording: PredictedRecording, protocol: Protocol
) -> Float[np.ndarray, "t"]:
    """A window without its trend, summed first where rPPG-Toolbox sums differences."""
    if protocol.heart_rate == "physkit":
        return detrend(x, smoothness=smoothness_of_cutoff(DRIFT_HZ, fps=recording.fps))
    return detrend(np.cumsum(x) if recording.representation == "diff" else x)


def macc(prediction: Float[np.ndarray, "t"], label: Float[np.ndarray, "t"]) -> float:
    """The largest |Pearson correlation| with the label rolled circularly by 0 .. t - 2 samples.

    All lags at once by the Fourier transform. NaN if either signal is constant. Cho et al. 2017,
    as rPPG-Toolbox computes it.
    """
    a, b = prediction - prediction.mean(), label - label.mean()
    norm = np.sqrt(np.dot(a, a) * np.dot(b, b))
    if not norm > 0:
        return float("nan")
    n = a.shape[0]
    correlation = np.fft.irfft(np.fft.rfft(a) * np.conj(np.fft.rfft(b)), n)
    return float(np.abs(correlation[: n - 1]).max() / norm)


def _check(recording: PredictedRecording, protocol: Protocol, window_s: float | None) -> None:
    if recording.fps <= 2 * protocol.high_hz:
        raise InputError(
            f"recording '{recording.recording}': {recording.fps} samples/s cannot hold the "
            f"{protocol.high_hz} Hz of {protocol.name}; give more than {2 * protocol.high_hz}"
        )
    if window_s is not None and round(window_s * recording.fps) < MIN_SAMPLES:
        raise InputError(
            f"recording '{recording.recording}': a window of {window_s} s holds under "
            f"{MIN_SAMPLES} samples at {recording.fps} samples/s; take a longer window"
        )


def _bounds(
    n: int, fps: float, protocol: Protocol, window_s: float | None
) -> list[tuple[int, int]]:
    size = n if window_s is None else min(n, round(window_s * fps))
    if protocol.step_s is not None:
        step = max(1, round(protocol.step_s * fps))
        return [(start, start + size) for start in range(0, n - size + 1, step)]
    cut = [(start, min(start + size, n)) for start in range(0, n, size)]
    return [(start, stop) for start, stop in cut if stop - start >= MIN_SAMPLES]


def _pieces(
    prediction: Float[np.ndarray, "t"],
    label: Float[np.ndarray, "t"],
    bound: tuple[int, int],
    *,
    fps: float,
) -> list[tuple[int, int]]:
    """First sample, and one past the last, of the parts of a window without a gap."""
    start, stop = bound
    seen = np.isfinite(prediction[start:stop]) & np.isfinite(label[start:stop])
    if seen.all():
        return [bound]
    edges = start + np.flatnonzero(np.diff(seen, prepend=False, append=False))
    parts = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [(a, b) for a, b in parts if b - a >= MIN_PIECE_S * fps]


def _qualities(
    prediction: Float[np.ndarray, "t"],
    pieces: list[list[tuple[int, int]]],
    recording: PredictedRecording,
    protocol: Protocol,
) -> list[float]:
    """Of each window, over its pieces that are long enough to have one."""
    if protocol.step_s is not None and np.isfinite(prediction).all():
        bounds = [bound for (bound,) in pieces]
        return window_qualities(prediction, fps=recording.fps, bounds=bounds)
    return [
        _mean(
            [
                signal_quality(detrended(prediction[a:b], recording, protocol), fps=recording.fps)
                for a, b in parts
            ],
            [(b - a) * (b - a >= MIN_QUALITY_S * recording.fps) for a, b in parts],
        )
        for parts in pieces
    ]


def _mean(values: list[float], weights: list[int]) -> float:
    return float(np.average(values, weights=weights)) if sum(weights) else 0.0


def _figures(
    pieces: list[tuple[Float[np.ndarray, "_"], Float[np.ndarray, "_"]]],
    recording: PredictedRecording,
    protocol: Protocol,
    hr: HeartRateMethod,
) -> tuple[float, float, float, float]:
    """Predicted and true heart rate, SNR and MACC of pieces of prediction and label."""
    fps, low_hz, high_hz = recording.fps, protocol.low_hz, protocol.high_hz
    flat = [[detrended(x, recording, protocol) for x in both] for both in pieces]
    longest = max(flat, key=lambda both: both[0].shape[0])
    clean = [bandpass(x, fps=fps, low_hz=low_hz, high_hz=high_hz) for x in longest]
    signals = flat if protocol.heart_rate == "physkit" else [clean]
    rate_bpm, label_bpm = (
        _heart_rate_bpm(list(parts), fps, protocol, hr) for parts in zip(*signals, strict=True)
    )
    ratio_db = snr_db(
        clean[0], fps=fps, rate_bpm=label_bpm, low_hz=low_hz, high_hz=high_hz, kind=protocol.snr
    )
    return rate_bpm, label_bpm, ratio_db, macc(clean[0], clean[1])


def _heart_rate_bpm(
    pieces: list[Float[np.ndarray, "_"]], fps: float, protocol: Protocol, hr: HeartRateMethod
) -> float:
    low_hz, high_hz = protocol.low_hz, protocol.high_hz
    if protocol.heart_rate == "toolbox":
        (x,) = pieces
        if hr == "peak":
            return peak_heart_rate_bpm(x, fps=fps)
        return fft_heart_rate_bpm(x, fps=fps, low_hz=low_hz, high_hz=high_hz)
    if hr == "fft":
        spectrum = average_spectrum([hann_spectrum(x, fps=fps) for x in pieces])
        return spectral_heart_rate_bpm(spectrum, low_hz=low_hz, high_hz=high_hz)
    intervals_s = np.concatenate([np.diff(find_beats(x, fps=fps)) for x in pieces])
    return float(60 / intervals_s.mean()) if intervals_s.size else math.nan
