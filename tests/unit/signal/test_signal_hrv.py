import neurokit2 as nk
import numpy as np
import pytest

from physkit.signal.hrv import hrv, normal_intervals


def breathing_beats(duration_s: float, *, lf_s: float = 0.03, hf_s: float = 0.02) -> np.ndarray:
    """Beats of a heart modulated at 0.1 Hz and at 0.25 Hz by the given amplitudes."""
    beats = [0.0]
    while beats[-1] < duration_s:
        t = beats[-1]
        swing = lf_s * np.sin(2 * np.pi * 0.1 * t) + hf_s * np.sin(2 * np.pi * 0.25 * t)
        beats.append(t + 0.85 + swing)
    return np.array(beats)


@pytest.mark.parametrize("source", ["ecg", "random", "breathing"])
def test_time_domain_equals_neurokit2_within_one_percent(request, source: str) -> None:
    if source == "ecg":
        ecg = request.getfixturevalue("ecg")
        beats_s = ecg.beats_s
    elif source == "random":
        beats_s = np.cumsum(np.random.default_rng(0).normal(0.8, 0.05, 300))
    else:
        beats_s = breathing_beats(200)
    ours = hrv(beats_s)
    theirs = nk.hrv_time(np.round(beats_s * 10_000).astype(int), sampling_rate=10_000)
    assert ours is not None
    assert ours.artefact_fraction == 0
    assert ours.mean_nn_ms == pytest.approx(theirs["HRV_MeanNN"].item(), rel=0.01)
    assert ours.sdnn_ms == pytest.approx(theirs["HRV_SDNN"].item(), rel=0.01)
    assert ours.rmssd_ms == pytest.approx(theirs["HRV_RMSSD"].item(), rel=0.01)
    assert ours.pnn50_percent == pytest.approx(theirs["HRV_pNN50"].item(), rel=0.01, abs=1e-9)


@pytest.mark.parametrize(("lf_s", "hf_s"), [(0.03, 0.03), (0.04, 0.02), (0.01, 0.03)])
def test_lf_hf_is_the_ratio_of_the_two_powers(lf_s: float, hf_s: float) -> None:
    ours = hrv(breathing_beats(300, lf_s=lf_s, hf_s=hf_s))
    assert ours is not None
    assert ours.lf_hf is not None
    assert ours.lf_hf == pytest.approx((lf_s / hf_s) ** 2, rel=0.12)


def test_lf_hf_needs_two_minutes() -> None:
    short = hrv(breathing_beats(100))
    assert short is not None
    assert short.lf_hf is None


@pytest.mark.parametrize("duration_s", [0, 5, 29])
def test_a_short_recording_has_no_variability(duration_s: float) -> None:
    assert hrv(breathing_beats(duration_s)) is None


def test_a_missed_and_a_doubled_beat_do_not_count() -> None:
    beats_s = breathing_beats(120)
    clean = hrv(beats_s)
    spoilt_s = np.sort(np.append(np.delete(beats_s, 40), (beats_s[80] + beats_s[81]) / 2))
    spoilt = hrv(spoilt_s)
    assert clean is not None
    assert spoilt is not None
    assert (~normal_intervals(spoilt_s)).sum() == 3
    assert spoilt.sdnn_ms == pytest.approx(clean.sdnn_ms, rel=0.05)
    assert spoilt.rmssd_ms == pytest.approx(clean.rmssd_ms, rel=0.05)
    assert spoilt.artefact_fraction == pytest.approx(3 / (spoilt_s.size - 1))


def test_a_recording_full_of_artefacts_has_no_variability() -> None:
    beats_s = breathing_beats(120)
    assert hrv(np.delete(beats_s, np.arange(5, beats_s.size, 6))) is None
