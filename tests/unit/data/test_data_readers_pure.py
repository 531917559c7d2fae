"""PURE: what is written reads back to the nanosecond, and damage is named."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from new_recordings import measure, new_recording, picture, read_frames

from physkit.core.errors import InputError
from physkit.data.readers import READERS
from physkit.data.readers.pure import TASKS, PureReader

PURE = PureReader()
DROPPED_S = np.array([0, 1, 2, 3, 7, 8, 9, 10.25, 11]) / 30


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one recording."""
    PURE.write(tmp_path, new_recording())
    return tmp_path


def label_file(root: Path) -> Path:
    return root / "01-01" / "01-01.json"


def images(root: Path) -> list[Path]:
    return sorted((root / "01-01" / "01-01").iterdir())


def edit(root: Path, change) -> None:
    """Changes the label's document in place."""
    document = json.loads(label_file(root).read_text())
    change(document)
    label_file(root).write_text(json.dumps(document))


def only(root: Path):
    (recording,) = PURE.find(root).recordings
    return recording


def test_the_registry_gives_it():
    assert READERS["pure"] is PureReader


@pytest.mark.parametrize("times_s", [np.arange(40) / 30, DROPPED_S])
def test_it_reads_back_bit_for_bit_at_its_true_times(tmp_path, times_s):
    written = PURE.write(tmp_path, new_recording(times_s=times_s))
    tree = PURE.find(tmp_path)
    assert tree.recordings == (written,)
    assert not tree.strays
    frames = read_frames(PURE, tmp_path)
    assert len(frames) == len(times_s)
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.rgb, picture(index))
        assert frame.timestamp_s == pytest.approx(times_s[index], abs=1e-9)


def test_the_label_is_the_truth_at_its_stated_times(tree):
    label = PURE.read_label(only(tree))
    truth = measure(label.pulse.timestamps_s)
    np.testing.assert_allclose(label.pulse.samples, truth["pulse"], atol=1e-9)
    np.testing.assert_allclose(label.columns["heart_rate_bpm"], truth["heart_rate_bpm"])
    assert set(label.columns) == {"heart_rate_bpm", "spo2_percent", "signal_strength"}
    assert np.diff(label.pulse.timestamps_s).mean() == pytest.approx(1 / 60, rel=1e-6)
    assert label.pulse.timestamps_s[-1] >= 39 / 30
    assert label.warnings == ()


@pytest.mark.parametrize("session", range(6))
def test_sessions_are_the_six_tasks(tmp_path, session):
    recording = PURE.write(tmp_path, new_recording(subject=3, session=session))
    assert recording.name == f"03-0{session + 1}"
    assert (recording.subject, recording.session) == ("03", f"0{session + 1}")
    assert recording.conditions == {"task": TASKS[session]}


def test_there_is_no_seventh_task(tmp_path):
    with pytest.raises(InputError, match="session 6 has no place"):
        PURE.write(tmp_path, new_recording(session=6))


def test_images_may_lie_beside_the_label(tree):
    for image in images(tree):
        image.rename(tree / "01-01" / image.name)
    (tree / "01-01" / "01-01").rmdir()
    assert not PURE.find(tree).strays
    assert len(read_frames(PURE, tree)) == 40
    assert PURE.read_label(only(tree)).pulse.timestamps_s[0] == 0.0


def test_a_label_that_began_before_the_video_has_times_below_zero(tree):
    images(tree)[0].unlink()
    label = PURE.read_label(only(tree))
    assert label.pulse.timestamps_s[0] == pytest.approx(-1 / 30, abs=1e-8)
    assert read_frames(PURE, tree)[0].timestamp_s == 0.0
    listed = "01-01.json: lists 40 images, 1 of which are not there; 0 of 39 there are not listed"
    assert label.warnings == (listed,)


def test_a_label_reads_without_its_images(tree):
    for image in images(tree):
        image.unlink()
    recording = only(tree)
    assert PURE.read_label(recording).pulse.timestamps_s[0] == 0.0
    with pytest.raises(InputError, match="01-01: a folder with no images"):
        PURE.open_frames(recording)
    images(tree)
    (tree / "01-01" / "01-01").rmdir()
    label_file(tree).rename(tree / "01-01" / "other.json")
    with pytest.raises(InputError, match="no such file"):
        PURE.read_label(only(tree))


def test_times_that_are_not_later_are_dropped(tree):
    def stall(document):
        packages = document["/FullPackage"]
        packages[5]["Timestamp"] = packages[4]["Timestamp"]

    edit(tree, stall)
    label = PURE.read_label(only(tree))
    n = len(label.pulse.samples)
    assert label.warnings == (f"01-01.json: dropped 1 of {n + 1} samples, not later than before",)


