"""Batches of windows: the same for any number of processes, from any position on."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from trainings import people_store
from window_stores import numbered, write_recording, write_steady

from physkit.core.errors import InputError
from physkit.data.datamodule import Batch, WindowBatches, WindowData, collate, opened
from physkit.data.windows.config import (
    AugmentConfig,
    ContentConfig,
    RandomWindowsConfig,
    SlidingWindowsConfig,
    WindowSource,
)
from physkit.data.windows.sampling import RandomWindows, SlidingWindows


def first(batches: WindowBatches, n: int = 5) -> list[list[int]]:
    return [batch for batch, _ in zip(batches, range(n), strict=False)]


def test_processes_share_each_batch_and_resume_within() -> None:
    one = first(WindowBatches(batch_size=6, start=0, rank=0, n_processes=1))
    three = [first(WindowBatches(batch_size=6, start=0, rank=r, n_processes=3)) for r in range(3)]
    assert one[1] == [6, 7, 8, 9, 10, 11]
    assert [[*a, *b, *c] for a, b, c in zip(*three, strict=True)] == one
    assert first(WindowBatches(batch_size=6, start=18, rank=0, n_processes=1), 2) == one[3:]
    with pytest.raises(ValueError, match="7 windows cannot be shared among 2"):
        WindowBatches(batch_size=7, start=0, rank=0, n_processes=2)


def data_of(store: Path, *, workers: int = 0) -> WindowData:
    train = RandomWindows(
        [WindowSource(str(store), ("a", "b", "c", "d"))],
        RandomWindowsConfig(n_frames=64, augment=AugmentConfig()),
    )
    validation = SlidingWindows(
        [WindowSource(str(store), ("e", "f"))],
        SlidingWindowsConfig(content=ContentConfig(form="uint8")),
    )
    return WindowData(train, validation, batch_size=3, workers=workers)


def test_batches_say_whose_they_are_and_validation_lists_every_window(tmp_path: Path) -> None:
    data = data_of(people_store(tmp_path / "s.zarr"))
    batch = opened(next(iter(data.train_dataloader())))
    assert batch.frames.shape == (3, 64, 8, 8, 3)
    assert batch.pulse.shape == batch.dt_s.shape == (3, 64)
    torch.testing.assert_close(batch.fps, torch.full((3,), 30.0))
    for place, subject in zip(batch.recordings, batch.subjects, strict=True):
        assert place == f"{tmp_path}/s.zarr/{subject}_1"
    listed = [opened(b) for b in data.val_dataloader()]
    assert [b.subjects for b in listed] == [("e",), ("f",)]
    assert listed[0].frames.dtype == torch.uint8


@pytest.mark.slow
def test_workers_read_the_same_batches_and_tell_errors_in_one_line(tmp_path: Path) -> None:
    store = people_store(tmp_path / "s.zarr")
    here = next(iter(data_of(store).train_dataloader()))
    loader = iter(data_of(store, workers=1).train_dataloader())
    there = opened(next(loader))
    assert isinstance(here, Batch)
    torch.testing.assert_close(there.frames, here.frames)
    assert there.recordings == here.recordings
    for array in store.glob("?_1/frames"):
        (array / "zarr.json").write_text("{")
    error = next(batch for batch in loader if not isinstance(batch, Batch))
    assert re.search(r"[abcd]_1: 'frames' is missing or damaged", str(error))
    assert "Traceback" not in str(error)
    with pytest.raises(InputError):
        opened(error)


def test_a_window_with_a_flat_label_is_told_by_name_in_every_label_form(tmp_path: Path) -> None:
    store, times_s = tmp_path / "s.zarr", np.arange(300) / 30
    write_steady(store, "good", subject="g")
    # still for 1.5 s: too short for a sensor that is off, and no pulse for a window that short
    label = np.sin(2 * np.pi * 1.2 * times_s)
    label[100:145] = 0.5
    write_recording(
        store,
        "still",
        frames=numbered(300),
        times_s=times_s,
        label=label,
        label_times_s=times_s,
        subject="s",
    )
    config = RandomWindowsConfig(
        n_frames=12, content=ContentConfig(label_form="raw"), windows_per_epoch=20
    )
    windows = RandomWindows([WindowSource(str(store), ("s",))], config)
    told = [collate([window]) for window in windows]
    errors = [str(error) for error in told if isinstance(error, InputError)]
    assert 0 < len(errors) < 20
    assert all(f"{store}/still: the label is flat from" in error for error in errors)
