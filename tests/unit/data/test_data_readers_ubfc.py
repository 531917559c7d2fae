"""UBFC-rPPG: what is written reads back, frames take their label's times, damage is named."""

from pathlib import Path

import numpy as np
import pytest
from clips import damage_packets, noisy_pictures, write_video
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from new_recordings import measure, new_recording, picture, read_frames

from physkit.core.errors import InputError
from physkit.data.readers import READERS
from physkit.data.readers.ubfc import UbfcReader, UbfcSet1Reader

SET_2, SET_1 = UbfcReader(), UbfcSet1Reader()
JITTERED_S = np.cumsum([0.0, 0.03, 0.035, 0.031, 0.034, 0.12, 0.033, 0.034, 0.03, 0.04, 0.033])


@pytest.fixture
def set_2(tmp_path: Path) -> Path:
    """A tree with one recording."""
    SET_2.write(tmp_path, new_recording())
    return tmp_path


@pytest.fixture
def set_1(tmp_path: Path) -> Path:
    """A tree with one recording."""
    SET_1.write(tmp_path, new_recording(fps=28.7))
    return tmp_path


def truth_file(root: Path) -> Path:
    return root / "subject1" / "ground_truth.txt"


def edit_line(root: Path, line: int, change) -> None:
    """Changes the numbers of one line of the label; `change` gets and gives a list of texts."""
    lines = [text.split() for text in truth_file(root).read_text().splitlines()]
    lines[line] = change(lines[line])
    truth_file(root).write_text("\n".join(" ".join(numbers) for numbers in lines))


def only(reader, root: Path):
    (recording,) = reader.find(root).recordings
    return recording


def test_the_registry_gives_both_sets():
    assert READERS["ubfc"] is UbfcReader
    assert READERS["ubfc-set1"] is UbfcSet1Reader


@pytest.mark.parametrize("times_s", [np.arange(40) / 30, JITTERED_S])
def test_set_2_reads_back_bit_for_bit_at_its_true_times(tmp_path, times_s):
    written = SET_2.write(tmp_path, new_recording(subject=7, times_s=times_s))
    tree = SET_2.find(tmp_path)
    assert tree.recordings == (written,)
    assert not tree.strays
    assert (written.name, written.subject) == ("subject7", "7")
    frames = read_frames(SET_2, tmp_path)
    assert len(frames) == len(times_s)
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.rgb, picture(index))
        assert frame.timestamp_s == pytest.approx(times_s[index], abs=1e-9)


def test_set_2_label_is_the_truth_at_its_stated_times(set_2):
    label = SET_2.read_label(only(SET_2, set_2))
    truth = measure(label.pulse.timestamps_s)
    np.testing.assert_allclose(label.pulse.samples, truth["pulse"], atol=1e-8)
    np.testing.assert_allclose(label.columns["heart_rate_bpm"], truth["heart_rate_bpm"], rtol=1e-8)
    assert label.warnings == ()
    assert label.pulse.timestamps_s[0] == 0.0


def test_set_2_has_one_session(tmp_path):
    with pytest.raises(InputError, match="session 1 has no place"):
        SET_2.write(tmp_path, new_recording(session=1))


def test_times_count_from_the_first(set_2):
    edit_line(set_2, 2, lambda times: [repr(float(time) + 5) for time in times])
    label = SET_2.read_label(only(SET_2, set_2))
    np.testing.assert_allclose(label.pulse.timestamps_s, np.arange(40) / 30, atol=1e-8)
    assert read_frames(SET_2, set_2)[0].timestamp_s == 0.0


def test_a_sample_that_is_not_later_is_dropped_with_its_frame(set_2):
    edit_line(set_2, 2, lambda times: [*times[:7], times[6], *times[8:]])
    label = SET_2.read_label(only(SET_2, set_2))
    assert len(label.pulse.samples) == 39
    assert "dropped 1 of 40 samples" in label.warnings[0]
    frames = read_frames(SET_2, set_2)
    np.testing.assert_array_equal(frames[7].rgb, picture(8))
    np.testing.assert_allclose([f.timestamp_s for f in frames], label.pulse.timestamps_s)


def test_a_clock_that_often_runs_back_is_refused(set_2):
    edit_line(set_2, 2, lambda times: [*times[:20], *times[:3], *times[23:]])
    recording = only(SET_2, set_2)
    for read in (SET_2.read_label, SET_2.open_frames):
        with pytest.raises(InputError, match=r"ground_truth\.txt: 3 of 40 times are not later"):
            read(recording)


