"""Exact beat times, and what may be told from them."""

from pathlib import Path

import numpy as np
import pytest

from physkit.core.types import Pulse
from physkit.signal.beat_times import TimedBeats, replaced, time_beats
from physkit.signal.beats import find_beats
from physkit.signal.hrv import believed, hrv
from physkit.signal.reading import PulseReading, read_pulse
from physkit.signal.respiration import breathing


def rmssd_ms(beats_s: np.ndarray) -> float:
    return 1e3 * float(np.sqrt(np.mean(np.diff(beats_s, n=2) ** 2)))


@pytest.mark.parametrize("fps", [20.0, 30.0, 250.0])
@pytest.mark.parametrize("bpm", [50, 75, 120])
def test_a_clean_beat_is_timed_within_a_hundredth_of_its_interval(
    synthetic_ppg, bpm: int, fps: float
) -> None:
    signal = synthetic_ppg(bpm, fps=fps, duration_s=40)
    timed = time_beats(signal.x, fps=fps)
    assert timed is not None
    nearest = np.abs(signal.beats_s - timed.times_s[:, None]).min(axis=1)
    assert timed.times_s.size >= signal.beats_s.size - 4
    assert nearest.std() < 0.01 * 60 / bpm


@pytest.mark.parametrize("seed", range(3))
def test_noise_moves_a_fitted_beat_less_than_a_foot(synthetic_ppg, seed: int) -> None:
    signal = synthetic_ppg(70, fps=30.0, duration_s=60, noise=0.3, seed=seed)
    timed = time_beats(signal.x, fps=30.0)
    assert timed is not None
    true_ms = rmssd_ms(signal.beats_s)
    foot_ms, fitted_ms = rmssd_ms(find_beats(signal.x, fps=30.0)), rmssd_ms(timed.times_s)
    assert abs(fitted_ms - true_ms) < 0.5 * abs(foot_ms - true_ms)
    assert 0.3 < np.sqrt(np.mean(timed.error_s**2)) / 6e-3 < 3


def test_a_pulse_upside_down_has_the_same_intervals(contact_ppg) -> None:
    upright = time_beats(contact_ppg.x, fps=contact_ppg.fps)
    inverted = time_beats(-contact_ppg.x, fps=contact_ppg.fps)
    assert upright is not None
    assert inverted is not None
    np.testing.assert_allclose(inverted.times_s, upright.times_s)


@pytest.mark.parametrize("x", [np.zeros(900), np.zeros(0), np.arange(900.0), np.ones(5)])
def test_no_beats_are_timed_in_a_flat_or_short_signal(x: np.ndarray) -> None:
    assert time_beats(x, fps=30.0) is None


def test_a_misplaced_beat_is_put_back_and_its_differences_do_not_count() -> None:
    rng = np.random.default_rng(0)
    times_s = np.cumsum(0.8 + 0.03 * np.sin(np.arange(100) / 3) + 0.003 * rng.standard_normal(100))
    error_s = np.full(100, 0.002)
    spoilt_s, spoilt_error_s = times_s.copy(), error_s.copy()
    spoilt_s[[20, 50, 70]] += 0.15
    spoilt_error_s[[20, 50]] = 0.02  # the third is only sudden
    clean, spoilt = (
        hrv(TimedBeats(t, e)) for t, e in ((times_s, error_s), (spoilt_s, spoilt_error_s))
    )
    assert clean is not None
    assert spoilt is not None
    assert spoilt.sdnn_ms == pytest.approx(clean.sdnn_ms, rel=0.03)
    assert spoilt.rmssd_ms == pytest.approx(clean.rmssd_ms, rel=0.05)
    assert 0.03 <= spoilt.corrected_fraction <= 0.1
    wrong = np.zeros(100, bool)
    wrong[20] = True
    assert replaced(spoilt_s, wrong)[20] == pytest.approx(times_s[20], abs=0.02)


