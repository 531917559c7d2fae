import numpy as np
import pytest

from physkit.signal.filters import bandpass
from physkit.signal.quality import signal_quality, snr_db


@pytest.mark.parametrize("duration_s", [10, 30])
@pytest.mark.parametrize("bpm", [45, 75, 150])
def test_a_clean_synthetic_pulse_is_high(synthetic_ppg, duration_s: int, bpm: int) -> None:
    signal = synthetic_ppg(bpm, fps=30.0, duration_s=duration_s, noise=0.1)
    assert signal_quality(signal.x, fps=30.0) > 0.85


def test_contact_ppg_is_high(contact_ppg) -> None:
    assert signal_quality(contact_ppg.x, fps=contact_ppg.fps) > 0.9
    assert signal_quality(contact_ppg.x[:2500], fps=contact_ppg.fps) > 0.9


@pytest.mark.parametrize("colour", ["white", "pink"])
@pytest.mark.parametrize("prefiltered", [False, True])
def test_noise_is_low_also_when_band_passed(noise, colour: str, prefiltered: bool) -> None:
    qualities = []
    for seed in range(30):
        x = noise(colour, 300, seed)
        if prefiltered:
            x = bandpass(x, fps=30.0, low_hz=0.6, high_hz=3.3)
        qualities.append(signal_quality(x, fps=30.0))
    assert np.median(qualities) < 0.15
    assert np.mean(np.array(qualities) < 0.35) > 0.9


def test_more_noise_is_less_quality(synthetic_ppg) -> None:
    qualities = [
        signal_quality(synthetic_ppg(70, fps=30.0, duration_s=30, noise=n).x, fps=30.0)
        for n in (0.0, 1.0, 2.0, 5.0)
    ]
    assert qualities == sorted(qualities, reverse=True)
    assert qualities[0] > 0.9
    assert qualities[-1] < 0.2


def test_quality_ignores_scale_and_offset(synthetic_ppg) -> None:
    x = synthetic_ppg(70, fps=30.0, duration_s=10, noise=0.8).x
    assert signal_quality(1e-4 * x + 7, fps=30.0) == pytest.approx(signal_quality(x, fps=30.0))


@pytest.mark.parametrize(
    "x", [np.zeros(300), np.full(300, 0.1), np.linspace(0, 1, 300), np.ones(5)]
)
def test_a_flat_line_a_ramp_or_a_stub_has_none(x: np.ndarray) -> None:
    assert signal_quality(x, fps=30.0) == 0


def snr(x: np.ndarray, rate_bpm: float) -> float:
    return snr_db(x, fps=30.0, rate_bpm=float(rate_bpm), low_hz=0.6, high_hz=3.3)


def test_snr_is_higher_at_the_true_rate() -> None:
    t = np.arange(1024) / 30
    x = np.sin(2 * np.pi * 1.2 * t) + 0.2 * np.random.default_rng(0).standard_normal(1024)
    assert snr(x, 72) > 5 > -5 > snr(x, 120)


def test_snr_without_a_rest_is_zero_and_without_a_rate_no_value() -> None:
    assert snr(np.zeros(300), 72) == 0
    assert np.isnan(snr(np.ones(300), float("nan")))
