import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physkit.core.errors import InputError
from physkit.core.types import Pulse
from physkit.signal.reading import read_pulse


def clip(bpm: float, *, fps: float = 30.0, duration_s: float = 10.0, phase: float = 0.4) -> Pulse:
    t = np.arange(round(duration_s * fps)) / fps
    return Pulse(np.sin(2 * np.pi * bpm / 60 * t + phase), t)


@pytest.mark.parametrize("phase", np.linspace(0, 6, 7))
def test_ten_clean_seconds_are_read_within_half_a_beat(phase: float) -> None:
    reading = read_pulse(clip(52.5, phase=phase))
    assert reading.heart_rate_bpm == pytest.approx(52.5, abs=0.5)
    assert reading.signal_quality > 0.9
    assert reading.snr_db is not None
    assert reading.hrv is None
    assert reading.respiration_rate_bpm is None


@pytest.mark.parametrize("duration_s", [9.0, 10.0])
def test_nine_seconds_are_enough(synthetic_ppg, duration_s: float) -> None:
    x = synthetic_ppg(64, fps=30.0, duration_s=duration_s, noise=0.2).x
    assert read_pulse(Pulse(x, np.arange(x.size) / 30)).heart_rate_bpm == pytest.approx(64, abs=2)


@pytest.mark.parametrize("duration_s", [0.1, 3.0, 4.5, 6.4])
def test_too_little_pulse_gives_a_warning_and_no_rate(duration_s: float) -> None:
    reading = read_pulse(clip(60, duration_s=duration_s))
    assert reading.heart_rate_bpm is None
    assert "too little pulse was seen" in reading.warnings[0]


def test_seconds_without_a_face_do_not_count() -> None:
    pulse = clip(60, duration_s=20)
    pulse.samples[135:] = np.nan
    reading = read_pulse(pulse)
    assert reading.heart_rate_bpm is None
    assert "4.5 s" in reading.warnings[0]


@pytest.mark.parametrize("n", [0, 1, 2, 300])
def test_a_pulse_never_seen_has_no_rate(n: int) -> None:
    reading = read_pulse(Pulse(np.full(n, np.nan), np.arange(n) / 30))
    assert reading.heart_rate_bpm is None
    assert reading.signal_quality == 0
    assert len(reading.warnings) == 1


def test_pieces_around_a_gap_are_read_together() -> None:
    pulse = clip(75, duration_s=16)
    pulse.samples[200:260] = np.nan
    assert read_pulse(pulse).heart_rate_bpm == pytest.approx(75, abs=1)


def test_a_short_piece_is_left_out_with_a_warning() -> None:
    pulse = clip(75, duration_s=14)
    pulse.samples[300:330] = np.nan
    reading = read_pulse(pulse)
    assert reading.heart_rate_bpm == pytest.approx(75, abs=0.5)
    assert "left out" in reading.warnings[0]


def test_dropped_frames_and_half_the_rate_change_nothing(synthetic_ppg) -> None:
    signal = synthetic_ppg(70, fps=30.0, duration_s=20, noise=0.1)
    t = np.arange(signal.x.size) / 30
    whole = read_pulse(Pulse(signal.x, t)).heart_rate_bpm
    kept = np.random.default_rng(0).random(t.size) > 0.4
    assert read_pulse(Pulse(signal.x[kept], t[kept])).heart_rate_bpm == pytest.approx(whole, abs=1)
    assert read_pulse(Pulse(signal.x[::2], t[::2])).heart_rate_bpm == pytest.approx(whole, abs=1)


@pytest.mark.parametrize("colour", ["white", "pink"])
def test_noise_gets_no_rate(noise, colour: str) -> None:
    readings = [
        read_pulse(Pulse(noise(colour, 600, seed), np.arange(600) / 30)) for seed in range(20)
    ]
    assert sum(reading.heart_rate_bpm is not None for reading in readings) <= 1
    assert any("signal quality" in warning for r in readings for warning in r.warnings)


def test_a_flat_line_gets_no_rate() -> None:
    assert read_pulse(Pulse(np.zeros(600), np.arange(600) / 30)).heart_rate_bpm is None


def test_too_slow_a_video_gets_no_rate() -> None:
    reading = read_pulse(clip(60, fps=4.0, duration_s=30))
    assert reading.heart_rate_bpm is None
    assert "4.0 frames/s" in reading.warnings[0]


def test_a_minute_of_contact_ppg_is_read_in_full(contact_ppg, ecg) -> None:
    times_s = np.arange(contact_ppg.x.size) / contact_ppg.fps
    reading = read_pulse(Pulse(contact_ppg.x, times_s))
    true_s = np.diff(ecg.beats_s)
    assert reading.heart_rate_bpm == pytest.approx(60 / true_s.mean(), abs=0.1)
    assert reading.hrv is not None
    assert reading.hrv.sdnn_ms == pytest.approx(1e3 * true_s.std(ddof=1), abs=5)
    assert reading.warnings == ()


def test_repeated_timestamps_are_refused() -> None:
    with pytest.raises(InputError, match="no increase at index 2"):
        read_pulse(Pulse(np.zeros(3), np.array([0.0, 1.0, 1.0])))


@settings(max_examples=200, deadline=None)
@given(
    n=st.one_of(st.integers(0, 40), st.integers(200, 2000)),
    step_s=st.sampled_from([0.004, 1 / 30, 0.05, 0.11, 0.7]),
    jitter=st.floats(0, 0.95),
    hidden=st.floats(0, 1),
    kind=st.sampled_from(["noise", "pulse", "constant", "huge", "ramp"]),
    single=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_pulse_is_read_or_declined_with_a_reason(
    n, step_s, jitter, hidden, kind, single, seed
) -> None:
    rng = np.random.default_rng(seed)
    times_s = np.cumsum(step_s * (1 + jitter * rng.uniform(-1, 1, n)))
    samples = {
        "noise": rng.standard_normal(n),
        "pulse": np.sin(2 * np.pi * 1.1 * times_s),
        "constant": np.full(n, 0.1),
        "huge": 1e30 * rng.standard_normal(n),
        "ramp": times_s.copy(),
    }[kind]
    samples[rng.random(n) < hidden] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reading = read_pulse(Pulse(samples.astype(np.float32) if single else samples, times_s))
    assert 0 <= reading.signal_quality <= 1
    if reading.heart_rate_bpm is None:
        assert reading.warnings
        assert reading.hrv is None
        assert reading.respiration_rate_bpm is None
    else:
        assert 36 <= reading.heart_rate_bpm <= 198
        assert kind in ("noise", "pulse", "huge")
