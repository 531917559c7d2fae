"""SCAMPS: what is written reads back, published forms are read, and damage is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mat_files import write_mat73
from new_recordings import measure, new_recording, picture, read_frames

from physkit.core.errors import InputError
from physkit.data.readers import READERS
from physkit.data.readers.base import NewRecording
from physkit.data.readers.scamps import ScampsReader

SCAMPS = ScampsReader()

LEVELS = np.random.default_rng(0).integers(0, 256, (10, 7, 5, 3), dtype=np.uint8)


def put(path: Path, **changes: Any) -> Path:
    """A file as published: doubles, and masks that nobody reads; None leaves a variable out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    variables = {
        "Xsub": LEVELS / 255,
        "RawFrames": np.zeros((10, 7, 9, 3)),
        "skin_mask": np.zeros((9, 7, 5)),
        "d_ppg": np.arange(10.0)[:, None],
        "d_br": np.arange(10.0)[:, None] / 2,
    } | changes
    given = {name: value for name, value in variables.items() if value is not None}
    return write_mat73(path, given)


def only(root: Path):
    (recording,) = SCAMPS.find(root).recordings
    return recording


def test_the_registry_gives_it():
    assert READERS["scamps"] is ScampsReader


def test_it_reads_back(tmp_path):
    written = SCAMPS.write(tmp_path, new_recording(subject=12))
    tree = SCAMPS.find(tmp_path)
    assert tree.recordings == (written,)
    assert not tree.strays
    assert (written.name, written.files) == ("train_P000012", ("Train/P000012.mat",))
    frames = read_frames(SCAMPS, tmp_path)
    assert len(frames) == 40
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.rgb, picture(index))
        assert frame.timestamp_s == pytest.approx(index / 30)
    label = SCAMPS.read_label(written)
    truth = measure(np.arange(40) / 30)
    np.testing.assert_allclose(label.pulse.timestamps_s, np.arange(40) / 30)
    np.testing.assert_allclose(label.pulse.samples, truth["pulse"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(label.columns["respiration"], truth["respiration"], atol=1e-12)
    assert not label.warnings


def test_published_files_are_read_upright(tmp_path):
    put(tmp_path / "P000001.mat")
    recording = only(tmp_path)
    assert (recording.name, recording.subject, recording.conditions) == ("P000001", "P000001", {})
    frames = read_frames(SCAMPS, tmp_path)
    np.testing.assert_array_equal(np.stack([frame.rgb for frame in frames]), LEVELS)
    label = SCAMPS.read_label(recording)
    np.testing.assert_array_equal(label.pulse.samples, np.arange(10.0))
    np.testing.assert_array_equal(label.columns["respiration"], np.arange(10.0) / 2)


def test_the_folder_is_the_split(tmp_path):
    for folder in ("Train", "val", "Test"):
        put(tmp_path / folder / "P000001.mat")
    recordings = SCAMPS.find(tmp_path).recordings
    assert {r.name: r.conditions["split"] for r in recordings} == {
        "train_P000001": "train",
        "validation_P000001": "validation",
        "test_P000001": "test",
    }
    assert len({recording.subject for recording in recordings}) == 3


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_the_given_split_is_written(tmp_path, split):
    given = NewRecording(**{**vars(new_recording()), "conditions": {"split": split}})
    assert SCAMPS.write(tmp_path, given).conditions == {"split": split}
    assert only(tmp_path).conditions == {"split": split}


def test_what_the_layout_has_no_place_for_is_refused(tmp_path):
    given = NewRecording(**{**vars(new_recording()), "conditions": {"split": "dev"}})
    with pytest.raises(InputError, match="no split 'dev' in SCAMPS; give train, validation, test"):
        SCAMPS.write(tmp_path, given)
    with pytest.raises(InputError, match="session 1 has no place"):
        SCAMPS.write(tmp_path, new_recording(session=1))
    with pytest.raises(InputError, match="give 30"):
        SCAMPS.write(tmp_path, new_recording(fps=20.0))


def test_breathing_may_lack_and_a_longer_label_is_told(tmp_path):
    put(tmp_path / "P000001.mat", d_br=None, d_ppg=np.arange(12.0))
    label = SCAMPS.read_label(only(tmp_path))
    assert not label.columns
    assert label.warnings == ("P000001.mat: 10 frames and 12 label samples",)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"d_ppg": None}, "no variable 'd_ppg' in it, but "),
        ({"d_ppg": np.zeros((0, 1))}, "'d_ppg' holds 0 values"),
        ({"d_ppg": np.full((10, 1), np.nan)}, "NaN or infinity in 10 of 10"),
        ({"d_br": np.zeros((4, 1))}, "10 values in 'd_ppg' and 4 in 'd_br'"),
    ],
)
def test_a_damaged_label_is_named(tmp_path, changes, problem):
    put(tmp_path / "P000001.mat", **changes)
    with pytest.raises(InputError, match=r"P000001\.mat: ") as caught:
        SCAMPS.read_label(only(tmp_path))
    assert problem in str(caught.value)


def test_a_damaged_video_is_named(tmp_path):
    put(tmp_path / "P000001.mat", Xsub=None)
    with pytest.raises(InputError, match="no variable 'Xsub'"):
        SCAMPS.open_frames(only(tmp_path))
    (tmp_path / "P000001.mat").write_bytes(b"")
    with pytest.raises(InputError, match=r"P000001\.mat: only 0 bytes long"):
        SCAMPS.open_frames(only(tmp_path))


def test_other_files_are_strays_and_wrong_roots_are_named(tmp_path):
    put(tmp_path / "scamps_videos" / "P000001.mat")
    with pytest.raises(InputError, match=r"1 found in .*scamps_videos: give that as --raw"):
        SCAMPS.find(tmp_path)
    (tmp_path / "scamps_videos" / "ScampsTrainTest.csv").touch()
    (tmp_path / "scamps_videos" / "Q1.mat").touch()
    strays = SCAMPS.find(tmp_path / "scamps_videos").strays
    assert {stray.name for stray in strays} == {"ScampsTrainTest.csv", "Q1.mat"}
