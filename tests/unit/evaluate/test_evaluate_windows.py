import numpy as np
import pytest

from physkit.core.errors import InputError, UnknownNameError
from physkit.evaluate.predictions import PredictedRecording
from physkit.evaluate.protocols import PROTOCOLS, find_protocol
from physkit.evaluate.windows import cut_windows, macc

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


def test_windows_across_a_gap_have_no_value() -> None:
    times_s = np.concatenate([np.arange(0, 40, 1 / 30), np.arange(50, 90, 1 / 30)])
    x = np.sin(2 * np.pi * 1.2 * times_s)
    recording = PredictedRecording("r", "s", 30.0, x, x, "waveform", times_s)
    rates = [w.heart_rate_bpm for w in cut_windows(recording, OURS, window_s=30.0, hr="fft")]
    assert np.isfinite(rates[:11]).all()
    assert np.isnan(rates[12:49]).all()
    assert np.isfinite(rates[51:]).all()


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
