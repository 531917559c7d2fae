import numpy as np
import pytest

from physkit.signal.beats import find_beats


def missed_and_extra(found: np.ndarray, true: np.ndarray, tolerance_s: float) -> tuple[int, int]:
    gaps = np.abs(true[:, None] - found[None, :])
    return int((gaps.min(1) > tolerance_s).sum()), int((gaps.min(0) > tolerance_s).sum())


@pytest.mark.parametrize("fps", [20, 25, 30, 35, 250])
def test_every_checked_foot_of_contact_ppg_is_found_within_30_ms(contact_ppg, fps: int) -> None:
    n = contact_ppg.x.shape[0]
    at_s = np.arange(0, (n - 1) / contact_ppg.fps, 1 / fps)
    x = np.interp(at_s, np.arange(n) / contact_ppg.fps, contact_ppg.x)
    found = find_beats(x, fps=float(fps))
    assert found.shape == contact_ppg.beats_s.shape == (68,)
    assert missed_and_extra(found, contact_ppg.beats_s, 0.03) == (0, 0)


def test_heart_rate_and_variability_of_contact_ppg_equal_the_ecg(contact_ppg, ecg) -> None:
    found_s, true_s = np.diff(find_beats(contact_ppg.x, fps=contact_ppg.fps)), np.diff(ecg.beats_s)
    assert 60 / found_s.mean() == pytest.approx(60 / true_s.mean(), abs=0.1)
    assert found_s.std(ddof=1) == pytest.approx(true_s.std(ddof=1), abs=5e-3)
    rmssd_s, true_rmssd_s = (np.sqrt(np.mean(np.diff(i) ** 2)) for i in (found_s, true_s))
    assert rmssd_s == pytest.approx(true_rmssd_s, abs=5e-3)


def inner(times_s: np.ndarray, duration_s: float) -> np.ndarray:
    return times_s[(times_s > 0.5) & (times_s < duration_s - 0.5)]


@pytest.mark.parametrize("bpm", [40, 55, 75, 100, 140, 180])
@pytest.mark.parametrize("fps", [20.0, 27.3, 35.0, 250.0])
@pytest.mark.parametrize("notch", [0.0, 0.3])
def test_synthetic_beats_are_found_in_mild_noise(synthetic_ppg, bpm, fps, notch) -> None:
    signal = synthetic_ppg(bpm, fps=fps, duration_s=30, noise=0.1, notch=notch, seed=bpm)
    found = find_beats(signal.x, fps=fps)
    tolerance_s = 0.15 * 60 / bpm
    assert missed_and_extra(found, inner(signal.beats_s, 30), tolerance_s)[0] == 0
    assert missed_and_extra(inner(found, 30), signal.beats_s, tolerance_s)[1] == 0


@pytest.mark.parametrize("bpm", [50, 75, 120])
def test_few_beats_are_lost_in_strong_noise(synthetic_ppg, bpm: int) -> None:
    signal = synthetic_ppg(bpm, fps=30.0, duration_s=60, noise=0.5, seed=bpm)
    found = find_beats(signal.x, fps=30.0)
    missed, _ = missed_and_extra(found, inner(signal.beats_s, 60), 0.2 * 60 / bpm)
    assert missed <= 0.1 * signal.beats_s.size
    assert abs(inner(found, 60).size - inner(signal.beats_s, 60).size) <= 1


def test_a_heart_that_speeds_up_is_followed() -> None:
    phase = np.cumsum(np.linspace(60, 130, 1800) / 60 / 30)
    found = find_beats(-np.cos(2 * np.pi * phase), fps=30.0)
    true = np.interp(np.arange(1, int(phase[-1])), phase, np.arange(1800) / 30)
    assert missed_and_extra(found, true[1:-1], 0.05)[0] == 0
    assert found.size <= true.size + 1


@pytest.mark.parametrize("x", [np.zeros(300), np.full(300, 4.2), np.zeros(0), np.arange(20.0)])
def test_a_flat_or_short_signal_has_no_beats(x: np.ndarray) -> None:
    assert find_beats(x, fps=30.0).shape == (0,)
