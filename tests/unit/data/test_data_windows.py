"""Windows are drawn alike by every process, read by time, and hold together."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from window_stores import (
    RAW_LABEL,
    SHORT,
    numbered,
    numbers,
    random_windows,
    sine,
    sliding_windows,
    write_recording,
    write_steady,
)

from physkit.core.errors import InputError
from physkit.data.store import NO_SEGMENT, open_store
from physkit.data.windows import table as window_source
from physkit.data.windows.config import (
    AugmentConfig,
    ContentConfig,
    RandomWindowsConfig,
    SlidingWindowsConfig,
    WindowSource,
)
from physkit.data.windows.label import EDGE_S
from physkit.data.windows.reader import Window
from physkit.data.windows.sampling import RandomWindows


def same(one: Window, other: Window) -> bool:
    arrays = ("frames", "pulse", "dt_s", "timestamps_s")
    values = ("store", "recording", "subject", "start_s", "time_scale", "heart_rate_bpm")
    return all(np.array_equal(getattr(one, k), getattr(other, k)) for k in arrays) and all(
        getattr(one, k) == getattr(other, k) for k in values
    )


def test_a_native_window_holds_the_stored_frames_at_their_times(steady: Path) -> None:
    store = open_store(steady)
    for window in random_windows(steady):
        recording = store[window.recording]
        first = int(np.searchsorted(recording.timestamps_s, window.start_s))
        np.testing.assert_array_equal(window.frames, recording.frames(first, first + 40))
        np.testing.assert_array_equal(
            window.timestamps_s, recording.timestamps_s[first : first + 40]
        )
        np.testing.assert_allclose(window.dt_s, 1 / 30, rtol=1e-6)
        assert window.subject == recording.subject


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    label_fps=st.sampled_from([20.0, 30.0, 60.0, 64.0, 256.0]),
    fps=st.sampled_from([20.0, 28.7, 30.0, 35.0]),
    bpm=st.floats(35, 150),
    jitter=st.floats(0, 0.3),
)
def test_the_label_is_that_of_the_frames_times(
    label_fps: float,
    fps: float,
    bpm: float,
    jitter: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store = tmp_path_factory.mktemp("label") / "a.zarr"
    rng = np.random.default_rng(0)
    times_s = (np.arange(200) + jitter * rng.uniform(-0.5, 0.5, 200)) / fps
    times_s -= times_s[0]
    label_times_s = np.arange(-1, times_s[-1] + 1, 1 / label_fps)
    write_recording(
        store,
        frames=numbered(200),
        times_s=times_s,
        label=sine(bpm)(label_times_s),
        label_times_s=label_times_s,
    )
    (window,) = sliding_windows(store, SlidingWindowsConfig(content=RAW_LABEL))
    assert window.pulse.shape == (200,)
    # a local spline's error at the tops grows with the square of the step in phase
    step = 2 * np.pi * bpm / 60 / label_fps
    np.testing.assert_allclose(window.pulse, sine(bpm)(times_s), atol=max(0.05 * step**2, 1e-4))


def test_what_a_fast_label_holds_beyond_the_frame_rate_does_not_fold_back(tmp_path: Path) -> None:
    label_times_s = np.arange(0, 10, 1 / 256)
    true = sine(72)(label_times_s)
    write_recording(
        tmp_path / "a.zarr",
        frames=numbered(290),
        times_s=np.arange(290) / 30,
        label=true + 0.5 * np.sin(2 * np.pi * 29 * label_times_s),  # 1 Hz when sampled at 30
        label_times_s=label_times_s,
    )
    config = SlidingWindowsConfig(content=RAW_LABEL)
    (window,) = sliding_windows(tmp_path / "a.zarr", config)
    error = window.pulse - sine(72)(window.timestamps_s)
    assert np.abs(error[30:-30]).max() < 1e-3
    assert window.heart_rate_bpm == pytest.approx(72, abs=0.1)


def test_a_uniform_clock_takes_frames_between_or_nearest_to_its_moments(tmp_path: Path) -> None:
    write_steady(tmp_path / "a.zarr", n_frames=200, fps=25.0)
    between = ContentConfig(clock="linear", fps=30.0, label_form="raw")
    (window,) = sliding_windows(tmp_path / "a.zarr", SlidingWindowsConfig(content=between))
    # the last moment is 7 ms after the last frame, which is held
    moments = np.minimum(np.arange(240) * 25 / 30, 199)
    np.testing.assert_allclose(window.timestamps_s, np.arange(240) / 30, atol=1e-12)
    np.testing.assert_allclose(window.dt_s, 1 / 30, rtol=1e-6)
    np.testing.assert_allclose(numbers(window.frames * 255), moments, atol=1e-3)
    np.testing.assert_allclose(window.pulse, sine(72)(window.timestamps_s), atol=1e-3)
    nearest = SlidingWindowsConfig(content=replace(between, clock="nearest", form="uint8"))
    (window,) = sliding_windows(tmp_path / "a.zarr", nearest)
    assert np.abs(numbers(window.frames) - moments).max() <= 0.5


def test_a_uniform_clock_at_the_recordings_rate_changes_nothing(steady: Path) -> None:
    config = SlidingWindowsConfig(content=replace(RAW_LABEL, clock="linear", fps=30.0))
    for window, recording in zip(
        sliding_windows(steady, config), open_store(steady).values(), strict=True
    ):
        np.testing.assert_array_equal(window.frames, recording.frames())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_window_crosses_a_gap(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = tmp_path_factory.mktemp("gaps") / "a.zarr"
    n, label_times_s = 240, np.arange(0, 16, 1 / 50)
    steps_s = np.full(n, 1 / 30)
    segments = np.zeros(n, int)
    label = sine(80)(label_times_s)
    steps_s[data.draw(st.lists(st.integers(1, n - 1), max_size=2))] = 0.7
    for number, at in enumerate(sorted(data.draw(st.lists(st.integers(5, n), max_size=3))), 1):
        segments[at:] = number
        segments[at - data.draw(st.integers(0, 3)) : at] = NO_SEGMENT
    lost, kind = data.draw(st.integers(0, 500)), data.draw(st.sampled_from(["none", "nan", "flat"]))
    if kind != "none":
        label[lost : lost + 105] = np.nan if kind == "nan" else 0.3
    times_s = np.cumsum(steps_s) - steps_s[0]
    write_recording(
        store,
        frames=numbered(n),
        times_s=times_s,
        label=label,
        label_times_s=label_times_s,
        segments=segments,
    )
    clock = data.draw(st.sampled_from([{}, {"clock": "linear", "fps": 24.0}]))
    content = replace(RAW_LABEL, form="raw", **clock)
    config = RandomWindowsConfig(
        n_frames=20, windows_per_epoch=15, content=content, augment=AugmentConfig(crop=0, flip=0)
    )
    try:
        windows = random_windows(store, config)
    except InputError:
        return
    for window in windows:
        span_s = window.time_scale * (window.timestamps_s[-1] - window.timestamps_s[0])
        first = int(np.searchsorted(times_s, window.start_s - 1e-6))
        last = int(np.searchsorted(times_s, window.start_s + span_s - 0.03))
        held = slice(first, last + 1)
        assert (segments[held] == segments[first]).all()
        assert segments[first] != NO_SEGMENT
        assert (np.diff(times_s[held]) < 0.5).all()
        assert np.isfinite(window.pulse).all()
        known = sine(80)(
            window.start_s + window.time_scale * (window.timestamps_s - window.start_s)
        )
        # a frame that far outside of the label holds its last value, and the sine goes on
        steepest = 2 * np.pi * 80 / 60
        np.testing.assert_allclose(window.pulse, known, atol=steepest * EDGE_S + 0.05)


def drawn(windows: RandomWindows, index: int) -> Window:
    return windows[index]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "n_workers"), [("fork", 1), ("fork", 4), ("spawn", 2)])
def test_any_number_of_processes_draws_the_same_windows(
    method: str, n_workers: int, steady: Path
) -> None:
    windows = random_windows(steady, replace(SHORT, augment=AugmentConfig()))
    alone = [windows[index] for index in range(12)]
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(n_workers, mp_context=context) as pool:
        together = list(pool.map(partial(drawn, windows), range(12)))
    assert all(same(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_data_loader_feeds_the_same_windows(n_workers: int, steady: Path) -> None:
    from torch.utils.data import DataLoader  # here: spawned workers need no torch

    windows = random_windows(steady)
    loader = DataLoader(windows, num_workers=n_workers, batch_size=4, collate_fn=list)  # type: ignore[arg-type]
    loaded = [window for batch in loader for window in batch]
    assert len(loaded) == 12
    assert all(same(one, other) for one, other in zip(windows, loaded, strict=True))


def test_a_draw_depends_on_seed_epoch_and_index_alone(steady: Path) -> None:
    windows = random_windows(steady, replace(SHORT, augment=AugmentConfig()))
    later = pickle.loads(pickle.dumps(windows))
    assert same(later.draw(3, 7), windows.draw(3, 7))
    assert same(windows[3 * 12 + 7], windows.draw(3, 7))
    assert [w.start_s for w in windows.epoch(3, start=5)] == [
        windows.draw(3, index).start_s for index in range(5, 12)
    ]
    more = random_windows(steady, replace(SHORT, augment=AugmentConfig(), windows_per_epoch=99))
    assert same(more.draw(3, 7), windows.draw(3, 7))
    other = random_windows(steady, replace(SHORT, seed=1))
    starts = {tuple(w.start_s for w in ws) for ws in (windows, windows.epoch(1), other)}
    assert len(starts) == 3
    with pytest.raises(IndexError):
        windows[-1]


def test_what_is_open_does_not_travel_to_other_processes(steady: Path) -> None:
    windows = random_windows(steady)
    before = len(pickle.dumps(windows))
    for window in windows:
        assert window.frames.any()
    assert len(pickle.dumps(windows)) == before < 5000


def test_seconds_or_recordings_are_drawn_equally_often(steady: Path) -> None:
    config = replace(SHORT, n_frames=4, windows_per_epoch=600)
    for weighting, expected in (("duration", [10, 20, 5]), ("equal", [1, 1, 1])):
        windows = random_windows(steady, replace(config, weighting=weighting))
        drawn = [window.recording for window in windows]
        counts = np.array([drawn.count(f"s{number}_1") for number in (1, 2, 3)])
        shares = np.array(expected) / np.sum(expected)
        assert np.abs(counts / 600 - shares).max() < 4 * np.sqrt(0.25 / 600)


def test_starts_are_spread_over_the_whole_recording(steady: Path) -> None:
    source = WindowSource(str(steady), ("s2",))
    windows = RandomWindows([source], replace(SHORT, windows_per_epoch=200))
    starts_s = [window.start_s for window in windows]
    assert min(starts_s) < 1
    assert max(starts_s) > 17.6
    assert np.mean(starts_s) == pytest.approx((20 - 40 / 30) / 2, abs=1.6)


def test_an_epoch_is_as_long_as_the_recordings_unless_told_otherwise(steady: Path) -> None:
    assert len(random_windows(steady, replace(SHORT, windows_per_epoch=None))) == 7 + 15 + 3


def test_sliding_windows_lie_side_by_side_and_leave_out_the_rest(steady: Path) -> None:
    windows = sliding_windows(steady, SlidingWindowsConfig(window_s=3.0, content=RAW_LABEL))
    listed = [(window.recording, round(window.start_s, 6)) for window in windows]
    assert listed == [
        *(("s1_1", 3.0 * k) for k in range(3)),
        *(("s2_1", 3.0 * k) for k in range(6)),
        ("s3_1", 0.0),
    ]
    assert {len(window.frames) for window in windows} == {90}


@pytest.mark.parametrize("clock", [{}, {"clock": "linear", "fps": 29.0}])
def test_sliding_windows_overlap_by_their_step(clock: dict, steady: Path) -> None:
    content = replace(RAW_LABEL, **clock)
    config = SlidingWindowsConfig(window_s=4.0, step_s=0.5, content=content)
    windows = sliding_windows(steady, config)
    starts_s = [window.start_s for window in windows if window.recording == "s1_1"]
    np.testing.assert_allclose(starts_s, np.arange(13) * 0.5, atol=1e-9)
    assert len(windows) == 13 + 33 + 3


def test_whole_recordings_are_one_window_each(steady: Path) -> None:
    windows = sliding_windows(steady, SlidingWindowsConfig(content=RAW_LABEL))
    assert [len(window.frames) for window in windows] == [300, 600, 150]
    rates = [window.heart_rate_bpm for window in windows]
    np.testing.assert_allclose(rates, [66, 72, 78], atol=0.3)


def test_jitter_does_not_push_the_last_window_off_the_end(tmp_path: Path) -> None:
    times_s = np.cumsum(np.random.default_rng(1).uniform(0.02, 0.05, 300))
    times_s -= times_s[0]
    label_times_s = np.arange(0, times_s[-1], 1 / 60)
    write_recording(
        tmp_path / "a.zarr",
        frames=numbered(300),
        times_s=times_s,
        label=sine(70)(label_times_s),
        label_times_s=label_times_s,
    )
    config = SlidingWindowsConfig(window_s=2.0, step_s=0.1, content=RAW_LABEL)
    windows = list(sliding_windows(tmp_path / "a.zarr", config))
    assert {len(window.frames) for window in windows} == {len(windows[0].frames)}
    for window in windows:
        np.testing.assert_allclose(window.dt_s[1:], np.diff(window.timestamps_s), rtol=1e-5)


def test_windows_reach_the_end_of_a_recording_that_drops_frames(tmp_path: Path) -> None:
    times_s = np.cumsum(np.tile([0.02, 0.02, 0.1], 100)) - 0.02
    label_times_s = np.arange(0, times_s[-1], 1 / 60)
    write_recording(
        tmp_path / "a.zarr",
        frames=numbered(300),
        times_s=times_s,
        label=sine(70)(label_times_s),
        label_times_s=label_times_s,
    )
    config = SlidingWindowsConfig(window_s=1.0, content=RAW_LABEL)
    windows = list(sliding_windows(tmp_path / "a.zarr", config))
    ends_s = np.array([window.timestamps_s[-1] for window in windows])
    assert ends_s[-1] > times_s[-1] - 1.2
    assert np.abs(np.diff([window.start_s for window in windows]) - 1).max() < 0.11


def test_memory_for_open_recordings_is_bounded(
    steady: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = [window.start_s for window in random_windows(steady)]
    monkeypatch.setattr(window_source, "CACHE_BYTES", 1)
    table = window_source.window_table([WindowSource(str(steady))])
    opened = window_source.OpenRecordings(fps=None)
    for recording in (*table.recordings, *table.recordings):
        assert opened[recording].stored.name == recording.name
        assert len(opened) == 1
    assert [window.start_s for window in random_windows(steady)] == usual


def open_one(
    opened: window_source.OpenRecordings, recording: window_source.UsableRecording, answers: Any
) -> None:
    opened[recording]
    answers.put(len(opened))


def test_a_forked_process_opens_recordings_of_its_own(steady: Path) -> None:
    table = window_source.window_table([WindowSource(str(steady))])
    opened = window_source.OpenRecordings(fps=None)
    for recording in table.recordings:
        assert opened[recording]
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=open_one, args=(opened, table.recordings[0], answers))
    child.start()
    assert answers.get() == 1
    child.join()
    assert len(opened) == 3


def test_windows_on_a_grid_begin_at_multiples_of_it_and_show_what_is_stored(steady: Path) -> None:
    sources = [WindowSource(str(steady))]
    windows = RandomWindows(sources, SHORT, grid_frames=20, extras=("frame", "recording"))
    starts = set()
    for window in windows:
        frames = window.extras["frame"]
        assert frames[0] % 20 == 0
        np.testing.assert_array_equal(frames, np.arange(frames[0], frames[0] + 40))
        name = bytes(window.extras["recording"][0]).rstrip(b"\0").decode()
        assert name == f"{window.dataset}/{window.recording}"
        starts.add((window.recording, int(frames[0])))
    assert len(starts) > 5
    with pytest.raises(InputError, match=r"caches of the store.*augment to null"):
        RandomWindows(sources, replace(SHORT, augment=AugmentConfig()), grid_frames=20)
    clocked = replace(SHORT, content=ContentConfig(clock="nearest", fps=25.0))
    with pytest.raises(InputError, match=r"content\.clock nearest: .*caches"):
        RandomWindows(sources, clocked, grid_frames=20)


def test_each_store_is_drawn_from_equally_often(steady: Path, tmp_path: Path) -> None:
    write_steady(tmp_path / "b.zarr", "t1_1", n_frames=90, subject="t1")
    config = replace(SHORT, windows_per_epoch=400, weighting="store")
    windows = RandomWindows(
        [WindowSource(str(steady)), WindowSource(str(tmp_path / "b.zarr"))], config
    )
    n_small = sum(window.recording == "t1_1" for window in windows)
    assert 170 < n_small < 230
