"""The lag between two pulses: found at any rate, morphology and noise that leave a pulse."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physkit.core.types import Pulse
from physkit.signal.lag import LagConfig, LagEstimate, estimate_lag, possible_lags

CAMERA_HZ, SENSOR_HZ = 30.0, 60.0


def beats(bpm: float, *, duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """Times of beats whose intervals breathe and wander."""
    times_s = [-3.0]
    while times_s[-1] < duration_s + 3:
        swing = 0.03 * np.sin(2 * np.pi * 0.25 * times_s[-1]) + 0.015 * rng.standard_normal()
        times_s.append(times_s[-1] + 60 / bpm * (1 + swing))
    return np.array(times_s)


def volume(at_s: np.ndarray, beats_s: np.ndarray, *, notch: float) -> np.ndarray:
    """Blood volume: harmonics of the beats' phase, the second as strong as `notch`."""
    phase = 2 * np.pi * np.interp(at_s, beats_s, np.arange(len(beats_s)))
    return np.cos(phase) + notch * np.cos(2 * phase) + 0.3 * notch * np.cos(3 * phase)


def pair(
    *,
    bpm: float = 70.0,
    lag_s: float = 0.0,
    drift: float = 0.0,
    noise: float = 0.3,
    duration_s: float = 40.0,
    notch: float = 0.4,
    seed: int = 0,
) -> tuple[Pulse, Pulse]:
    """A sensor's label and a noisy camera pulse of the same beats."""
    rng = np.random.default_rng(seed)
    beats_s = beats(bpm, duration_s=duration_s, rng=rng)
    camera_s = np.arange(0, duration_s, 1 / CAMERA_HZ)
    x = volume(camera_s, beats_s, notch=0.3)
    x = x + noise * x.std() * rng.standard_normal(len(x))
    sensor_s = np.arange(-0.21, duration_s + 0.3, 1 / SENSOR_HZ)
    true_s = sensor_s - lag_s - drift * (sensor_s - duration_s / 2)
    return Pulse(volume(true_s, beats_s, notch=notch), sensor_s), Pulse(x, camera_s)


def found(label: Pulse, pulse: Pulse) -> float:
    estimate = estimate_lag(label, pulse)
    assert estimate.lag_s is not None, estimate.reason
    return estimate.lag_s


@settings(max_examples=25, deadline=None)
@given(lag_s=st.floats(-0.6, 0.6), seed=st.integers(0, 1000))
def test_any_lag_is_found_within_15_ms(lag_s: float, seed: int) -> None:
    label, pulse = pair(lag_s=lag_s, seed=seed)
    assert found(label, pulse) == pytest.approx(lag_s, abs=0.015)


@pytest.mark.parametrize("bpm", [48.0, 90.0, 120.0, 150.0])
@pytest.mark.parametrize("lag_s", [-0.2, 0.0, 0.133, 0.4])
def test_lags_of_about_a_beat_are_told_apart_by_uneven_beats(bpm: float, lag_s: float) -> None:
    label, pulse = pair(bpm=bpm, lag_s=lag_s, duration_s=60.0, seed=3)
    assert found(label, pulse) == pytest.approx(lag_s, abs=0.015)


@pytest.mark.parametrize("notch", [0.0, 0.2, 0.6])
def test_another_waveform_is_no_lag(notch: float) -> None:
    label, pulse = pair(notch=notch, noise=0.05)
    assert abs(found(label, pulse)) < 0.010


def test_a_late_label_has_a_positive_lag_and_the_clocks_starts_do_not_matter() -> None:
    label, pulse = pair(lag_s=0.2)
    late = Pulse(label.samples, label.timestamps_s + 7.0)
    shifted = Pulse(pulse.samples, pulse.timestamps_s + 7.0)
    assert found(late, shifted) == pytest.approx(0.2, abs=0.01)
    assert found(Pulse(label.samples, label.timestamps_s + 0.1), pulse) == pytest.approx(
        0.3, abs=0.01
    )


def test_a_perfectly_steady_pulse_gets_its_smallest_lag_first_and_others_a_beat_away() -> None:
    times_s = np.arange(0, 40, 1 / 30)
    pulse = Pulse(np.sin(2 * np.pi * 2.0 * times_s), times_s)
    label_s = np.arange(-3, 43, 1 / 30)
    label = Pulse(np.sin(2 * np.pi * 2.0 * (label_s - 0.1)), label_s)
    lags_s = [estimate.lag_s for estimate in possible_lags(label, pulse)]
    assert lags_s[0] == pytest.approx(0.1, abs=0.005)
    assert sorted(lags_s) == pytest.approx([-0.9, -0.4, 0.1, 0.6], abs=0.01)


