"""UBFC-Phys: what is written reads back, companions are no strays, damage is named."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from new_recordings import measure, new_recording, read_frames, soft_picture

from physkit.core.errors import InputError
from physkit.data.readers import READERS
from physkit.data.readers.ubfc_phys import UbfcPhysReader, excluded_by_toolbox

PHYS = UbfcPhysReader()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one recording."""
    PHYS.write(tmp_path, new_recording(fps=35.0, soft=True))
    return tmp_path


def only(root: Path):
    (recording,) = PHYS.find(root).recordings
    return recording


def test_the_registry_gives_it():
    assert READERS["ubfc-phys"] is UbfcPhysReader


def test_it_reads_back(tmp_path):
    written = PHYS.write(tmp_path, new_recording(subject=2, session=1, fps=35.0, soft=True))
    tree = PHYS.find(tmp_path)
    assert tree.recordings == (written,)
    assert not tree.strays
    assert (written.name, written.subject, written.session) == ("s2_T2", "s2", "T2")
    frames = read_frames(PHYS, tmp_path)
    times_s = [frame.timestamp_s for frame in frames]
    np.testing.assert_allclose(times_s, np.arange(40) / 35, atol=1e-6)
    got = [frame.rgb.mean() for frame in frames]
    np.testing.assert_allclose(got, [soft_picture(i).mean() for i in range(40)], atol=1.5)
    label = PHYS.read_label(written)
    np.testing.assert_allclose(
        label.pulse.samples, measure(label.pulse.timestamps_s)["pulse"], atol=1e-8
    )
    np.testing.assert_allclose(np.diff(label.pulse.timestamps_s), 1 / 64)
    assert label.pulse.timestamps_s[-1] >= times_s[-1]


def test_dropped_frames_stay_gaps(tmp_path):
    times_s = np.array([0, 1, 2, 5, 6, 9, 10, 11]) / 35
    PHYS.write(tmp_path, new_recording(fps=35.0, times_s=times_s, soft=True))
    got_s = [frame.timestamp_s for frame in read_frames(PHYS, tmp_path)]
    np.testing.assert_allclose(got_s, times_s, atol=1e-6)


def test_three_tasks_share_the_folder_of_a_person(tmp_path):
    for session in range(3):
        PHYS.write(tmp_path, new_recording(session=session, fps=35.0, soft=True))
    found = {r.name: r.conditions["task"] for r in PHYS.find(tmp_path).recordings}
    assert found == {"s1_T1": "rest", "s1_T2": "speech", "s1_T3": "arithmetic"}
    with pytest.raises(InputError, match="session 3 has no place"):
        PHYS.write(tmp_path, new_recording(session=3))


def test_what_the_archive_ships_beside_is_no_stray(tree):
    for name in ("eda_s1_T1.csv", "info_s1.txt", "selfReportedAnx_s1.csv", "vid_s2_T1.avi"):
        (tree / "s1" / name).write_text("0\n")
    found = PHYS.find(tree)
    assert [stray.name for stray in found.strays] == ["vid_s2_T1.avi"]
    assert "s1/eda_s1_T1.csv" in found.recordings[0].files


def test_the_67_recordings_of_the_toolbox_are_marked_and_kept(tmp_path):
    names = excluded_by_toolbox()
    assert len(names) == 67
    per_task = [sum(name.endswith(task) for name in names) for task in ("_T1", "_T2", "_T3")]
    assert per_task == [14, 30, 23]
    (tmp_path / "s3").mkdir()
    for task in ("T1", "T2", "T3"):
        (tmp_path / "s3" / f"vid_s3_{task}.avi").touch()
    marks = {
        recording.name: recording.conditions["excluded_by_toolbox"]
        for recording in PHYS.find(tmp_path).recordings
    }
    assert marks == {"s3_T1": True, "s3_T2": False, "s3_T3": False}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"\x1c\n", "empty"),
        (b"1.0\n", "1 pulse samples"),
        (b"1.0\nhigh\n2.0\n", "pulse is not made of numbers"),
        (b"1.0\nnan\n2.0\n", "pulse: 1 of 3 are no numbers"),
        (b"1.0,2.0\n1.0,2.0\n", "pulse is not made of numbers"),
        (b"\xff\xfe\x00", "not a text file"),
    ],
)
def test_a_damaged_label_is_named(tree, content, problem):
    (tree / "s1" / "bvp_s1_T1.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"bvp_s1_T1\.csv: ") as caught:
        PHYS.read_label(only(tree))
    assert problem in str(caught.value)


@pytest.mark.parametrize("lacking", ["vid_s1_T1.avi", "bvp_s1_T1.csv"])
def test_a_recording_that_lacks_a_file_is_listed_and_the_file_named(tree, lacking):
    (tree / "s1" / lacking).unlink()
    recording = only(tree)
    read = PHYS.open_frames if lacking.startswith("vid") else PHYS.read_label
    with pytest.raises(InputError, match=f"{lacking}: no such file"):
        read(recording)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary() | st.text("0123456789.e+-naif ,\n").map(str.encode))
def test_any_bytes_are_a_label_or_an_input_error(tmp_path, content):
    (tmp_path / "s1").mkdir(exist_ok=True)
    (tmp_path / "s1" / "bvp_s1_T1.csv").write_bytes(content)
    try:
        label = PHYS.read_label(only(tmp_path))
    except InputError:
        return
    assert np.isfinite(label.pulse.samples).all()
