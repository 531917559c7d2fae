import numpy as np
import pytest

from physkit.signal.filters import bandpass, detrend, smoothness_of_cutoff


def dense_detrend(x: np.ndarray, smoothness: float) -> np.ndarray:
    n = x.shape[0]
    d = np.zeros((n - 2, n))
    for row in range(n - 2):
        d[row, row : row + 3] = [1, -2, 1]
    return x - np.linalg.inv(np.eye(n) + smoothness**2 * d.T @ d) @ x


@pytest.mark.parametrize("n", [3, 4, 5, 10, 63, 300])
def test_banded_detrend_equals_dense_inverse(n: int) -> None:
    x = np.random.default_rng(n).standard_normal(n).cumsum()
    np.testing.assert_allclose(detrend(x), dense_detrend(x, 100.0), atol=1e-8)


def test_detrend_removes_a_line_and_keeps_a_pulse() -> None:
    t = np.arange(900) / 30
    pulse = np.sin(2 * np.pi * 1.5 * t)
    residue = detrend(pulse + 5 * t + 3) - pulse
    assert np.abs(residue[100:-100]).max() < 0.02


def test_detrend_of_fewer_than_three_samples_is_all_trend() -> None:
    assert not detrend(np.array([3.0, 4.0])).any()


def test_cutoff_smoothness_halves_that_frequency() -> None:
    t = np.arange(6000) / 30
    x = np.sin(2 * np.pi * 0.25 * t)
    kept = detrend(x, smoothness=smoothness_of_cutoff(0.25, fps=30.0))
    assert np.dot(kept[1000:-1000], x[1000:-1000]) / np.dot(x[1000:-1000], x[1000:-1000]) == (
        pytest.approx(0.5, abs=0.01)
    )


def test_bandpass_keeps_the_phase_of_a_pulse_in_the_band() -> None:
    t = np.arange(1800) / 30
    x = np.sin(2 * np.pi * 1.4 * t)
    y = bandpass(x + 10, fps=30.0, low_hz=0.6, high_hz=3.3)
    assert np.corrcoef(x[300:-300], y[300:-300])[0, 1] > 0.9999
    assert abs(y[300:-300].mean()) < 1e-2
