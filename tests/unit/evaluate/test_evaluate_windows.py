import numpy as np
import pytest

from physkit.core.errors import InputError, UnknownNameError
from physkit.evaluate.predictions import PredictedRecording
from physkit.evaluate.protocols import PROTOCOLS, find_protocol
from physkit.evaluate.scoring import score_recordings
from physkit.evaluate.windows import cut_windows, macc
from physkit.signal.resample import mean_fps

TOOLBOX = PROTOCOLS["toolbox-2025-03"]
OURS = PROTOCOLS["physkit-1"]


@pytest.mark.parametrize("n", [10, 11, 63, 128, 331])
def test_macc_equals_the_loop_over_lags(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal((2, n)).cumsum(axis=1)
    loop = max(abs(np.corrcoef(a, np.roll(b, lag))[0, 1]) for lag in range(n - 1))
    assert macc(a, b) == pytest.approx(loop, abs=1e-9)


def test_macc_leaves_out_the_last_lag() -> None:
    a = np.random.default_rng(0).standard_normal(32)
    assert macc(a, np.roll(a, 1)) < 0.9
    assert macc(a, np.roll(a, -1)) == pytest.approx(1)


def test_macc_of_a_constant_is_no_value() -> None:
    assert np.isnan(macc(np.ones(20), np.arange(20.0)))


def lengths(recording: PredictedRecording, window_s, protocol=TOOLBOX) -> list[float]:
    windows = cut_windows(recording, protocol, window_s=window_s, hr="fft")
    return [round(w.duration_s * recording.fps) for w in windows]


@pytest.mark.parametrize(
    ("n", "window_s", "expected"),
    [
        (700, None, [700]),
        (700, 10.0, [300, 300, 100]),
        (600, 10.0, [300, 300]),
        (608, 10.0, [300, 300]),
        (609, 10.0, [300, 300]),
        (610, 10.0, [300, 300, 10]),
        (200, 10.0, [200]),
    ],
)
def test_toolbox_windows_keep_a_shorter_last_one(recordings, n, window_s, expected) -> None:
    (recording,) = recordings(1, duration_s=n / 30)
    assert lengths(recording, window_s) == expected


def test_our_windows_slide_by_a_second(recordings) -> None:
    (recording,) = recordings(1, duration_s=40.5)
    windows = cut_windows(recording, OURS, window_s=30.0, hr="fft")
    assert [w.start_s for w in windows] == list(range(11))
    assert {w.duration_s for w in windows} == {30.0}


@pytest.mark.parametrize("hr", ["fft", "peak"])
@pytest.mark.parametrize("representation", ["waveform", "diff"])
def test_our_rate_is_not_bound_to_bins(recordings, hr: str, representation: str) -> None:
    for recording in recordings(3, noise=0.1, bias_bpm=1.3, representation=representation):
        for window in cut_windows(recording, OURS, window_s=30.0, hr=hr):
            assert window.error_bpm == pytest.approx(1.3, abs=0.3)
            assert window.quality > 0.8
            assert window.macc > 0.2


def test_true_timestamps_come_before_the_clock() -> None:
    rng = np.random.default_rng(0)
    times_s = np.cumsum(rng.uniform(0.02, 0.05, 1200))
    x = np.sin(2 * np.pi * 1.2 * times_s)
    fps = 1 / float(np.median(np.diff(times_s)))
    recording = PredictedRecording("r", "s", fps, x, x, "waveform", times_s)
    for window in cut_windows(recording, OURS, window_s=30.0, hr="fft"):
        assert window.heart_rate_bpm == pytest.approx(72, abs=0.1)


def with_losses(losses: list[tuple[float, float]], *, duration_s: float) -> PredictedRecording:
    """A face lost from each of these seconds for so many; truth and prediction differ by 2 bpm."""
    times_s = np.arange(0, duration_s, 1 / 30)
    seen = np.ones(times_s.size, bool)
    for start_s, lost_s in losses:
        seen &= (times_s < start_s) | (times_s >= start_s + lost_s)
    times_s = times_s[seen]
    prediction, label = (np.sin(2 * np.pi * bpm / 60 * times_s) for bpm in (74, 72))
    return PredictedRecording("r", "s", mean_fps(times_s), prediction, label, "waveform", times_s)


@pytest.mark.parametrize("hr", ["fft", "peak"])
@pytest.mark.parametrize("window_s", [30.0, np.inf])
@pytest.mark.parametrize("n", [1, 3, 10])
def test_windows_with_gaps_are_read_from_their_pieces(n: int, window_s: float, hr: str) -> None:
    rng = np.random.default_rng(n)
    starts_s = np.linspace(4, 110, n + 2)[1:-1]
    losses = [(float(start_s), float(rng.uniform(0.7, 5))) for start_s in starts_s]
    recording = with_losses(losses, duration_s=120)
    length_s = None if window_s == np.inf else window_s
    windows = cut_windows(recording, OURS, window_s=length_s, hr=hr)
    tolerance_bpm = 0.3 if hr == "fft" else 0.5  # a piece may end within a beat
    assert len(windows) == (1 if length_s is None else 91)
    for window in windows:
        assert window.is_seen
        assert window.label_heart_rate_bpm == pytest.approx(72, abs=tolerance_bpm)
        assert window.heart_rate_bpm == pytest.approx(74, abs=tolerance_bpm)
        assert window.quality > 0.8
        lost_s = sum(
            max(0, min(a + s, window.start_s + window.duration_s) - max(a, window.start_s))
            for a, s in losses
        )
        assert window.seen_s == pytest.approx(window.duration_s - lost_s, abs=2.5)


def test_a_window_that_shows_too_little_is_not_seen() -> None:
    recording = with_losses([(10.0, 24.0)], duration_s=44)  # 7 s, 1 s, and so on at either side
    windows = cut_windows(recording, OURS, window_s=30.0, hr="fft")
    assert [w.is_seen for w in windows] == [w.seen_s > 8 - 1e-3 for w in windows]
    assert [np.isfinite(w.heart_rate_bpm) for w in windows] == [w.is_seen for w in windows]
    assert windows[0].is_seen
    assert not windows[4].is_seen
    (whole,) = cut_windows(with_losses([], duration_s=5), OURS, window_s=None, hr="fft")
    assert whole.is_seen  # all of a short window


def test_scored_counts_add_up() -> None:
    score = score_recordings(
        [with_losses([(10.0, 24.0)], duration_s=44)],
        protocol="physkit-1",
        window_s=30.0,
        hr="fft",
    )
    assert score.n_windows == score.n_windows_with_rate + score.n_windows_unseen
    assert score.n_windows_unseen > 0
    told = score.lines()[0]
    assert f"{score.n_windows} windows, {score.n_windows_with_rate} with both heart rates" in told
    assert f"{score.n_windows_unseen} with too little face or label" in told
    assert score.gating.n_windows == score.n_windows_with_rate  # all that was seen is clean


def test_a_slow_clock_and_a_short_window_are_refused(recordings) -> None:
    (slow,) = recordings(1, fps=6.0)
    with pytest.raises(InputError, match=r"recording 'r0': 6.0 samples/s cannot hold the 3.3 Hz"):
        cut_windows(slow, TOOLBOX, window_s=None, hr="fft")
    (recording,) = recordings(1)
    with pytest.raises(InputError, match="take a longer window"):
        cut_windows(recording, TOOLBOX, window_s=0.2, hr="fft")


def test_a_misspelt_protocol_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'toolbox-2025-03'"):
        find_protocol("toolbox-2025-3")