def test_a_column_that_was_not_measured_is_left_out(tree):
    edit(tree, lambda document: document["/FullPackage"][0]["Value"].pop("signalStrength"))
    assert set(PURE.read_label(only(tree)).columns) == {"heart_rate_bpm", "spo2_percent"}


def test_what_stands_beside_the_pulse_costs_no_recording(tree):
    def spoil(document):
        document["/FullPackage"][2]["Value"]["pulseRate"] = "fast"
        document["/FullPackage"][3]["Value"]["o2saturation"] = None

    edit(tree, spoil)
    label = PURE.read_label(only(tree))
    assert np.flatnonzero(np.isnan(label.columns["heart_rate_bpm"])).tolist() == [2]
    assert np.flatnonzero(np.isnan(label.columns["spo2_percent"])).tolist() == [3]
    assert label.warnings == (
        f"01-01.json: pulseRate is unknown in 1 of {len(label.pulse.samples)} places",
        f"01-01.json: o2saturation is unknown in 1 of {len(label.pulse.samples)} places",
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: d.pop("/FullPackage"), "not a label of PURE"),
        (lambda d: d.update({"/FullPackage": []}), "0 pulse samples"),
        (lambda d: d.update({"/FullPackage": 3}), "not a label of PURE"),
        (lambda d: d.update({"/Image": 3}), "not a label of PURE"),
        (lambda d: d["/FullPackage"][3].pop("Timestamp"), "not a label of PURE"),
        (lambda d: d["/FullPackage"][3].update(Value=None), "not a label of PURE"),
        (lambda d: d["/FullPackage"][3].update(Timestamp=1.4e18), "not whole nanoseconds"),
        (lambda d: d["/FullPackage"][3].update(Timestamp=10**400), "Timestamp"),
        (lambda d: d["/FullPackage"][3]["Value"].pop("waveform"), "waveform: 1 of"),
        (lambda d: d["/FullPackage"][3]["Value"].update(waveform="a"), "waveform is not made"),
        (lambda d: d["/FullPackage"][3]["Value"].update(waveform=[1]), "waveform is not"),
        (lambda d: [p.update(Timestamp=0) for p in d["/FullPackage"]], "not later than those"),
    ],
)
def test_a_damaged_label_is_named(tree, change, problem):
    edit(tree, change)
    with pytest.raises(InputError, match=r"01-01\.json: ") as caught:
        PURE.read_label(only(tree))
    assert problem in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"7", b"[" * 100_000, b"\xff\xfe"])
def test_a_label_that_is_no_document_is_named(tree, content):
    label_file(tree).write_bytes(content)
    with pytest.raises(InputError, match=r"01-01\.json: "):
        PURE.read_label(only(tree))


def test_a_damaged_image_is_named_and_counts_as_not_seen(tree):
    image = images(tree)[17]
    image.write_bytes(image.read_bytes()[:100])
    with PURE.open_frames(only(tree)) as source:
        frames = list(source)
    assert [i for i, frame in enumerate(frames) if frame.picture is None] == [17]
    assert f"1 picture is damaged (the first: {image.name} at" in source.warnings[0]


def test_an_image_without_a_time_in_its_name_is_named(tree):
    images(tree)[3].rename(tree / "01-01" / "01-01" / "thumbnail.png")
    recording = only(tree)
    for read in (PURE.open_frames, PURE.read_label):
        with pytest.raises(InputError, match=r"thumbnail\.png: its name holds no time"):
            read(recording)


def test_a_missing_folder_of_images_is_named(tree):
    recording = only(tree)
    for image in images(tree):
        image.unlink()
    (tree / "01-01" / "01-01").rmdir()
    with pytest.raises(InputError, match="no readable folder of images"):
        PURE.open_frames(recording)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
packages = st.fixed_dictionaries(
    {"Timestamp": st.integers() | json_values},
    optional={"Value": st.fixed_dictionaries({"waveform": st.integers() | json_values})},
)
documents = st.fixed_dictionaries(
    {"/FullPackage": st.lists(packages, max_size=5) | json_values},
    optional={"/Image": st.lists(packages, max_size=3) | json_values},
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary() | (documents | json_values).map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_label_or_an_input_error(tmp_path, content):
    (tmp_path / "01-01").mkdir(exist_ok=True)
    label_file(tmp_path).write_bytes(content)
    try:
        label = PURE.read_label(only(tmp_path))
    except InputError:
        return
    assert (np.diff(label.pulse.timestamps_s) > 0).all()
    assert np.isfinite(label.pulse.samples).all()
