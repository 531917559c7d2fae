import numpy as np
import pytest

from physkit.core.types import Pulse
from physkit.signal.reading import PulseReading, read_pulse

FPS = 30.0


def beating(rates_bpm: np.ndarray, *, noise: float = 0.0) -> Pulse:
    """A pulse whose rate follows `rates_bpm`, one value a sample."""
    phase = 2 * np.pi * np.cumsum(rates_bpm) / 60 / FPS
    x = -np.cos(phase) - 0.4 * np.cos(2 * phase + 0.7) - 0.15 * np.cos(3 * phase + 1)
    x += noise * np.random.default_rng(0).standard_normal(x.size)
    return Pulse(x, 7.0 + np.arange(x.size) / FPS)


def largest_error_bpm(reading: PulseReading, pulse: Pulse, rates_bpm: np.ndarray) -> float:
    assert reading.over_time is not None
    true = np.interp(reading.over_time.times_s, pulse.timestamps_s, rates_bpm)
    return float(np.nanmax(np.abs(reading.over_time.rates_bpm - true)))


SWEEPS = {
    "even": np.linspace(100, 52, 1200),
    "ratio": 100 * 0.52 ** np.linspace(0, 1, 1200),
    "recovery": 52 + 48 * np.exp(-np.arange(1200) / FPS / 12),
    "rising": np.linspace(52, 100, 1200),
}


@pytest.mark.parametrize("noise", [0.0, 0.8])
@pytest.mark.parametrize("kind", SWEEPS)
def test_a_sweep_of_48_bpm_in_40_s_is_followed_within_3_bpm(kind: str, noise: float) -> None:
    pulse = beating(SWEEPS[kind], noise=noise)
    reading = read_pulse(pulse)
    assert largest_error_bpm(reading, pulse, SWEEPS[kind]) < 3
    assert np.isfinite(reading.over_time.rates_bpm).sum() >= 25
    assert reading.heart_rate_bpm == pytest.approx(SWEEPS[kind].mean(), abs=4 if noise else 1)
    assert "changed between" in " ".join(reading.warnings)


@pytest.mark.parametrize("noise", [0.0, 0.8, 1.2])
def test_one_number_over_two_rates_is_their_mean_with_a_warning(noise: float) -> None:
    rates_bpm = np.repeat([52.5, 79.0], [600, 390])
    pulse = beating(rates_bpm, noise=noise)
    reading = read_pulse(pulse)
    assert reading.heart_rate_bpm == pytest.approx(62.9, abs=2)
    assert "between 52 and 79 bpm" in " ".join(reading.warnings)
    assert largest_error_bpm(reading, pulse, rates_bpm) < 3


def test_a_steady_rate_has_a_value_a_second_and_no_warning() -> None:
    reading = read_pulse(beating(np.full(900, 71.0)))
    assert reading.warnings == ()
    assert reading.over_time is not None
    assert reading.over_time.times_s[:2].tolist() == [7.0, 8.0]
    assert reading.over_time.rates_bpm.shape == (30,)
    assert np.isfinite(reading.over_time.rates_bpm).sum() >= 22
    np.testing.assert_allclose(
        reading.over_time.rates_bpm[np.isfinite(reading.over_time.rates_bpm)], 71, atol=0.5
    )


def test_seconds_without_pulse_or_with_noise_are_not_answered() -> None:
    pulse = beating(np.full(1500, 71.0))
    pulse.samples[600:900] = np.nan
    pulse.samples[900:1200] = np.random.default_rng(0).standard_normal(300)
    reading = read_pulse(pulse)
    assert reading.over_time is not None
    answered = np.isfinite(reading.over_time.rates_bpm)
    assert answered[5:16].all()
    assert not answered[17:37].any()
    assert reading.heart_rate_bpm == pytest.approx(71, abs=1)


@pytest.mark.parametrize("gap", [range(0), range(200, 260)])
def test_an_even_mean_counts_seconds_and_not_their_clarity(gap: range) -> None:
    rates_bpm = np.repeat([60.0, 90.0], [600, 600])
    pulse = beating(rates_bpm, noise=0.3)
    pulse.samples[600:] *= 0.5
    pulse.samples[gap] = np.nan
    assert read_pulse(pulse).heart_rate_bpm == pytest.approx(75, abs=1.5)
