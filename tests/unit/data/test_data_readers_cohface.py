"""COHFACE: what is written reads back, and damage is named."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from new_recordings import measure, new_recording, read_frames, soft_picture

from physkit.core.errors import InputError
from physkit.data.readers import READERS
from physkit.data.readers.cohface import CohfaceReader

COHFACE = CohfaceReader()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one recording."""
    COHFACE.write(tmp_path, new_recording(fps=20.0, soft=True))
    return tmp_path


def label_file(root: Path) -> Path:
    return root / "1" / "0" / "data.hdf5"


def only(root: Path):
    (recording,) = COHFACE.find(root).recordings
    return recording


def test_the_registry_gives_it():
    assert READERS["cohface"] is CohfaceReader


def test_it_reads_back(tmp_path):
    times_s = np.array([0, 1, 2, 3, 4, 7, 8, 9, 10, 14, 15, 16]) / 20
    written = COHFACE.write(
        tmp_path, new_recording(subject=12, session=3, fps=20.0, times_s=times_s, soft=True)
    )
    tree = COHFACE.find(tmp_path)
    assert tree.recordings == (written,)
    assert not tree.strays
    assert (written.name, written.subject, written.session) == ("12_3", "12", "3")
    frames = read_frames(COHFACE, tmp_path)
    got_s = [frame.timestamp_s for frame in frames]
    np.testing.assert_allclose(got_s, times_s, atol=1e-6)
    got = [frame.rgb.mean() for frame in frames]
    np.testing.assert_allclose(got, [soft_picture(i).mean() for i in range(12)], atol=2.5)
    label = COHFACE.read_label(written)
    truth = measure(label.pulse.timestamps_s)
    np.testing.assert_allclose(label.pulse.samples, truth["pulse"], atol=1e-12)
    np.testing.assert_allclose(label.columns["respiration"], truth["respiration"], atol=1e-12)
    np.testing.assert_allclose(np.diff(label.pulse.timestamps_s), 1 / 256)
    assert label.pulse.timestamps_s[-1] >= times_s[-1]


def test_the_first_two_sessions_have_a_spot(tmp_path):
    for session in range(4):
        COHFACE.write(tmp_path, new_recording(session=session, fps=20.0, soft=True))
    found = {r.name: r.conditions["light"] for r in COHFACE.find(tmp_path).recordings}
    assert found == {"1_0": "spot", "1_1": "spot", "1_2": "natural", "1_3": "natural"}
    with pytest.raises(InputError, match="session 4 has no place"):
        COHFACE.write(tmp_path, new_recording(session=4))


def change(root: Path, **arrays) -> None:
    """Replaces arrays of the label; None removes one."""
    with h5py.File(label_file(root), "r+") as file:
        for name, array in arrays.items():
            del file[name]
            if array is not None:
                file[name] = array


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"pulse": None}, "not a label of COHFACE"),
        ({"time": None}, "not a label of COHFACE"),
        ({"pulse": np.zeros(3)}, "3 pulse and"),
        ({"pulse": np.full(359, np.nan)}, "pulse: 359 of 359 are no numbers"),
        ({"pulse": np.array([b"a", b"b"])}, "pulse is not made of numbers"),
        ({"time": np.zeros(0), "pulse": np.zeros(0), "respiration": np.zeros(0)}, "0 pulse"),
        ({"time": np.zeros(9), "pulse": np.zeros(9), "respiration": np.zeros(9)}, "8 of 9 times"),
        ({"pulse": np.zeros((2, 2)), "time": np.zeros((2, 2))}, "4 times, 4 pulse and"),
    ],
)
def test_a_damaged_label_is_named(tree, arrays, problem):
    change(tree, **arrays)
    with pytest.raises(InputError, match=r"data\.hdf5: ") as caught:
        COHFACE.read_label(only(tree))
    assert problem in str(caught.value)


def test_a_label_without_respiration_is_read(tree):
    change(tree, respiration=None)
    label = COHFACE.read_label(only(tree))
    assert (dict(label.columns), label.warnings) == ({}, ("data.hdf5: respiration is unknown",))


def test_a_group_in_the_place_of_an_array_is_named(tree):
    with h5py.File(label_file(tree), "r+") as file:
        del file["pulse"]
        file.create_group("pulse")
    with pytest.raises(InputError, match="not a label of COHFACE"):
        COHFACE.read_label(only(tree))


@pytest.mark.parametrize("n_bytes", [0, 20, 900])
def test_a_truncated_label_is_named(tree, n_bytes):
    label_file(tree).write_bytes(label_file(tree).read_bytes()[:n_bytes])
    with pytest.raises(InputError, match=r"data\.hdf5: not a readable HDF5 file"):
        COHFACE.read_label(only(tree))


@pytest.mark.parametrize("lacking", ["data.avi", "data.hdf5"])
def test_a_recording_that_lacks_a_file_is_listed_and_the_file_named(tree, lacking):
    (tree / "1" / "0" / lacking).unlink()
    recording = only(tree)
    read = COHFACE.open_frames if lacking == "data.avi" else COHFACE.read_label
    with pytest.raises(InputError, match=f"{lacking}: no such file"):
        read(recording)