@pytest.mark.parametrize(
    ("noise_s", "has_sdnn", "has_rmssd"), [(0.0, True, True), (0.05, False, False)]
)
def test_intervals_that_are_timing_noise_are_not_believed(noise_s, has_sdnn, has_rmssd) -> None:
    rng = np.random.default_rng(0)
    swing = np.cumsum(0.8 + 0.03 * np.sin(np.arange(200) / 4))
    found = believed(hrv(swing + noise_s * rng.standard_normal(200)))
    assert (found is not None) == has_sdnn
    assert (found is not None and found.rmssd_ms is not None) == has_rmssd


@pytest.fixture(scope="module")
def fingers(assets: Path) -> list[tuple[np.ndarray, PulseReading]]:
    """Intervals in ms by chest strap, and the reading of the green channel, of 14 fingers."""
    found = []
    for folder in sorted((assets / "signals" / "welltory" / "data").iterdir()):
        rows = np.genfromtxt(folder / "PPG.csv", delimiter=",", skip_header=1)
        times_s, green = rows[:, 0] / 1000, rows[:, 2]
        if np.mean(np.diff(green) == 0) > 0.5:
            continue  # a phone that saw no green through the finger
        kept = np.diff(times_s, prepend=-1.0) > 0
        reading = read_pulse(Pulse(-green[kept], times_s[kept]))
        intervals_ms = np.array((folder / "RR.txt").read_text().split(), float)
        found.append((intervals_ms, reading))
    return found


def test_finger_videos_have_the_variability_and_rate_of_the_chest_strap(fingers) -> None:
    assert len(fingers) == 14
    rates, sdnn, rmssd = [], [], []
    for intervals_ms, reading in fingers:
        true = hrv(np.cumsum(np.append(0, intervals_ms)) / 1000)
        if reading.heart_rate_bpm is not None:
            rates.append(reading.heart_rate_bpm - 60e3 / true.mean_nn_ms)
        if reading.hrv is not None:
            sdnn.append(reading.hrv.sdnn_ms - true.sdnn_ms)
            rmssd.append(reading.hrv.rmssd_ms - true.rmssd_ms)
    assert len(sdnn) >= 11
    assert np.mean(np.abs(sdnn)) <= 4
    assert np.mean(np.abs(rmssd)) <= 5
    assert np.mean(np.abs(rates)) <= 0.6


def test_every_vital_sign_comes_with_its_error_and_confidence(fingers) -> None:
    told = [reading.certainty for _, reading in fingers if reading.hrv is not None]
    for certainty in told:
        assert {"heart_rate_bpm", "sdnn_ms", "rmssd_ms"} <= certainty.keys()
        assert all(0 < one.confidence < 1 for one in certainty.values())
        assert all(one.error > 0 for one in certainty.values())


def test_more_noise_is_less_confidence(synthetic_ppg) -> None:
    def certainty(noise: float) -> dict:
        x = synthetic_ppg(70, fps=30.0, duration_s=60, noise=noise).x
        return dict(read_pulse(Pulse(x, np.arange(x.size) / 30)).certainty)

    clean, noisy = certainty(0.0), certainty(0.15)
    assert noisy["rmssd_ms"].error > clean["rmssd_ms"].error
    assert noisy["rmssd_ms"].confidence < clean["rmssd_ms"].confidence


def test_slow_waves_of_the_blood_pressure_are_no_breathing() -> None:
    times_s = np.cumsum(np.full(80, 0.8))
    times_s = times_s + 0.03 * np.sin(2 * np.pi * 0.11 * times_s)
    t = np.arange(0, 62, 1 / 30)
    phase = np.interp(t, times_s, np.arange(80))
    pulse = 0.1 * np.sin(2 * np.pi * 0.11 * t) - np.cos(2 * np.pi * phase)
    assert breathing(pulse, TimedBeats(times_s, np.full(80, 1e-3)), fps=30.0) is None
