"""Finding recordings: order, strays, wrong roots, names that lead elsewhere, unfinished writes."""

import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from new_recordings import HEIGHT, WIDTH, measure, new_recording, picture
from upath import UPath

from physkit.core.errors import InputError
from physkit.core.types import Pulse
from physkit.data.formats.truth import Truth, read_truth, write_truth
from physkit.data.readers.base import NewRecording
from physkit.data.readers.buaa_mihr import BuaaMihrReader
from physkit.data.readers.cohface import CohfaceReader
from physkit.data.readers.ibvp import IbvpReader
from physkit.data.readers.mmpd import MmpdReader
from physkit.data.readers.pure import PureReader
from physkit.data.readers.scamps import ScampsReader
from physkit.data.readers.ubfc import UbfcReader, UbfcSet1Reader
from physkit.data.readers.ubfc_phys import UbfcPhysReader
from physkit.data.recording import Recording
from physkit.media.frames import Frame
from physkit.media.video import VideoFile
from physkit.prepare.source import list_files

UBFC = UbfcReader()
READERS_AND_FILES = [
    (UBFC, "subject{}/vid.avi"),
    (UbfcSet1Reader(), "{}-gt/vid.avi"),
    (PureReader(), "{:02d}-01/{:02d}-01.json"),
    (UbfcPhysReader(), "s{}/vid_s{}_T1.avi"),
    (CohfaceReader(), "{}/0/data.avi"),
    (MmpdReader(), "subject{}/p{}_0.mat"),
    (BuaaMihrReader(), "Sub {:02d}/lux 10.0/lux10.0_APH.avi"),
    (IbvpReader(), "p{:02d}_a/p{:02d}_a_bvp.csv"),
    (ScampsReader(), "P{:06d}.mat"),
]

