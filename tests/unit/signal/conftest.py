"""Real and synthetic pulses with known beats."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat


@dataclass(frozen=True, eq=False)
class Marked:
    """A signal, its rate, and the true times of its beats."""

    x: np.ndarray
    fps: float
    beats_s: np.ndarray


def _marked(path: Path, key: str) -> Marked:
    record = loadmat(path)[key][0, 0]
    fps = float(record["fs"].item())
    marks = record["peaks"].ravel().astype(np.float64) - 1
    return Marked(record["data"].ravel().astype(np.float64), fps, marks / fps)


@pytest.fixture(scope="session")
def contact_ppg(assets: Path) -> Marked:
    """A minute of finger PPG at 250 Hz; the marks are pulse feet."""
    return _marked(assets / "signals" / "PPGData.mat", "PPG")


@pytest.fixture(scope="session")
def ecg(assets: Path) -> Marked:
    """The ECG of the same minute at 500 Hz; the marks are R peaks."""
    return _marked(assets / "signals" / "ECGData.mat", "ECG")


def _waveform(notch: float) -> tuple[np.ndarray, np.ndarray]:
    """One beat over its phase: a fast rise, a slow fall and a dicrotic wave, foot at phase 0."""
    phase = np.arange(1000) / 1000
    rise = np.sin(np.pi / 2 * phase / 0.22) ** 2
    wave = np.where(phase < 0.22, rise, 1 - (phase - 0.22) / 0.78)
    wave = wave + notch * np.exp(-0.5 * ((phase - 0.55) / 0.07) ** 2)
    kernel = np.exp(-0.5 * ((np.arange(1000) - 500) / 20) ** 2)
    kernel = np.fft.ifftshift(kernel / kernel.sum())
    wave = np.fft.irfft(np.fft.rfft(wave) * np.fft.rfft(kernel), 1000)
    return phase, np.roll(wave, -int(np.argmin(wave)))


@pytest.fixture(scope="session")
def synthetic_ppg() -> Callable[..., Marked]:
    """Makes a PPG with respiratory arrhythmia, amplitude and baseline at `breaths_hz`."""

    def make(
        bpm: float,
        *,
        fps: float,
        duration_s: float,
        noise: float = 0.0,
        notch: float = 0.3,
        breaths_hz: float = 0.25,
        seed: int = 0,
    ) -> Marked:
        rng = np.random.default_rng(seed)
        beats = [-1.0]
        while beats[-1] < duration_s + 2:
            swing = 0.03 * np.sin(2 * np.pi * breaths_hz * beats[-1])
            beats.append(beats[-1] + 60 / bpm * (1 + swing + 0.01 * rng.standard_normal()))
        beats_s = np.array(beats)
        t = np.arange(int(duration_s * fps)) / fps
        phase, wave = _waveform(notch)
        x = np.interp(np.interp(t, beats_s, np.arange(beats_s.size)) % 1, phase, wave, period=1)
        x = x * (1 + 0.15 * np.sin(2 * np.pi * breaths_hz * t))
        x = x + 0.3 * np.sin(2 * np.pi * breaths_hz * t + 1)
        x = x + noise * x.std() * rng.standard_normal(t.size)
        return Marked(x, fps, beats_s[(beats_s >= 0) & (beats_s < duration_s)])

    return make


def _coloured(exponent: float, n: int, rng: np.random.Generator) -> np.ndarray:
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.arange(spectrum.size, dtype=np.float64)
    frequency[0] = 1.0
    return np.fft.irfft(spectrum / frequency ** (exponent / 2), n)


@pytest.fixture(scope="session")
def noise() -> Callable[[str, int, int], np.ndarray]:
    """Makes white or pink noise, by name, length and seed."""

    def make(colour: str, n: int, seed: int) -> np.ndarray:
        exponent = {"white": 0.0, "pink": 1.0}[colour]
        return _coloured(exponent, n, np.random.default_rng(seed))

    return make
