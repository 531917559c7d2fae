import numpy as np
import pytest

from physkit.signal.resample import mean_fps, resample, seen_runs, usual_step_s


def test_irregular_frames_give_the_pulse_back_on_a_uniform_clock() -> None:
    rng = np.random.default_rng(0)
    times = np.arange(900) / 30
    times = times[rng.random(900) > 0.3]
    values, grid_s = resample(np.sin(2 * np.pi * 1.2 * times), times, fps=30.0)
    np.testing.assert_allclose(np.diff(grid_s), 1 / 30)
    error = values - np.sin(2 * np.pi * 1.2 * grid_s)
    assert np.sqrt(np.mean(error**2)) < 0.02


def test_uniform_samples_come_back_as_they_were() -> None:
    x = np.random.default_rng(1).standard_normal(301)
    values, grid_s = resample(x, np.arange(301) / 30 + 7, fps=30.0)
    assert values.shape == (301,)
    assert grid_s[0] == 7
    np.testing.assert_allclose(values, x, atol=1e-9)


@pytest.mark.parametrize("as_nan", [True, False])
def test_a_long_gap_stays_a_gap_whether_frames_are_nan_or_missing(as_nan: bool) -> None:
    times = np.arange(300) / 30
    x = np.sin(times)
    hidden = (times > 4) & (times < 6)
    if as_nan:
        x[hidden] = np.nan
    else:
        x, times = x[~hidden], times[~hidden]
    values, grid_s = resample(x, times, fps=30.0)
    inside = (grid_s > 4.01) & (grid_s < 5.99)
    assert np.isnan(values[inside]).all()
    assert np.isfinite(values[~inside & (grid_s < 3.99)]).all()
    assert len(seen_runs(x, times)) == 2


def test_a_short_gap_is_bridged() -> None:
    times = np.arange(300) / 30
    x = np.sin(2 * np.pi * 0.8 * times)
    x[100:108] = np.nan
    values, grid_s = resample(x, times, fps=30.0)
    np.testing.assert_allclose(values, np.sin(2 * np.pi * 0.8 * grid_s), atol=0.15)


def test_nothing_seen_has_no_runs() -> None:
    assert seen_runs(np.full(5, np.nan), np.arange(5.0)) == []
    assert np.isnan(resample(np.full(5, np.nan), np.arange(5.0), fps=1.0)[0]).all()
    assert resample(np.zeros(0), np.zeros(0), fps=30.0)[0].shape == (0,)


def test_the_rate_is_frames_over_seen_time() -> None:
    whole_ms = np.floor(1000 * np.arange(900) / 30) / 1000  # intervals of 33, 33 and 34 ms
    assert mean_fps(whole_ms) == pytest.approx(30, abs=0.01)
    assert mean_fps(np.arange(900) * 1001 / 30000) == pytest.approx(30000 / 1001)
    dropped = np.delete(np.arange(101) / 25, [10, 11, 50])
    assert mean_fps(dropped) == pytest.approx(97 / 4)
    unseen_for_seconds = np.delete(np.arange(200) / 25, np.s_[50:130])
    assert mean_fps(unseen_for_seconds) == pytest.approx(25)
    assert mean_fps(np.arange(4.0)) == pytest.approx(1)
    assert np.isnan(mean_fps(np.zeros(1)))


@pytest.mark.parametrize("rate_hz", [30.0, 59.94, 60.6, 62.0, 64.0, 128.0, 256.0])
def test_a_rate_is_right_though_times_are_whole_milliseconds(rate_hz: float) -> None:
    times_s = np.round(np.arange(1200) / rate_hz, 3)
    kept = np.delete(times_s, [*range(300, 320), 700])
    for timestamps_s in (times_s, kept):
        assert 1 / usual_step_s(timestamps_s) == pytest.approx(rate_hz, rel=0.01)
