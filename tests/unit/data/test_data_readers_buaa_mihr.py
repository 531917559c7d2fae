"""BUAA-MIHR: what is written reads back, the light is a condition, and damage is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mat_files import FORMATS, write_mat
from new_recordings import measure, new_recording, picture, read_frames

from physkit.core.errors import InputError
from physkit.data.readers import READERS
from physkit.data.readers.base import NewRecording
from physkit.data.readers.buaa_mihr import BuaaMihrReader

BUAA = BuaaMihrReader()

every_form = pytest.mark.parametrize("form", FORMATS)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one recording of 40 frames."""
    BUAA.write(tmp_path, new_recording())
    return tmp_path


def folder(root: Path) -> Path:
    return root / "Sub 01" / "lux 100.0"


def put_label(root: Path, form: str = "v5", **fields: Any) -> None:
    write_mat(folder(root) / "PPGData.mat", form, {"PPG": fields} if fields else {"x": np.ones(3)})


def only(root: Path):
    (recording,) = BUAA.find(root).recordings
    return recording


def test_the_registry_gives_it():
    assert READERS["buaa-mihr"] is BuaaMihrReader


def test_it_reads_back(tmp_path):
    times_s = np.array([0, 1, 2, 3, 4, 7, 8, 9, 10, 14, 15, 16]) / 30
    written = BUAA.write(tmp_path, new_recording(subject=12, session=5, times_s=times_s))
    tree = BUAA.find(tmp_path)
    assert tree.recordings == (written,)
    assert not tree.strays
    assert (written.name, written.subject, written.session) == ("sub12_lux10.0", "12", "lux10.0")
    frames = read_frames(BUAA, tmp_path)
    np.testing.assert_allclose([frame.timestamp_s for frame in frames], times_s, atol=1e-6)
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.rgb, picture(index))
    label = BUAA.read_label(written)
    np.testing.assert_allclose(np.diff(label.pulse.timestamps_s), 1 / 60)
    assert label.pulse.timestamps_s[0] == 0
    assert label.pulse.timestamps_s[-1] >= times_s[-1]
    truth = measure(label.pulse.timestamps_s)["pulse"]
    np.testing.assert_allclose(label.pulse.samples, truth, rtol=0, atol=1e-12)
    assert not label.warnings


@pytest.mark.parametrize(
    ("subject", "light", "lux", "skipped"),
    [
        ("Sub 01", "lux 100.0", 100.0, False),
        ("Sub 01", "lux 10.0", 10.0, False),
        ("Sub 01", "lux 6.3", 6.3, True),
        ("Sub 04", "lux 100.0", 100.0, True),
        ("Sub 13", "Lux 25.1", 25.1, False),
        ("sub13", "lux40", 40.0, False),
    ],
)
def test_the_light_is_a_condition(tmp_path, subject, light, lux, skipped):
    (tmp_path / subject / light).mkdir(parents=True)
    conditions = only(tmp_path).conditions
    assert conditions == {"lux": lux, "skipped_by_physllm": skipped}


def test_sessions_go_through_the_published_light_or_have_a_given_one(tmp_path):
    for session in (0, 4, 10):
        BUAA.write(tmp_path, new_recording(session=session))
    given = NewRecording(**{**vars(new_recording(subject=2)), "conditions": {"lux": 31.6}})
    BUAA.write(tmp_path, given)
    found = {r.name: r.conditions["lux"] for r in BUAA.find(tmp_path).recordings}
    assert found == {
        "sub01_lux1.0": 1.0,
        "sub01_lux15.8": 15.8,
        "sub01_lux100.0": 100.0,
        "sub02_lux31.6": 31.6,
    }
    with pytest.raises(InputError, match="session 11 has no place"):
        BUAA.write(tmp_path, new_recording(session=11))


@every_form
def test_published_labels_are_read_at_their_rate(tree, form):
    pulse = np.arange(50, dtype=np.float64)[:, None]
    put_label(tree, form, fs=np.array([[50.0]]), data=pulse, peaks=np.array([[1, 7, 9]]))
    label = BUAA.read_label(only(tree))
    np.testing.assert_array_equal(label.pulse.samples, np.arange(50))
    np.testing.assert_allclose(label.pulse.timestamps_s, np.arange(50) / 50)
    assert not label.warnings


@every_form
@pytest.mark.parametrize(
    "rate", [{}, {"fs": np.array([[0.0]])}, {"fs": "fast"}, {"fs": {"hz": 60.0}}]
)
def test_a_rate_that_is_not_stated_is_taken_from_the_video_and_told(tree, form, rate):
    put_label(tree, form, data=np.arange(80.0)[:, None], **rate)
    label = BUAA.read_label(only(tree))
    np.testing.assert_allclose(label.pulse.timestamps_s, np.arange(80) / 60)
    (warning,) = label.warnings
    assert "states no rate" in warning
    assert "60.00 Hz" in warning


@every_form
@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "no variable 'PPG.data' in it, but x"),
        ({"fs": 60.0}, "no variable 'PPG.data' in it, but PPG"),
        ({"data": np.zeros((0, 1)), "fs": 60.0}, "holds 0 values"),
        ({"data": np.full((9, 1), np.nan), "fs": 60.0}, "NaN or infinity in 9 of 9"),
        ({"data": np.zeros((9, 2)), "fs": 60.0}, "not that of one signal"),
        ({"data": np.full((9, 1), -1e300), "fs": 60.0}, "pulse samples up to 1e+300"),
    ],
)
def test_a_damaged_label_is_named(tree, form, fields, problem):
    put_label(tree, form, **fields)
    with pytest.raises(InputError, match=r"PPGData\.mat: ") as caught:
        BUAA.read_label(only(tree))
    assert problem in str(caught.value)


def test_a_text_in_the_place_of_a_label_is_named(tree):
    (folder(tree) / "PPGData.mat").write_text("pulse\n" * 100)
    with pytest.raises(InputError, match=r"PPGData\.mat: not a MATLAB file"):
        BUAA.read_label(only(tree))


def test_tables_of_the_oximeter_belong_to_the_recording(tree):
    (folder(tree) / "lux100.0_SYN.csv").write_text("PULSE\n72\n")
    (folder(tree) / "notes.txt").touch()
    found = BUAA.find(tree)
    assert [stray.name for stray in found.strays] == ["notes.txt"]
    assert len(found.recordings[0].files) == 3


def test_a_recording_that_lacks_a_file_is_listed_and_the_file_named(tree):
    (folder(tree) / "PPGData.mat").unlink()
    with pytest.raises(InputError, match=r"sub01_lux100\.0 has no \.mat file"):
        BUAA.read_label(only(tree))
    (folder(tree) / "lux100.0_SYN.avi").unlink()
    with pytest.raises(InputError, match=r"sub01_lux100\.0 has no \.avi file"):
        BUAA.open_frames(only(tree))


def test_two_videos_of_one_recording_are_named(tree):
    (folder(tree) / "lux100.0_LXR.avi").touch()
    with pytest.raises(InputError, match=r"LXR\.avi, lux100\.0_SYN\.avi; leave one"):
        BUAA.open_frames(only(tree))


def test_a_truncated_video_is_named(tree):
    video = folder(tree) / "lux100.0_SYN.avi"
    video.write_bytes(video.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"SYN\.avi"):
        read_frames(BUAA, tree)


def test_wrong_roots_are_named(tree):
    with pytest.raises(InputError, match=r"expected Sub NN/.*1 found in"):
        BUAA.find(tree / "Sub 01")