def test_uneven_beats_leave_one_lag_possible() -> None:
    label, pulse = pair(lag_s=0.133, duration_s=90.0, noise=0.1)
    (estimate,) = possible_lags(label, pulse)
    assert estimate.doubt == 0


@pytest.mark.parametrize("drift_ms_per_min", [-300.0, 0.0, 200.0, 500.0])
def test_clocks_that_drift_apart_are_measured(drift_ms_per_min: float) -> None:
    drift = drift_ms_per_min / 60e3
    label, pulse = pair(lag_s=0.05, drift=drift, duration_s=90.0)
    estimate = estimate_lag(label, pulse)
    assert estimate.drift_s_per_s == pytest.approx(drift, abs=15 / 60e3)
    assert estimate.lag_s == pytest.approx(0.05, abs=0.015)
    assert estimate.drift_error_s_per_s < 30 / 60e3


def test_noise_and_another_heart_give_no_estimate_and_say_why() -> None:
    label, pulse = pair(bpm=70.0, duration_s=60.0)
    _, other = pair(bpm=95.0, duration_s=60.0, seed=5)
    rng = np.random.default_rng(0)
    for camera in (other, Pulse(rng.standard_normal(len(pulse.samples)), pulse.timestamps_s)):
        estimate = estimate_lag(label, camera)
        assert estimate.lag_s is None
        assert estimate.drift_s_per_s is None
        assert "hardly agree" in str(estimate.reason)


def silent(estimate: LagEstimate) -> bool:
    return estimate.lag_s is None and "too short" in str(estimate.reason)


def test_flat_short_empty_and_unseen_signals_give_no_estimate() -> None:
    label, pulse = pair()
    flat = replace(label, samples=np.ones_like(label.samples))
    unseen = replace(pulse, samples=np.full_like(pulse.samples, np.nan))
    empty = Pulse(np.zeros(0), np.zeros(0))
    short = Pulse(pulse.samples[:60], pulse.timestamps_s[:60])
    for a, b in [(flat, pulse), (label, unseen), (label, short), (label, empty), (empty, pulse)]:
        assert silent(estimate_lag(a, b))
    apart = Pulse(label.samples, label.timestamps_s + 100)
    assert silent(estimate_lag(apart, pulse))


def test_moments_without_a_face_are_left_out() -> None:
    label, pulse = pair(lag_s=0.133, duration_s=60.0)
    samples = pulse.samples.copy()
    samples[300:500] = np.nan
    samples[1000:1003] = np.nan
    whole, gappy = estimate_lag(label, pulse), estimate_lag(label, replace(pulse, samples=samples))
    assert gappy.lag_s == pytest.approx(0.133, abs=0.015)
    assert gappy.n_windows < whole.n_windows


def test_scale_and_offset_do_not_matter() -> None:
    label, pulse = pair(lag_s=0.133)
    scaled = Pulse(500 + 0.01 * label.samples, label.timestamps_s)
    assert found(scaled, pulse) == pytest.approx(found(label, pulse), abs=1e-6)


def test_a_lag_beyond_the_range_is_not_made_up() -> None:
    label, pulse = pair(lag_s=0.5, duration_s=60.0, noise=0.1)
    estimate = estimate_lag(label, pulse, config=LagConfig(max_lag_s=0.25))
    assert estimate.lag_s is None or abs(estimate.lag_s) <= 0.27


@pytest.mark.parametrize("duration_s", [8.0, 12.0, 20.0, 40.0])
@pytest.mark.parametrize("is_turned", [False, True])
def test_noise_has_no_lag(duration_s: float, is_turned: bool) -> None:
    for seed in range(12):
        label, pulse = pair(bpm=50 + 5 * seed, duration_s=duration_s, seed=seed)
        noise = np.random.default_rng(seed).standard_normal(len(pulse.samples))
        samples = -label.samples if is_turned else label.samples
        answers = possible_lags(
            Pulse(samples, label.timestamps_s), Pulse(noise, pulse.timestamps_s)
        )
        assert [answer.lag_s for answer in answers] == [None]


def test_every_lag_that_is_returned_agrees_and_has_a_spread() -> None:
    for seed in range(6):
        label, pulse = pair(lag_s=0.133, noise=1.0, duration_s=20.0, seed=seed)
        for answer in possible_lags(label, pulse):
            assert answer.correlation > 0.45
            assert answer.spread_s > 1e-4


def test_a_heart_of_another_rate_is_no_drift() -> None:
    label, _ = pair(bpm=72.0, duration_s=20.0, seed=1)
    _, pulse = pair(bpm=73.8, duration_s=20.0, seed=1)
    assert estimate_lag(label, pulse).lag_s is None