def test_a_label_that_ends_early_is_paired_as_far_as_it_goes(set_2):
    for line in range(3):
        edit_line(set_2, line, lambda numbers: numbers[:38])
    assert len(read_frames(SET_2, set_2)) == 38


def test_a_video_that_lacks_some_frames_is_paired_and_told(tmp_path):
    SET_2.write(tmp_path, new_recording())
    label = truth_file(tmp_path).read_text()
    SET_2.write(tmp_path, new_recording(times_s=np.arange(37) / 30))
    truth_file(tmp_path).write_text(label)
    assert len(read_frames(SET_2, tmp_path)) == 37
    warnings = SET_2.read_label(only(SET_2, tmp_path)).warnings
    assert warnings == ("vid.avi holds 37 frames and ground_truth.txt 40 samples",)


@pytest.mark.parametrize(("n_frames", "n_samples"), [(80, 40), (40, 80)])
def test_lengths_that_differ_by_more_than_a_second_are_named(tmp_path, n_frames, n_samples):
    SET_2.write(tmp_path, new_recording(times_s=np.arange(n_samples) / 30))
    label = truth_file(tmp_path).read_text()
    SET_2.write(tmp_path, new_recording(times_s=np.arange(n_frames) / 30))
    truth_file(tmp_path).write_text(label)
    recording = only(SET_2, tmp_path)
    message = f"holds {n_frames} frames and ground_truth.txt {n_samples} samples"
    assert message in SET_2.read_label(recording).warnings[0]
    seen = []
    with pytest.raises(InputError, match=message), SET_2.open_frames(recording) as frames:
        seen.extend(frame.timestamp_s for frame in frames)
    assert len(seen) == 40


def test_a_truncated_video_is_named_and_its_label_still_read(set_2):
    video = set_2 / "subject1" / "vid.avi"
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 6 // 10])
    recording = only(SET_2, set_2)
    label = SET_2.read_label(recording)
    assert (len(label.pulse.samples), label.warnings) == (40, ())
    with pytest.raises(InputError, match=r"vid\.avi"):
        read_frames(SET_2, set_2)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b" \n \n", "empty"),
        (b"1 2 3\n60 60 60\n", "2 lines and not three"),
        (b"1 2 3\n60 60 60\n0 1\n", "3, 3 and 2 numbers"),
        (b"1 x 3\n60 60 60\n0 1 2\n", "line 1 is not made of numbers"),
        (b"1 nan 3\n60 60 60\n0 1 2\n", "line 1: 1 of 3 are no numbers"),
        (b"1 2 3\n60 60 60\n0 inf inf\n", "line 3: 2 of 3 are no numbers"),
        (b"1\n60\n0\n", "1 pulse samples"),
        (b"1 2\n60 60\n0 0\n", "1 of 2 times are not later"),
        (b"\xff\xfe\x00", "not a text file"),
    ],
)
def test_a_damaged_label_is_named(set_2, content, problem):
    truth_file(set_2).write_bytes(content)
    with pytest.raises(InputError, match=r"ground_truth\.txt: ") as caught:
        SET_2.read_label(only(SET_2, set_2))
    assert problem in str(caught.value)


def test_a_lost_number_costs_its_moment_alone(set_2):
    lines = [line.split() for line in truth_file(set_2).read_text().splitlines()]
    lines[0][7], lines[1], lines[2][0], lines[2][20] = "nan", ["nan"] * 40, "nan", "inf"
    truth_file(set_2).write_text("\n".join(" ".join(line) for line in lines))
    recording = only(SET_2, set_2)
    label = SET_2.read_label(recording)
    assert label.warnings == ("ground_truth.txt: dropped 2 of 40 samples, not later than before",)
    assert np.flatnonzero(np.isnan(label.pulse.samples)).tolist() == [6]
    assert label.pulse.timestamps_s[:2] == pytest.approx([0, 1 / 30], abs=1e-3)
    assert len(read_frames(SET_2, set_2)) == 38


@pytest.mark.parametrize("lacking", ["vid.avi", "ground_truth.txt"])
def test_a_recording_that_lacks_a_file_is_listed_and_the_file_named(set_2, lacking):
    (set_2 / "subject1" / lacking).unlink()
    recording = only(SET_2, set_2)
    with pytest.raises(InputError, match=f"{lacking}: no such file"):
        read_frames(SET_2, set_2)
    if lacking == "vid.avi":
        assert len(SET_2.read_label(recording).pulse.samples) == 40


