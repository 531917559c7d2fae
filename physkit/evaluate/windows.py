"""From recordings to windows, and from each window to heart rates, SNR and MACC."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.evaluate.predictions import MIN_SAMPLES, Condition, PredictedRecording
from physkit.evaluate.protocols import HeartRateMethod, Protocol
from physkit.signal.beats import find_beats
from physkit.signal.filters import bandpass, detrend, smoothness_of_cutoff
from physkit.signal.heart_rate import fft_heart_rate_bpm, heart_rate_bpm, peak_heart_rate_bpm
from physkit.signal.quality import signal_quality, snr_db, window_qualities
from physkit.signal.rate_over_time import DRIFT_HZ
from physkit.signal.resample import resample


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
    conditions: Mapping[str, Condition]
    """Properties of the recording."""

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

    A last window under `MIN_SAMPLES` is left out: rPPG-Toolbox skips it too, or fails at nine.

    Raises InputError where the window or the frame rate cannot be used.
    """
    _check(recording, protocol, window_s)
    prediction, label = waveforms(recording, protocol)
    bounds = _bounds(prediction.shape[0], recording.fps, protocol, window_s)
    qualities = _qualities(prediction, bounds, recording, protocol)
    windows = []
    for (start, stop), quality in zip(bounds, qualities, strict=True):
        figures = _figures(prediction[start:stop], label[start:stop], recording, protocol, hr)
        windows.append(
            WindowRow(
                recording.recording,
                recording.subject,
                start / recording.fps,
                (stop - start) / recording.fps,
                *figures,
                quality,
                conditions=recording.conditions,
            )
        )
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


def _qualities(
    prediction: Float[np.ndarray, "t"],
    bounds: list[tuple[int, int]],
    recording: PredictedRecording,
    protocol: Protocol,
) -> list[float]:
    if protocol.step_s is not None and np.isfinite(prediction).all():
        return window_qualities(prediction, fps=recording.fps, bounds=bounds)
    pieces = [prediction[start:stop] for start, stop in bounds]
    return [
        signal_quality(detrended(piece, recording, protocol), fps=recording.fps)
        if np.isfinite(piece).all()
        else 0.0
        for piece in pieces
    ]


def _figures(
    prediction: Float[np.ndarray, "t"],
    label: Float[np.ndarray, "t"],
    recording: PredictedRecording,
    protocol: Protocol,
    hr: HeartRateMethod,
) -> tuple[float, float, float, float]:
    """Predicted and true heart rate, SNR, MACC."""
    if not (np.isfinite(prediction).all() and np.isfinite(label).all()):
        return (float("nan"),) * 4
    fps, low_hz, high_hz = recording.fps, protocol.low_hz, protocol.high_hz
    flat = [detrended(x, recording, protocol) for x in (prediction, label)]
    clean = [bandpass(x, fps=fps, low_hz=low_hz, high_hz=high_hz) for x in flat]
    signals = flat if protocol.heart_rate == "physkit" else clean
    rate_bpm, label_bpm = (_heart_rate_bpm(x, fps, protocol, hr) for x in signals)
    return (
        rate_bpm,
        label_bpm,
        snr_db(
            clean[0],
            fps=fps,
            rate_bpm=label_bpm,
            low_hz=low_hz,
            high_hz=high_hz,
            kind=protocol.snr,
        ),
        macc(clean[0], clean[1]),
    )


def _heart_rate_bpm(
    x: Float[np.ndarray, "t"], fps: float, protocol: Protocol, hr: HeartRateMethod
) -> float:
    low_hz, high_hz = protocol.low_hz, protocol.high_hz
    if protocol.heart_rate == "toolbox":
        if hr == "peak":
            return peak_heart_rate_bpm(x, fps=fps)
        return fft_heart_rate_bpm(x, fps=fps, low_hz=low_hz, high_hz=high_hz)
    if hr == "fft":
        return heart_rate_bpm(x, fps=fps, low_hz=low_hz, high_hz=high_hz)
    beats_s = find_beats(x, fps=fps)
    return 60 / float(np.diff(beats_s).mean()) if beats_s.shape[0] > 1 else float("nan")
