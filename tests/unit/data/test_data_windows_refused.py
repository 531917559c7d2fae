"""What windows are not made of is left out or refused by name."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from window_stores import (
    SHORT,
    numbered,
    random_windows,
    sine,
    sliding_windows,
    write_recording,
    write_steady,
)

from physkit.core.errors import InputError
from physkit.data.store import NO_SEGMENT
from physkit.data.store_writer import create_store
from physkit.data.windows import table as window_source
from physkit.data.windows.config import (
    ContentConfig,
    RandomWindowsConfig,
    SlidingWindowsConfig,
    WindowSource,
)
from physkit.data.windows.sampling import RandomWindows


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
