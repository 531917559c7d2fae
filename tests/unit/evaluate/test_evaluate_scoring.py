import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physkit.core.errors import InputError
from physkit.evaluate.predictions import PredictedRecording
from physkit.evaluate.protocols import PROTOCOLS
from physkit.evaluate.scoring import score_recordings

kinds = st.sampled_from(["noise", "constant", "zero", "sine", "step", "huge", "tiny"])


def signal(kind: str, n: int, fps: float, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(n) / fps
    return {
        "noise": rng.standard_normal(n),
        "constant": np.full(n, 0.3),
        "zero": np.zeros(n),
        "sine": np.sin(2 * np.pi * 1.2 * t),
        "step": (t > t.mean()).astype(np.float64),
        "huge": 1e50 * rng.uniform(-1, 1, n),
        "tiny": 1e-60 * rng.standard_normal(n),
    }[kind]


@settings(max_examples=150, deadline=None)
@given(
    protocol=st.sampled_from(sorted(PROTOCOLS)),
    hr=st.sampled_from(["fft", "peak"]),
    window_s=st.sampled_from([None, 1.0, 5.0, 30.0, float("inf")]),
    representation=st.sampled_from(["waveform", "diff"]),
    fps=st.sampled_from([1.0, 6.7, 12.5, 29.97, 120.0, 1000.0]),
    n=st.integers(10, 400),
    pair=st.tuples(kinds, kinds),
    seed=st.integers(0, 99),
)
def test_any_readable_recording_is_scored_or_refused(
    protocol, hr, window_s, representation, fps, n, pair, seed
) -> None:
    rng = np.random.default_rng(seed)
    prediction, label = (signal(kind, n, fps, rng) for kind in pair)
    recording = PredictedRecording("r", "s", fps, prediction, label, representation)
    try:
        score = score_recordings([recording], protocol=protocol, window_s=window_s, hr=hr)
    except InputError:
        assert fps < 10 or window_s == 1.0
        return
    json.dumps(score.to_dict(), allow_nan=False)
    assert all("nan" not in line for line in score.lines())
    assert all(0 <= w.quality <= 1 for w in score.windows)
    assert score.n_windows_with_rate <= score.n_windows


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_a_perfect_prediction_has_no_error(recordings, protocol: str) -> None:
    perfect = [
        PredictedRecording(r.recording, r.subject, r.fps, r.label, r.label, "waveform")
        for r in recordings(6)
    ]
    score = score_recordings(perfect, protocol=protocol, window_s=10.0, hr="fft")
    assert score.metrics.mae_bpm.value == 0
    assert score.metrics.pearson.value == pytest.approx(1)
    assert score.metrics.macc.value == pytest.approx(1)
    assert score.settings["low_hz"] == PROTOCOLS[protocol].low_hz


def test_a_known_bias_is_reported_as_true_less_predicted(recordings) -> None:
    score = score_recordings(
        recordings(6, bias_bpm=4.0, noise=0.1), protocol="physkit-1", window_s=None, hr="fft"
    )
    assert score.metrics.mae_bpm.value == pytest.approx(4, abs=0.1)
    assert score.bland_altman.bias_bpm == pytest.approx(-4, abs=0.1)
    assert score.n_subjects == 3
    assert {b.condition for b in score.conditions} == {"skin_tone", "light"}
