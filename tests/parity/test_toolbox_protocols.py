"""rPPG-Toolbox's protocols, rebuilt here from their definitions: dense matrices and plain loops.

Nothing of physkit's signal or evaluate rooms is used by the twin.
"""

import math

import numpy as np
import pytest
from scipy.signal import butter, filtfilt, find_peaks, periodogram

from physkit.evaluate.predictions import PredictedRecording
from physkit.evaluate.scoring import score_recordings

BANDS = {
    "toolbox-2023": (0.75, 2.5),
    "toolbox-2024-06": (0.75, 2.5),
    "toolbox-2024-12": (0.75, 2.5),
    "toolbox-2025-03": (0.6, 3.3),
    "physllm": (0.75, 2.5),
}
PLAIN_RMSE_ERROR = ("toolbox-2023", "toolbox-2024-06", "toolbox-2024-12")
SQUARED_DENSITY = ("toolbox-2024-06", "physllm")


def make_recordings(n: int, *, representation: str, fps: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    recordings = []
    for i in range(n):
        t = np.arange(int(rng.integers(330, 640))) / fps
        rate_hz = rng.uniform(0.9, 2.0)
        phase = 2 * np.pi * np.cumsum(rate_hz * (1 + 0.04 * np.sin(0.5 * t + i))) / fps
        label = np.sin(phase) + 0.4 * np.sin(2 * phase + 1) + 0.5 * np.sin(0.8 * t)
        prediction = np.sin(phase - 0.7) + rng.uniform(0.2, 2.0) * rng.standard_normal(t.size)
        if representation == "diff":
            label, prediction = np.diff(label), np.diff(prediction)
            label, prediction = label / label.std(), prediction / prediction.std()
        recordings.append(
            PredictedRecording(f"r{i}", f"s{i // 2}", fps, prediction, label, representation)
        )
    return recordings


def twin_filter(x, representation, fps, protocol):
    if representation == "diff":
        x = np.array([sum(x[: i + 1]) for i in range(len(x))])
    n = len(x)
    d = np.zeros((n - 2, n))
    for row in range(n - 2):
        d[row, row], d[row, row + 1], d[row, row + 2] = 1, -2, 1
    x = (np.eye(n) - np.linalg.inv(np.eye(n) + 100.0**2 * (d.T @ d))) @ x
    low_hz, high_hz = BANDS[protocol]
    b, a = butter(1, [low_hz / fps * 2, high_hz / fps * 2], btype="bandpass")
    return filtfilt(b, a, x)


def twin_spectrum(x, fps):
    nfft = 1
    while nfft < len(x):
        nfft *= 2
    return periodogram(x, fs=fps, nfft=nfft, detrend=False)


def twin_rate(x, fps, protocol, hr):
    if hr == "peak":
        peaks, _ = find_peaks(x)
        return 60 * fps / np.mean(np.diff(peaks)) if len(peaks) > 1 else math.nan
    low_hz, high_hz = BANDS[protocol]
    best_power, best_hz = -1.0, math.nan
    for f, p in zip(*twin_spectrum(x, fps), strict=True):
        if low_hz <= f <= high_hz and p > best_power:
            best_power, best_hz = p, f
    return best_hz * 60


def twin_snr(x, fps, protocol, label_bpm):
    if math.isnan(label_bpm):
        return math.nan
    low_hz, high_hz = BANDS[protocol]
    f0 = label_bpm / 60
    signal = rest = 0.0
    for f, p in zip(*twin_spectrum(x, fps), strict=True):
        power = p**2 if protocol in SQUARED_DENSITY else p
        near_first = f0 - 0.1 <= f <= f0 + 0.1
        near_second = 2 * f0 - 0.1 <= f <= 2 * f0 + 0.1
        signal += power * near_first + power * near_second
        if low_hz <= f <= high_hz and not near_first and not near_second:
            rest += power
    if rest == 0:
        return 0.0
    factor = 20 if protocol == "toolbox-2023" else 10
    return factor * math.log10(signal / rest) if signal > 0 else math.nan


def twin_macc(a, b):
    return max(abs(np.corrcoef(a, np.roll(b, lag))[0, 1]) for lag in range(len(a) - 1))


def twin_windows(recordings, protocol, window_s, hr):
    rows = []
    for r in recordings:
        n = len(r.prediction)
        size = n if window_s is None else min(n, int(window_s * r.fps))
        for start in range(0, n, size):
            prediction, label = r.prediction[start : start + size], r.label[start : start + size]
            if len(prediction) < 10:  # the toolbox skips under 9 and fails at 9
                continue
            a = twin_filter(prediction, r.representation, r.fps, protocol)
            b = twin_filter(label, r.representation, r.fps, protocol)
            label_bpm = twin_rate(b, r.fps, protocol, hr)
            rows.append(
                (
                    twin_rate(a, r.fps, protocol, hr),
                    label_bpm,
                    twin_snr(a, r.fps, protocol, label_bpm),
                    twin_macc(a, b),
                )
            )
    return np.array(rows)


def spread(x):
    return math.sqrt(sum((v - sum(x) / len(x)) ** 2 for v in x) / len(x))


def twin_metrics(rows, protocol):
    rate, label = rows[np.isfinite(rows[:, :2]).all(1), :2].T
    snr, macc = (column[np.isfinite(column)] for column in rows[:, 2:].T)
    n = len(rate)
    error, relative = np.abs(rate - label), np.abs(rate - label) / label * 100
    rmse_error = spread(error**2) / math.sqrt(n)
    r = np.corrcoef(rate, label)[0, 1]
    return {
        "mae_bpm": (error.mean(), spread(error) / math.sqrt(n)),
        "rmse_bpm": (
            math.sqrt((error**2).mean()),
            rmse_error if protocol in PLAIN_RMSE_ERROR else math.sqrt(rmse_error),
        ),
        "mape_percent": (relative.mean(), spread(relative) / math.sqrt(n)),
        "pearson": (r, math.sqrt((1 - r**2) / (n - 2))),
        "snr_db": (snr.mean(), spread(snr) / math.sqrt(len(snr))),
        "macc": (macc.mean(), spread(macc) / math.sqrt(len(macc))),
    }


@pytest.mark.parametrize("protocol", sorted(BANDS))
@pytest.mark.parametrize("hr", ["fft", "peak"])
@pytest.mark.parametrize("window_s", [None, 10.0, 3.0])
@pytest.mark.parametrize(("representation", "fps"), [("diff", 30.0), ("waveform", 25.0)])
def test_every_metric_and_standard_error_agrees_with_the_definitions(
    protocol: str, hr: str, window_s: float | None, representation: str, fps: float
) -> None:
    recordings = make_recordings(4, representation=representation, fps=fps)
    rows = twin_windows(recordings, protocol, window_s, hr)
    score = score_recordings(recordings, protocol=protocol, window_s=window_s, hr=hr)
    for name, (value, standard_error) in twin_metrics(rows, protocol).items():
        ours = getattr(score.metrics, name)
        assert ours.value == pytest.approx(value, rel=1e-7, abs=1e-9), name
        assert ours.standard_error == pytest.approx(standard_error, rel=1e-7, abs=1e-9), name
    agreement, difference = score.bland_altman, rows[:, 1] - rows[:, 0]
    difference = difference[np.isfinite(difference)]
    reach = 1.96 * math.sqrt(2) * np.std(difference, ddof=1)
    assert agreement.bias_bpm == pytest.approx(difference.mean())
    assert agreement.upper_bpm == pytest.approx(difference.mean() + reach)
    assert agreement.lower_bpm == pytest.approx(difference.mean() - reach)


def test_single_precision_sums_of_differences_change_no_digit() -> None:
    recordings = make_recordings(3, representation="diff", fps=30.0)
    rows = []
    for r in recordings:
        single = [np.cumsum(x.astype(np.float32)) for x in (r.prediction, r.label)]
        a, b = (twin_filter(x, "waveform", r.fps, "toolbox-2025-03") for x in single)
        label_bpm = twin_rate(b, r.fps, "toolbox-2025-03", "fft")
        snr = twin_snr(a, r.fps, "toolbox-2025-03", label_bpm)
        rate = twin_rate(a, r.fps, "toolbox-2025-03", "fft")
        rows.append((rate, label_bpm, snr, twin_macc(a, b)))
    score = score_recordings(recordings, protocol="toolbox-2025-03", window_s=None, hr="fft")
    for name, (value, _) in twin_metrics(np.array(rows), "toolbox-2025-03").items():
        assert getattr(score.metrics, name).value == pytest.approx(value, rel=1e-6), name