def test_writing_again_replaces(set_2):
    SET_2.write(set_2, new_recording(times_s=np.arange(12) / 30))
    assert len(read_frames(SET_2, set_2)) == 12
    assert {entry.name for entry in set_2.iterdir()} == {"subject1"}


def test_set_1_reads_back_with_the_label_on_its_own_clock(tmp_path):
    written = SET_1.write(tmp_path, new_recording(subject=10, fps=28.7))
    tree = SET_1.find(tmp_path)
    assert tree.recordings == (written,)
    assert not tree.strays
    assert (written.name, written.subject) == ("10-gt", "10")
    frames = read_frames(SET_1, tmp_path)
    np.testing.assert_array_equal(frames[39].rgb, picture(39))
    times_s = [frame.timestamp_s for frame in frames]
    np.testing.assert_allclose(times_s, np.arange(40) / 28.7, atol=1e-6)
    label = SET_1.read_label(written)
    truth = measure(label.pulse.timestamps_s)
    np.testing.assert_allclose(label.pulse.samples, truth["pulse"], atol=1e-8)
    np.testing.assert_allclose(label.columns["spo2_percent"], 98)
    np.testing.assert_allclose(label.columns["heart_rate_bpm"], truth["heart_rate_bpm"], atol=1e-3)
    assert np.diff(label.pulse.timestamps_s).mean() == pytest.approx(1 / 62, rel=0.01)
    assert label.pulse.timestamps_s[-1] >= times_s[-1]


def test_set_1_finds_the_names_that_are_in_use(tmp_path):
    for folder, file in (("5-gt", "vid.avi"), ("12-gt", "vid-12.avi"), ("after-exercise", "x")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / file).touch()
    (tmp_path / "someone").mkdir()
    (tmp_path / "someone" / "gtdump.xmp").touch()
    found = {recording.name: recording.files[0] for recording in SET_1.find(tmp_path).recordings}
    assert found == {
        "5-gt": "5-gt/vid.avi",
        "12-gt": "12-gt/vid-12.avi",
        "after-exercise": "after-exercise/vid.avi",
        "someone": "someone/vid.avi",
    }


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"\x1c\n", "empty"),
        (b"0,60,98\n16,60,98\n", "not four numbers"),
        (b"0,60,98,1\n16,60,98,1,2\n", "not four numbers"),
        (b"0,60,98,1\n16,60,98,high\n", "pulse is not made of numbers"),
        (b"0,60,98,1\n-1,60,98,1\n", "1 of 2 times are not later"),
        (b"0,60,98,1\n", "1 pulse samples"),
    ],
)
def test_a_damaged_set_1_label_is_named(set_1, content, problem):
    (set_1 / "1-gt" / "gtdump.xmp").write_bytes(content)
    with pytest.raises(InputError, match=r"gtdump\.xmp: ") as caught:
        SET_1.read_label(only(SET_1, set_1))
    assert problem in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary() | st.text("0123456789.e+-naif ,\n").map(str.encode))
def test_any_bytes_are_a_label_or_an_input_error(tmp_path, content):
    for reader, folder, file in (
        (SET_2, "subject1", "ground_truth.txt"),
        (SET_1, "1-gt", "gtdump.xmp"),
    ):
        root = tmp_path / reader.name
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / file).write_bytes(content)
        try:
            label = reader.read_label(only(reader, root))
        except InputError:
            continue
        assert (np.diff(label.pulse.timestamps_s) > 0).all()
        assert np.isfinite(label.pulse.samples).all()


@pytest.mark.parametrize("name", ["vid.avi", "bare.mjpeg"])
def test_set_2_keeps_pairs_behind_a_damaged_picture(set_2, name):
    video = write_video(
        set_2 / name, noisy_pictures(40), codec="mjpeg", pixels="yuvj420p", options={}
    )
    damage_packets(video, slice(20, 22))
    video.rename(set_2 / "subject1" / "vid.avi")
    recording = only(SET_2, set_2)
    with SET_2.open_frames(recording) as source:
        frames = list(source)
    assert [f.timestamp_s for f in frames] == pytest.approx(np.arange(40) / 30)
    assert [i for i, f in enumerate(frames) if f.picture is None] == [20, 21]
    assert source.damage.n_damaged == 2
    (warning,) = source.warnings
    assert warning.startswith("2 pictures are damaged")
