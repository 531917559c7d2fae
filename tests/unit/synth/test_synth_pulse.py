"""The synthetic pulse beats, breathes and varies as it says it does."""

import numpy as np
import pytest
from scipy.signal import argrelmin, find_peaks

from physkit.core.errors import InputError
from physkit.synth.pulse import PulseConfig, draw_heartbeats, pulse_at

TIMES_S = np.arange(0, 60, 0.004)


def drawn(config: PulseConfig, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A minute of pulse at 250 Hz and the feet in it."""
    beats = draw_heartbeats(config, duration_s=60.0, rng=np.random.default_rng(seed))
    feet_s = beats.foot_times_s
    return pulse_at(beats, TIMES_S, config=config), feet_s[(feet_s > 0) & (feet_s < 60)]


@pytest.mark.parametrize("bpm", [45.0, 72.0, 120.0, 180.0])
def test_the_mean_rate_is_the_one_asked_for(bpm: float) -> None:
    _, feet_s = drawn(PulseConfig(heart_rate_bpm=bpm))
    assert 60 / np.diff(feet_s).mean() == pytest.approx(bpm, rel=0.02)


@pytest.mark.parametrize("bpm", [50.0, 72.0, 110.0])
def test_marked_feet_are_the_minima_of_the_waveform(bpm: float) -> None:
    pulse, feet_s = drawn(PulseConfig(heart_rate_bpm=bpm))
    minima_s = TIMES_S[argrelmin(pulse, order=5)[0]]
    inner = feet_s[(feet_s > 0.1) & (feet_s < 59.9)]
    nearest = np.abs(inner[:, None] - minima_s).min(axis=1)
    assert nearest.max() < 0.02


def test_a_beat_has_a_steep_systolic_and_a_dicrotic_wave() -> None:
    pulse, feet_s = drawn(PulseConfig(heart_rate_bpm=60.0, variability=0.0, sinus_arrhythmia=0.0))
    foot, following = np.searchsorted(TIMES_S, feet_s[5:7])
    beat = pulse[foot:following]
    peaks = find_peaks(beat)[0] * 0.004
    assert len(peaks) == 2
    assert 0.08 < peaks[0] < 0.2
    assert 0.3 < peaks[1] < 0.5
    slope = np.diff(beat)
    assert slope.max() > 2 * -slope.min()


def test_intervals_vary_with_the_breath() -> None:
    config = PulseConfig(sinus_arrhythmia=0.05, variability=0.0, respiration_rate_bpm=12.0)
    _, feet_s = drawn(config)
    intervals_s = np.diff(feet_s)
    even_s = np.arange(1, 58, 0.25)
    spectrum = np.abs(np.fft.rfft(np.interp(even_s, feet_s[:-1], intervals_s - intervals_s.mean())))
    peak_hz = np.fft.rfftfreq(len(even_s), 0.25)[spectrum.argmax()]
    assert 60 * peak_hz == pytest.approx(12, abs=1.1)
    assert intervals_s.std() / intervals_s.mean() == pytest.approx(0.05 / np.sqrt(2), rel=0.15)


def test_variability_is_the_spread_of_the_intervals() -> None:
    spreads = []
    for seed in range(8):
        _, feet_s = drawn(PulseConfig(sinus_arrhythmia=0.0, variability=0.03), seed)
        spreads.append(np.diff(feet_s).std() / np.diff(feet_s).mean())
    assert np.mean(spreads) == pytest.approx(0.03, rel=0.25)


@pytest.mark.parametrize("bpm", [0.0, -10.0, 600.0, float("nan")])
def test_a_rate_no_heart_has_is_refused(bpm: float) -> None:
    with pytest.raises(InputError, match="heart rate"):
        PulseConfig(heart_rate_bpm=bpm)
