"""Windows are drawn alike by every process, read by time, and hold together."""

import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from window_stores import numbered, numbers, sine, write_recording, write_steady

from physkit.core.errors import InputError
from physkit.data.store import NO_SEGMENT, open_store
from physkit.data.store_writer import create_store
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
from physkit.data.windows.sampling import RandomWindows, SlidingWindows

RAW_LABEL = ContentConfig(form="uint8", label_form="raw")
SHORT = RandomWindowsConfig(n_frames=40, windows_per_epoch=12, content=RAW_LABEL)


def same(one: Window, other: Window) -> bool:
    arrays = ("frames", "pulse", "dt_s", "timestamps_s")
    values = ("store", "recording", "subject", "start_s", "time_scale", "heart_rate_bpm")
    return all(np.array_equal(getattr(one, k), getattr(other, k)) for k in arrays) and all(
        getattr(one, k) == getattr(other, k) for k in values
    )


def random_windows(store: Path, config: RandomWindowsConfig = SHORT) -> RandomWindows:
    return RandomWindows([WindowSource(str(store))], config)


def sliding_windows(store: Path, config: SlidingWindowsConfig) -> SlidingWindows:
    return SlidingWindows([WindowSource(str(store))], config)


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people: 10, 20 and 5 seconds at 66, 72 and 78 bpm."""
    store = tmp_path_factory.mktemp("windows") / "steady.zarr"
    for number, (n_frames, bpm) in enumerate([(300, 66.0), (600, 72.0), (150, 78.0)], 1):
        subject = f"s{number}"
        write_steady(store, f"{subject}_1", n_frames=n_frames, bpm=bpm, subject=subject)
    return store


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


def test_a_recording_without_a_face_is_left_out_by_name(tmp_path: Path) -> None:
    store, times_s = tmp_path / "a.zarr", np.arange(90) / 30
    for name, segments in (("none", np.full(90, NO_SEGMENT)), ("all", np.zeros(90, int))):
        write_recording(
            store,
            name,
            frames=numbered(90),
            times_s=times_s,
            label=sine(70)(times_s),
            label_times_s=times_s,
            segments=segments,
        )
    expected = (f"{store}/none: no two frames with both a face and a label",)
    assert random_windows(store).left_out == expected
    windows = sliding_windows(store, SlidingWindowsConfig())
    assert windows.left_out == expected
    assert [window.recording for window in windows] == ["all"]


@pytest.mark.parametrize("n_frames", [1, 2])
def test_a_recording_of_a_frame_or_two_has_no_windows(n_frames: int, tmp_path: Path) -> None:
    label_times_s = np.arange(30) / 30
    write_recording(
        tmp_path / "a.zarr",
        frames=numbered(n_frames),
        times_s=np.arange(n_frames) / 30,
        label=sine(70)(label_times_s),
        label_times_s=label_times_s,
    )
    with pytest.raises(InputError, match=r"a\.zarr/s1_1: "):
        sliding_windows(tmp_path / "a.zarr", SlidingWindowsConfig())


def test_only_the_chunks_of_a_window_are_read(tmp_path: Path) -> None:
    write_steady(tmp_path / "a.zarr", n_frames=600, size_px=4)
    chunks = sorted((tmp_path / "a.zarr/s1_1/frames").rglob("c/*/0/0/0"))
    assert len(chunks) == 3
    chunks[-1].write_bytes(b"damaged")
    windows = sliding_windows(tmp_path / "a.zarr", SlidingWindowsConfig(window_s=5.0))
    assert windows[0].frames.shape == (150, 4, 4, 3)
    with pytest.raises(InputError, match=r"a\.zarr/s1_1: 'frames' is missing or damaged"):
        windows[3]


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


def test_windows_longer_than_any_recording_name_the_longest(steady: Path) -> None:
    with pytest.raises(InputError, match=r"s2_1: at most 600 frames in a row.* 1600"):
        random_windows(steady, RandomWindowsConfig(n_frames=1600))
    with pytest.raises(InputError, match=r"s2_1: at most 600 frames"):
        sliding_windows(steady, SlidingWindowsConfig(window_s=21.0))


def test_recordings_that_are_too_short_are_left_out_by_name(steady: Path) -> None:
    windows = random_windows(steady, replace(SHORT, n_frames=200))
    assert {window.subject for window in windows} == {"s1", "s2"}
    assert windows.left_out == (
        f"{steady}/s3_1: at most 150 frames in a row, and a window has 200",
    )


def test_people_whom_the_store_lacks_are_reported(steady: Path) -> None:
    windows = RandomWindows([WindowSource(str(steady), ("s1", "s9"))], SHORT)
    assert windows.left_out == (f"{steady}: subject 's9' is not in it",)
    assert {window.subject for window in windows} == {"s1"}
    with pytest.raises(InputError, match="none of the subjects s8, s9; it has s1, s2, s3"):
        RandomWindows([WindowSource(str(steady), ("s8", "s9"))], SHORT)


def test_stores_of_different_crops_do_not_mix(steady: Path, tmp_path: Path) -> None:
    write_steady(tmp_path / "b.zarr", size_px=6)
    sources = [WindowSource(str(steady)), WindowSource(str(tmp_path / "b.zarr"))]
    with pytest.raises(InputError, match=r"b\.zarr/s1_1: crops of 6 px.*s1_1 have 4 px"):
        RandomWindows(sources, SHORT)


def test_what_one_recording_does_leaves_it_out_and_takes_the_others(
    steady: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(steady, tmp_path / "a.zarr")
    write_steady(store, "larger", size_px=6, subject="s4")
    times_s = np.arange(90) / 30
    for name, label_times_s in (("still", times_s), ("back", times_s[::-1].copy())):
        write_recording(
            store,
            name,
            frames=numbered(90),
            times_s=times_s,
            label=np.ones(90) if name == "still" else sine(70)(times_s),
            label_times_s=label_times_s,
            subject=name,
        )
    (store / "s3_1" / "zarr.json").write_text("{")
    table = window_source.window_table([WindowSource(str(store))])
    assert {recording.name for recording in table.recordings} == {"s1_1", "s2_1"}
    problems = {Path(told.split(":")[0]).name: told for told in table.unusable}
    assert set(problems) == {"larger", "still", "back", "s3_1"}
    assert "crops of 6 px, but most of the store have 4 px" in problems["larger"]
    assert "the label is flat" in problems["still"]
    assert "the label's times do not increase" in problems["back"]


def test_a_store_without_recordings_is_refused(tmp_path: Path) -> None:
    create_store(tmp_path / "a.zarr", dataset="test")
    with pytest.raises(InputError, match=r"a\.zarr: holds no recordings"):
        random_windows(tmp_path / "a.zarr")
    with pytest.raises(InputError, match="no store there"):
        random_windows(tmp_path / "b.zarr")
    with pytest.raises(InputError, match="no store was given"):
        RandomWindows([], SHORT)


def test_flat_and_empty_labels_are_refused_by_name(tmp_path: Path) -> None:
    for name, value, problem in (("flat", 0.3, "flat"), ("empty", np.nan, "0 pulse samples")):
        write_recording(
            tmp_path / f"{name}.zarr",
            frames=numbered(100),
            times_s=np.arange(100) / 30,
            label=np.full(100, value),
            label_times_s=np.arange(100) / 30,
        )
        with pytest.raises(InputError, match=rf"{name}\.zarr/s1_1: .*{problem}"):
            random_windows(tmp_path / f"{name}.zarr")


def test_a_window_in_which_the_label_is_flat_is_refused_by_name(tmp_path: Path) -> None:
    label_times_s = np.arange(0, 10, 1 / 30)
    label = sine(60)(label_times_s)
    label[60:110] = 0.0  # shorter than what counts as a sensor that is off
    write_recording(
        tmp_path / "a.zarr",
        frames=numbered(300),
        times_s=label_times_s,
        label=label,
        label_times_s=label_times_s,
    )
    windows = sliding_windows(tmp_path / "a.zarr", SlidingWindowsConfig(window_s=1.0))
    assert windows[0].pulse.std() == pytest.approx(1)
    with pytest.raises(InputError, match=r"s1_1: the label is flat from 2\.0 to 3\.0 s"):
        windows[2]


@pytest.mark.parametrize(
    ("times_s", "label_times_s", "problem"),
    [
        (np.r_[0:50, 49, 51:100] / 30, np.arange(100) / 30, "frames' times"),
        (np.arange(100) / 30, np.r_[0:50, 49, 51:100] / 30, "label's times"),
    ],
)
def test_times_that_do_not_increase_are_refused(
    times_s: np.ndarray, label_times_s: np.ndarray, problem: str, tmp_path: Path
) -> None:
    write_recording(
        tmp_path / "a.zarr",
        frames=numbered(100),
        times_s=times_s,
        label=sine(60)(label_times_s),
        label_times_s=label_times_s,
    )
    with pytest.raises(InputError, match=problem):
        random_windows(tmp_path / "a.zarr")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: ContentConfig(clock="linear"), "needs a rate"),
        (lambda: ContentConfig(clock="nearest", fps=float("nan")), "needs a rate"),
        (lambda: ContentConfig(clock="linear", fps=float("inf")), "needs a rate"),
        (lambda: ContentConfig(fps=30.0), "uniform clock"),
        (lambda: RandomWindowsConfig(n_frames=0), "n_frames is 0"),
        (lambda: RandomWindowsConfig(windows_per_epoch=-1), "windows_per_epoch is -1"),
        (lambda: RandomWindowsConfig(seed=-1), "seed is -1"),
        (lambda: SlidingWindowsConfig(window_s=float("nan")), "window_s is nan"),
        (lambda: SlidingWindowsConfig(window_s=1.0, step_s=0.0), "step_s is 0"),
        (lambda: SlidingWindowsConfig(step_s=1.0), "needs a window_s"),
    ],
)
def test_impossible_settings_are_refused(make: partial, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        make()


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
