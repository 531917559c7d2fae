"""MMPD: what is written reads back, published forms are read, and damage is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mat_files import FORMATS, write_mat
from new_recordings import measure, new_recording, picture, read_frames

from physkit.core.errors import InputError
from physkit.data.readers import READERS
from physkit.data.readers.base import NewRecording
from physkit.data.readers.mmpd import MmpdReader
from physkit.media.frames import Frame

MMPD = MmpdReader()

every_form = pytest.mark.parametrize("form", FORMATS)

SMALL = np.random.default_rng(0).integers(0, 256, (12, 80, 60, 3), dtype=np.uint8)
"""A video of the small version: phones held upright."""


def published(**changes: Any) -> dict[str, Any]:
    """The variables of a file as SciPy shows them; None leaves one out."""
    variables = {
        "video": (SMALL / 255).astype(np.float32),
        "GT_ppg": np.arange(12.0)[None],
        "light": "Nature",
        "motion": "Stationary (after exercise)",
        "exercise": "True",
        "skin_color": np.array([[5]]),
        "gender": "female",
        "glasser": "False",
        "hair_cover": "True",
        "makeup": "False",
    }
    return {name: value for name, value in (variables | changes).items() if value is not None}


def put(root: Path, form: str = "v5", **changes: Any) -> Path:
    folder = root / "subject7"
    folder.mkdir(exist_ok=True)
    return write_mat(folder / "p7_15.mat", form, published(**changes))


def only(root: Path):
    (recording,) = MMPD.find(root).recordings
    return recording


def test_the_registry_gives_it():
    assert READERS["mmpd"] is MmpdReader


def test_it_reads_back(tmp_path):
    written = MMPD.write(tmp_path, new_recording(subject=12, session=19))
    tree = MMPD.find(tmp_path)
    assert tree.recordings == (written,)
    assert not tree.strays
    assert (written.name, written.subject, written.session) == ("p12_19", "12", "19")
    assert written.files == ("subject12/p12_19.mat",)
    frames = read_frames(MMPD, tmp_path)
    assert len(frames) == 40
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.rgb, picture(index))
        assert frame.timestamp_s == pytest.approx(index / 30)
    label = MMPD.read_label(written)
    np.testing.assert_allclose(label.pulse.timestamps_s, np.arange(40) / 30)
    truth = measure(np.arange(40) / 30)["pulse"]
    np.testing.assert_allclose(label.pulse.samples, truth, rtol=0, atol=1e-12)
    assert not label.warnings


@every_form
def test_published_files_are_read_upright(tmp_path, form):
    put(tmp_path, form)
    recording = only(tmp_path)
    assert recording.conditions == {
        "light": "Nature",
        "motion": "Stationary (after exercise)",
        "gender": "female",
        "skin_color": 5,
        "exercise": True,
        "glasser": False,
        "hair_cover": True,
        "makeup": False,
    }
    assert type(recording.conditions["skin_color"]) is int
    frames = read_frames(MMPD, tmp_path)
    np.testing.assert_array_equal(np.stack([frame.rgb for frame in frames]), SMALL)
    np.testing.assert_array_equal(MMPD.read_label(recording).pulse.samples, np.arange(12.0))


@every_form
@pytest.mark.parametrize("shape", [(12, 1), (1, 12)])
@pytest.mark.parametrize("truth", [np.array([[True]]), np.array([[1]])])
def test_other_forms_of_the_same_are_read(tmp_path, form, shape, truth):
    put(tmp_path, form, GT_ppg=np.arange(12, dtype=np.int16).reshape(shape), makeup=truth)
    recording = only(tmp_path)
    assert recording.conditions["makeup"] is True
    np.testing.assert_array_equal(MMPD.read_label(recording).pulse.samples, np.arange(12.0))


def test_a_video_of_bytes_is_read(tmp_path):
    put(tmp_path, video=SMALL)
    frames = read_frames(MMPD, tmp_path)
    np.testing.assert_array_equal(np.stack([frame.rgb for frame in frames]), SMALL)


def test_a_label_of_another_length_keeps_its_rate_and_is_told(tmp_path):
    put(tmp_path, GT_ppg=np.arange(14.0))
    label = MMPD.read_label(only(tmp_path))
    np.testing.assert_allclose(label.pulse.timestamps_s, np.arange(14) / 30)
    assert label.warnings == ("p7_15.mat: 12 frames and 14 label samples",)


def test_a_label_without_a_video_is_read(tmp_path):
    put(tmp_path, video=None)
    assert len(MMPD.read_label(only(tmp_path)).pulse.samples) == 12
    with pytest.raises(InputError, match="no variable 'video' in it"):
        MMPD.open_frames(only(tmp_path))


@every_form
@pytest.mark.parametrize(
    ("label", "problem"),
    [
        (None, "no variable 'GT_ppg'"),
        (np.zeros((1, 0)), "holds 0 values"),
        (np.full(12, np.nan), "NaN or infinity in 12 of 12"),
        (np.zeros((12, 2)), "not that of one signal"),
    ],
)
def test_a_damaged_label_is_named(tmp_path, form, label, problem):
    put(tmp_path, form, GT_ppg=label)
    with pytest.raises(InputError, match=r"p7_15\.mat: ") as caught:
        MMPD.read_label(only(tmp_path))
    assert problem in str(caught.value)
    assert len(read_frames(MMPD, tmp_path)) == 12


@every_form
def test_a_damaged_file_is_listed_without_conditions_and_named(tmp_path, form):
    path = put(tmp_path, form)
    path.write_bytes(path.read_bytes()[:-50])
    recording = only(tmp_path)
    assert recording.conditions == {}
    for read in (MMPD.read_label, MMPD.open_frames):
        with pytest.raises(InputError, match=r"p7_15\.mat: "):
            read(recording)


def test_conditions_of_another_form_are_left_out(tmp_path):
    put(tmp_path, light=np.array([[3]]), exercise="perhaps", skin_color="dark", gender=None)
    conditions = only(tmp_path).conditions
    assert conditions == {
        "motion": "Stationary (after exercise)",
        "glasser": False,
        "hair_cover": True,
        "makeup": False,
    }


def test_sessions_have_the_light_and_motion_of_the_published_list(tmp_path):
    for session in (0, 7, 9, 12, 14, 18):
        MMPD.write(tmp_path, new_recording(session=session))
    found = {
        r.session: (r.conditions["light"], r.conditions["motion"], r.conditions["exercise"])
        for r in MMPD.find(tmp_path).recordings
    }
    assert found == {
        "0": ("LED-low", "Stationary", False),
        "7": ("LED-high", "Walking", False),
        "9": ("Incandescent", "Rotation", False),
        "12": ("Incandescent", "Stationary (after exercise)", True),
        "14": ("LED-low", "Stationary (after exercise)", True),
        "18": ("Nature", "Talking", False),
    }


def with_conditions(**conditions: Any) -> NewRecording:
    given = new_recording()
    return NewRecording(**{**vars(given), "conditions": conditions})


def test_given_conditions_are_written(tmp_path):
    written = MMPD.write(
        tmp_path, with_conditions(light="Nature", motion="Talking", fitzpatrick=5.2, makeup=True)
    )
    assert written.conditions == {
        "light": "Nature",
        "motion": "Talking",
        "gender": "male",
        "skin_color": 5,
        "exercise": False,
        "glasser": False,
        "hair_cover": False,
        "makeup": True,
    }
    again = MMPD.write(tmp_path, with_conditions(skin_color=6, fitzpatrick=2.0))
    assert again.conditions["skin_color"] == 6


def test_what_the_layout_has_no_place_for_is_refused(tmp_path):
    with pytest.raises(InputError, match="session 20 has no place"):
        MMPD.write(tmp_path, new_recording(session=20))
    with pytest.raises(InputError, match=r"25\.0 frames/s cannot be told in its layout; give 30"):
        MMPD.write(tmp_path, new_recording(fps=25.0))
    assert not list(tmp_path.iterdir())


def test_a_write_that_breaks_off_leaves_nothing(tmp_path):
    def breaking():
        yield Frame(picture(0), 0.0)
        raise KeyboardInterrupt

    given = NewRecording(**{**vars(new_recording()), "frames": breaking()})
    with pytest.raises(KeyboardInterrupt):
        MMPD.write(tmp_path, given)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_other_files_are_strays_and_wrong_roots_are_named(tmp_path):
    root = tmp_path / "mat_dataset"
    root.mkdir()
    put(root)
    (root / "size_MMPD.csv").touch()
    (root / "subject7" / "p8_0.mat").touch()
    tree = MMPD.find(root)
    assert [recording.name for recording in tree.recordings] == ["p7_15"]
    assert {stray.name for stray in tree.strays} == {"size_MMPD.csv", "p8_0.mat"}
    for wrong in (root / "subject7", tmp_path):
        with pytest.raises(InputError, match=r"expected subjectN/pN_k\.mat; 1 found in .*dataset:"):
            MMPD.find(wrong)


CELL = np.array([["LED-low"]], dtype=object)


@pytest.mark.parametrize(
    ("name", "stated", "value"),
    [
        ("skin_color", np.array([[np.nan]]), None),
        ("skin_color", np.array([[np.inf]]), None),
        ("skin_color", np.array([[3.5]]), None),
        ("skin_color", np.array([[3j]]), None),
        ("skin_color", np.array([[3.0, 4.0]]), None),
        ("skin_color", "3", 3),
        ("skin_color", "dark", None),
        ("exercise", np.array([[np.nan]]), None),
        ("exercise", np.array([[1.0]]), True),
        ("exercise", np.array([[0]]), False),
        ("exercise", np.array([[7]]), None),
        ("exercise", " false ", False),
        ("exercise", "1", True),
        ("light", CELL, None),
        ("light", np.array([[3]]), None),
        ("light", "  ", None),
        ("light", {"name": "LED-low"}, None),
        ("gender", np.zeros((0, 0)), None),
    ],
)
def test_each_condition_is_its_value_or_unknown_with_a_word(tmp_path, name, stated, value):
    put(tmp_path)
    others = {k: v for k, v in only(tmp_path).conditions.items() if k != name}
    put(tmp_path, **{name: stated})
    recording = only(tmp_path)
    assert {k: v for k, v in recording.conditions.items() if k != name} == others
    assert recording.conditions.get(name) == value
    assert (name in recording.conditions) == (value is not None)
    told = [f"condition {name} is unknown" in what for what in recording.unknown]
    assert told == ([True] if value is None else [])