every_reader = pytest.mark.parametrize(
    "reader",
    [reader for reader, _ in READERS_AND_FILES],
    ids=[reader.name for reader, _ in READERS_AND_FILES],
)


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A tree of three recordings, which hold empty files, in a folder of its own."""
    root = tmp_path / "three"
    for subject in (10, 9, 1):
        touch(root / f"subject{subject}" / "vid.avi")
    return root


def test_recordings_come_in_natural_order(three):
    names = [recording.name for recording in UBFC.find(three).recordings]
    assert names == ["subject1", "subject9", "subject10"]


@pytest.mark.parametrize(
    ("reader", "file"), READERS_AND_FILES, ids=[reader.name for reader, _ in READERS_AND_FILES]
)
def test_half_a_recording_is_listed_by_every_reader_on_any_file_system(reader, file):
    root = UPath(f"memory://{reader.name}")
    (root / "elsewhere").mkdir(parents=True, exist_ok=True)
    for subject in (10, 9):
        path = root / file.format(subject, subject)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (root / "notes.txt").write_bytes(b"")
    tree = reader.find(root)
    assert [recording.dataset for recording in tree.recordings] == [reader.name] * 2
    assert [stray.name for stray in tree.strays] == ["notes.txt"]


def test_strays_are_told_and_hidden_files_are_not(three):
    touch(three / "readme.txt")
    touch(three / "subject1" / "copy of vid.avi")
    touch(three / "subject x" / "vid.avi")
    touch(three / ".DS_Store")
    strays = [stray.relative_to(three).as_posix() for stray in UBFC.find(three).strays]
    assert strays == ["readme.txt", "subject x/vid.avi", "subject1/copy of vid.avi"]


def test_a_missing_root_is_named_with_the_expected_tree(tmp_path):
    with pytest.raises(InputError, match=r"none: no such folder; .*subjectN/vid\.avi"):
        UBFC.find(tmp_path / "none")


def test_a_root_too_high_or_too_deep_names_the_right_one(three):
    for wrong in (three.parent, three / "subject1"):
        with pytest.raises(InputError, match=f"3 found in {three}: give that as --raw"):
            UBFC.find(wrong)


def test_a_root_two_levels_too_high_names_the_right_one(tmp_path):
    for subject in (1, 2):
        touch(tmp_path / "data" / "DATASET_2" / f"subject{subject}" / "vid.avi")
    with pytest.raises(InputError, match=r"2 found in .*DATASET_2: give that as --raw"):
        UBFC.find(tmp_path)


def test_the_nearest_match_is_not_another_data_sets(tmp_path):
    touch(tmp_path / "a_mmpd" / "subject1" / "p1_0.mat")
    touch(tmp_path / "b_ubfc" / "subject1" / "vid.avi")
    touch(tmp_path / "b_ubfc" / "subject1" / "ground_truth.txt")
    touch(tmp_path / "b_ubfc" / "subject2" / "vid.avi")
    with pytest.raises(InputError, match=r"2 found in .*b_ubfc: give that as --raw"):
        UBFC.find(tmp_path)


def test_a_link_that_leads_in_a_circle_is_a_stray(three):
    (three / "subject1" / "up").symlink_to("..")
    strays = [stray.relative_to(three).as_posix() for stray in UBFC.find(three).strays]
    assert strays == ["subject1/up"]


def test_a_root_of_something_else_tells_what_is_there(tmp_path):
    root = tmp_path / "holiday"
    for index in range(7):
        touch(root / f"photo{index}.jpg")
    with pytest.raises(InputError, match=r"it holds photo0\.jpg, .*photo4\.jpg and 2 more"):
        UBFC.find(root)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="it is empty"):
        UBFC.find(tmp_path / "empty")


def disk_and_links(reader, tmp_path: Path, *, whole_folders: bool) -> Path:
    """A tree of links, to the folders or the files of a recording that lies elsewhere."""
    disk, root = tmp_path / "disk", tmp_path / "root"
    disk.mkdir()
    root.mkdir()
    reader.write(disk, new_recording(fps=reader.layout.fps, soft=True))
    for entry in disk.iterdir() if whole_folders else disk.rglob("*"):
        link = root / entry.relative_to(disk)
        if entry.is_dir() and not whole_folders:
            link.mkdir()
        else:
            link.symlink_to(entry)
    return root


@pytest.mark.parametrize("whole_folders", [True, False], ids=["folders", "files"])
@every_reader
def test_links_to_another_disk_are_followed(reader, tmp_path, whole_folders):
    root = disk_and_links(reader, tmp_path, whole_folders=whole_folders)
    tree = reader.find(root)
    (recording,) = tree.recordings
    assert (tree.strays, recording.is_complete) == ((), True)
    (original,) = reader.find(tmp_path / "disk").recordings
    np.testing.assert_array_equal(
        reader.read_label(recording).pulse.samples, reader.read_label(original).pulse.samples
    )
    with reader.open_frames(recording) as source:
        assert len(list(source)) == 40
    assert recording.conditions == original.conditions
    assert list_files(recording).sizes == list_files(original).sizes


HIDDEN = (".DS_Store", "Thumbs.db", "desktop.ini", ".~lock.data.avi#", "~$notes.txt")


@every_reader
def test_hidden_files_are_no_data(reader, tmp_path):
    written = reader.write(tmp_path, new_recording(fps=reader.layout.fps, soft=True))
    before = list_files(written).sizes
    for entry in list(tmp_path.rglob("*")):
        (entry.parent / f"._{entry.name}").write_bytes(b"\0\5\x16\7")
    for folder in [tmp_path, *(entry for entry in tmp_path.rglob("*") if entry.is_dir())]:
        for name in HIDDEN:
            (folder / name).write_bytes(b"hidden")
        (folder / "__MACOSX").mkdir()
        (folder / "__MACOSX" / "._vid.avi").write_bytes(b"\0\5\x16\7")
    tree = reader.find(tmp_path)
    assert tree.recordings == (written,)
    assert tree.strays == ()
    assert list_files(written).sizes == before
    assert reader.read_label(written).warnings == ()
    with reader.open_frames(written) as source:
        frames = list(source)
    assert len(frames) == 40
    assert source.warnings == ()


def test_dead_links_are_told_by_where_they_lead(three, tmp_path):
    (three / "subject5").symlink_to(tmp_path / "gone")
    tree = UBFC.find(three)
    assert len(tree.recordings) == 3
    assert tree.dead_links == (three / "subject5",)
    (three / "subject1" / "vid.avi").unlink()
    (three / "subject1" / "vid.avi").symlink_to(tmp_path / "gone.avi")
    (three / "subject9" / "ground_truth.txt").symlink_to(three / "subject9" / "ground_truth.txt")
    recordings = UBFC.find(three).recordings
    with pytest.raises(InputError, match=r"subject9/ground_truth\.txt: .*symbolic links"):
        UBFC.read_label(recordings[1])
    with pytest.raises(InputError, match=r"vid\.avi: a link to .*gone\.avi, where nothing"):
        VideoFile(recordings[0].path("subject1/vid.avi"))
    only = tmp_path / "only"
    only.mkdir()
    (only / "subject5").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"subject5: a link to .*gone, where nothing is"):
        UBFC.find(only)


def test_links_in_a_circle_end(tmp_path):
    reader = PureReader()
    written = reader.write(tmp_path, new_recording(soft=True))
    before = list_files(written).sizes
    images = written.path(written.files[0])
    (images / "up").symlink_to("..")
    (images / "here").symlink_to(".")
    (tmp_path / "round").symlink_to(tmp_path)
    sizes = list_files(written).sizes
    assert before.items() <= sizes.items()
    assert len(sizes) < 4 * len(before)
    tree = reader.find(tmp_path)
    assert tree.recordings == (written,)
    with reader.open_frames(written) as source:
        assert len(list(source)) == 40


@pytest.mark.parametrize("file", ["../outside.avi", "/etc/passwd", "a/../../outside.avi"])
def test_a_file_outside_the_root_is_refused(tmp_path, file):
    recording = Recording("ubfc", "a", "1", "1", tmp_path, (file,))
    with pytest.raises(InputError, match="outside"):
        recording.path(file)


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a b", "a\n"])
def test_a_name_that_is_no_folders_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="no usable recording name"):
        Recording("ubfc", name, "1", "1", tmp_path, ())


def test_conditions_of_synthetic_recordings_are_added_and_their_truth_is_no_stray(tmp_path):
    reader = PureReader()
    written = reader.write(tmp_path, new_recording())
    truth = Truth(
        conditions={"task": "steady"},
        parameters={"noise": 0.5},
        heart_rate_bpm=72.0,
        beat_times_s=np.array([0.1, 0.9]),
        pulse=Pulse(np.zeros(3), np.arange(3.0)),
        face_boxes=np.zeros((3, 4)),
    )
    write_truth(tmp_path, written.name, truth)
    tree = reader.find(tmp_path)
    assert tree.recordings[0].conditions == {"task": "steady"}
    assert tree.recordings[0].parameters == {"noise": 0.5}
    assert not tree.strays
    (tmp_path / "synthetic" / "other.conditions.json").write_text("{")
    kept = read_truth(tmp_path, written.name)
    assert (kept.conditions, kept.parameters) == (truth.conditions, truth.parameters)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "5",
        "null",
        '{"a": [1]}',
        '{"a": {"b": 1}}',
        '{"a": null}',
        '{"a": NaN}',
        '{"parameters": 1}',
    ],
)
def test_damaged_conditions_are_named(content, three):
    touch(three / "synthetic" / "subject9.conditions.json")
    (three / "synthetic" / "subject9.conditions.json").write_text(content)
    with pytest.raises(InputError, match=r"subject9\.conditions\.json: damaged"):
        UBFC.find(three)


def test_conditions_may_be_links(three, tmp_path):
    (tmp_path / "elsewhere.json").write_text('{"a": 1}')
    (three / "synthetic").mkdir()
    (three / "synthetic" / "subject9.conditions.json").symlink_to(tmp_path / "elsewhere.json")
    (three / "synthetic" / "._subject9.conditions.json").write_bytes(b"\0\5\x16\7")
    assert UBFC.find(three).recordings[1].conditions == {"a": 1}


def stopping(end: Callable[[], None]) -> NewRecording:
    """A recording whose frames end in something else after nine."""

    def frames() -> Iterator[Frame]:
        for index in range(9):
            yield Frame(picture(index), index / 30)
        end()

    return NewRecording(1, 0, {}, WIDTH, HEIGHT, 30.0, 1.0, frames(), measure)


@every_reader
def test_a_write_that_fails_leaves_nothing(reader, tmp_path):
    def fail() -> None:
        raise InputError("the source: broke; mend it")

    with pytest.raises(InputError, match="the source"):
        reader.write(tmp_path, stopping(fail))
    assert not list(tmp_path.iterdir())


@every_reader
def test_a_killed_write_does_not_show_and_the_next_clears_it(reader, tmp_path):
    broken = stopping(lambda: os.kill(os.getpid(), signal.SIGKILL))
    child = get_context("fork").Process(target=reader.write, args=(tmp_path, broken))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert list(tmp_path.iterdir())
    with pytest.raises(InputError, match="it is empty"):
        reader.find(tmp_path)
    written = reader.write(tmp_path, new_recording())
    assert not list(tmp_path.glob(".*"))
    tree = reader.find(tmp_path)
    assert tree.recordings == (written,)
    assert not tree.strays


def test_a_root_that_cannot_be_written_is_named(tmp_path):
    touch(tmp_path / "file")
    with pytest.raises(InputError, match=r"subject1: cannot be written .*choose another place"):
        UBFC.write(tmp_path / "file", new_recording())
