import numpy as np
import pytest

from physkit.signal.filters import detrend, smoothness_of_cutoff
from physkit.signal.heart_rate import (
    average_spectrum,
    fft_heart_rate_bpm,
    hann_spectrum,
    heart_rate_bpm,
    peak_heart_rate_bpm,
    spectral_heart_rate_bpm,
)


def sinusoid(bpm: float, *, fps: float, duration_s: float, phase: float = 0.3) -> np.ndarray:
    t = np.arange(round(duration_s * fps)) / fps
    return np.sin(2 * np.pi * bpm / 60 * t + phase)


@pytest.mark.parametrize(("n", "bin_bpm"), [(128, 14.0625), (300, 3.515625), (1800, 0.87890625)])
def test_toolbox_rate_falls_on_the_bins_of_the_next_power_of_two(n: int, bin_bpm: float) -> None:
    x = sinusoid(80, fps=30, duration_s=n / 30)
    rate = fft_heart_rate_bpm(x, fps=30.0, low_hz=0.6, high_hz=3.3)
    assert rate / bin_bpm == pytest.approx(round(rate / bin_bpm), abs=1e-9)
    assert abs(rate - 80) <= bin_bpm


def test_toolbox_rate_without_a_bin_in_the_band_is_no_value() -> None:
    assert np.isnan(fft_heart_rate_bpm(np.ones(10), fps=120.0, low_hz=0.6, high_hz=3.3))


def test_peak_rate_counts_every_maximum() -> None:
    x = np.array([0, 1, 0, 1, 0, 0, 1, 0.0])
    assert peak_heart_rate_bpm(x, fps=10.0) == pytest.approx(60 * 10 / 2.5)


def test_peak_rate_of_fewer_than_two_maxima_is_no_value() -> None:
    assert np.isnan(peak_heart_rate_bpm(np.array([0, 1.0, 0]), fps=10.0))


@pytest.mark.parametrize("bpm", [40.0, 52.5, 71.3, 120.0, 179.9])
@pytest.mark.parametrize("fps", [20.0, 30.0, 61.7])
@pytest.mark.parametrize("phase", [0.0, 1.0, 2.5])
def test_spectral_rate_resolves_a_tenth_of_a_beat_per_minute(
    bpm: float, fps: float, phase: float
) -> None:
    x = sinusoid(bpm, fps=fps, duration_s=20, phase=phase)
    assert heart_rate_bpm(x, fps=fps) == pytest.approx(bpm, abs=0.1)


@pytest.mark.parametrize("bpm", [45.0, 60.0, 80.0])
def test_harmonic_check_finds_the_fundamental_under_a_stronger_second_harmonic(bpm: float) -> None:
    t = np.arange(600) / 30
    x = sum(a * np.sin(2 * np.pi * k * bpm / 60 * t + k) for k, a in ((1, 0.6), (2, 1.0), (3, 0.4)))
    x = x + 0.1 * np.random.default_rng(0).standard_normal(600)
    assert heart_rate_bpm(x, fps=30.0) == pytest.approx(bpm, abs=0.5)


@pytest.mark.parametrize("bpm", [90.0, 120.0, 160.0])
def test_harmonic_check_leaves_a_fast_rate_beside_slow_noise_alone(bpm: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        x = sinusoid(bpm, fps=30, duration_s=20) + 0.7 * rng.standard_normal(600)
        assert heart_rate_bpm(x, fps=30.0) == pytest.approx(bpm, abs=1.0)


def test_slow_drift_is_not_taken_for_a_slow_heart() -> None:
    t = np.arange(300) / 30
    x = detrend(
        sinusoid(66, fps=30, duration_s=10) + 20 * np.sin(2 * np.pi * 0.05 * t),
        smoothness=smoothness_of_cutoff(0.25, fps=30.0),
    )
    assert heart_rate_bpm(x, fps=30.0) == pytest.approx(66, abs=0.5)


def test_a_flat_signal_has_no_rate() -> None:
    assert np.isnan(heart_rate_bpm(np.zeros(300), fps=30.0))


def test_average_spectrum_weighs_by_duration() -> None:
    long = hann_spectrum(sinusoid(60, fps=30, duration_s=30), fps=30.0)
    short = hann_spectrum(sinusoid(90, fps=30, duration_s=6), fps=30.0)
    mean = average_spectrum([long, short])
    np.testing.assert_allclose(mean.power, (30 * long.power + 6 * short.power) / 36)
    assert spectral_heart_rate_bpm(mean) == pytest.approx(60, abs=0.5)
