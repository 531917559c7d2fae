import numpy as np
import pytest

from physkit.signal.respiration import respiration_rate_bpm


@pytest.mark.parametrize("breaths", [9, 15, 21])
@pytest.mark.parametrize("fps", [25.0, 250.0])
def test_known_breathing_is_read_within_a_breath(synthetic_ppg, breaths: int, fps: float) -> None:
    signal = synthetic_ppg(72, fps=fps, duration_s=60, noise=0.05, breaths_hz=breaths / 60)
    assert respiration_rate_bpm(signal.x, fps=fps) == pytest.approx(breaths, abs=1)


def test_breathing_is_read_from_a_detrended_pulse_too(synthetic_ppg) -> None:
    signal = synthetic_ppg(72, fps=30.0, duration_s=60)
    t = np.arange(signal.x.size) / 30
    x = signal.x - 0.3 * np.sin(2 * np.pi * 0.25 * t + 1)
    assert respiration_rate_bpm(x, fps=30.0) == pytest.approx(15, abs=1)


def test_a_long_recording_is_read_on_the_same_scale(synthetic_ppg) -> None:
    signal = synthetic_ppg(72, fps=20.0, duration_s=600)
    assert respiration_rate_bpm(signal.x, fps=20.0) == pytest.approx(15, abs=0.5)


def test_a_short_pulse_has_no_respiration(synthetic_ppg) -> None:
    assert respiration_rate_bpm(synthetic_ppg(72, fps=30.0, duration_s=20).x, fps=30.0) is None


def test_noise_does_not_breathe(noise) -> None:
    read = [respiration_rate_bpm(noise("pink", 1800, seed), fps=30.0) for seed in range(20)]
    assert sum(rate is not None for rate in read) <= 1
