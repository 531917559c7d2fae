"""iBVP: what is written reads back, quality marks are kept, and damage is named."""

from pathlib import Path

import numpy as np
import pytest
from new_recordings import measure, new_recording, picture, read_frames

from physkit.core.errors import InputError
from physkit.data.readers import READERS
from physkit.data.readers.ibvp import IbvpReader, read_thermal

IBVP = IbvpReader()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one recording of 40 images."""
    IBVP.write(tmp_path, new_recording())
    return tmp_path


def table(root: Path) -> Path:
    return root / "p01_a" / "p01_a_bvp.csv"


def only(root: Path):
    (recording,) = IBVP.find(root).recordings
    return recording


def test_the_registry_gives_it():
    assert READERS["ibvp"] is IbvpReader


def test_it_reads_back(tmp_path):
    written = IBVP.write(tmp_path, new_recording(subject=12, session=3))
    tree = IBVP.find(tmp_path)
    assert tree.recordings == (written,)
    assert not tree.strays
    assert (written.name, written.subject, written.session) == ("p12_d", "12", "d")
    assert written.conditions == {"task": "head movement"}
    frames = read_frames(IBVP, tmp_path)
    assert len(frames) == 40
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.rgb, picture(index))
        assert frame.timestamp_s == pytest.approx(index / 30)
    label = IBVP.read_label(written)
    np.testing.assert_allclose(label.pulse.timestamps_s, np.arange(40) / 30)
    np.testing.assert_array_equal(label.pulse.samples, measure(np.arange(40) / 30)["pulse"])
    np.testing.assert_array_equal(label.columns["signal_quality_2"], np.ones(40))
    assert not label.warnings


def test_bad_quality_is_kept_as_a_column_and_cuts_nothing(tree):
    rows = "".join(f"{i / 10},{i % 2},0.{i % 10},0,\n" for i in range(40))
    table(tree).write_text("BVP,SQPhysMD,SQ1,SQ2,Perfusion_Value\n" + rows)
    label = IBVP.read_label(only(tree))
    assert len(label.pulse.samples) == len(read_frames(IBVP, tree)) == 40
    np.testing.assert_array_equal(label.columns["signal_quality_physmd"], np.arange(40) % 2)
    np.testing.assert_allclose(label.columns["signal_quality_1"], np.arange(40) % 10 / 10)
    np.testing.assert_array_equal(label.columns["signal_quality_2"], np.zeros(40))
    assert np.isnan(label.columns["perfusion"]).all()


def test_columns_are_found_by_name_and_marks_may_lack(tree):
    table(tree).write_text(",SQ2, bvp\n" + "".join(f"{i},1,{i * 2}\n" for i in range(40)))
    label = IBVP.read_label(only(tree))
    np.testing.assert_array_equal(label.pulse.samples, np.arange(40) * 2)
    assert set(label.columns) == {"signal_quality_2"}


def test_images_and_samples_of_other_number_are_told(tree):
    (tree / "p01_a" / "p01_a_rgb" / "000039.bmp").unlink()
    assert IBVP.read_label(only(tree)).warnings == (
        "p01_a_bvp.csv: 39 images and 40 label samples",
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"BVP,SQ1\n", "0 pulse samples"),
        (b"PPG,SQ1\n1,1\n2,1\n", "no column BVP in it, but ppg, sq1"),
        (b"BVP,SQ1\n1,1\n2\n", "2 columns, but not so many values in line 3"),
        (b"BVP,SQ1\n1,1\n,1\n", "BVP is not made of numbers"),
        (b"BVP,SQ1\n1,1\nnan,1\n", "BVP: 1 of 2 are no numbers"),
        (b"BVP,SQ1\n1,good\n2,bad\n", "sq1 is not made of numbers"),
        (b"BVP,SQ1\n1,1\n", "1 pulse samples"),
        (b"\xff\xfe\x00\x01", "not a text file"),
    ],
)
def test_a_damaged_label_is_named(tree, content, problem):
    table(tree).write_bytes(content)
    with pytest.raises(InputError, match=r"p01_a_bvp\.csv: ") as caught:
        IBVP.read_label(only(tree))
    assert problem in str(caught.value)


def test_a_recording_that_lacks_a_file_is_listed_and_the_file_named(tree):
    table(tree).unlink()
    with pytest.raises(InputError, match=r"p01_a_bvp\.csv: no such file"):
        IBVP.read_label(only(tree))
    images = tree / "p01_a" / "p01_a_rgb"
    (images / "000003.bmp").write_bytes(b"BM")
    frames = read_frames(IBVP, tree)
    assert [i for i, frame in enumerate(frames) if frame.picture is None] == [3]
    images.rename(tree / "elsewhere")
    with pytest.raises(InputError, match="p01_a_rgb: no such folder of images"):
        IBVP.open_frames(only(tree))


def test_what_the_layout_has_no_place_for_is_refused(tmp_path):
    with pytest.raises(InputError, match="session 4 has no place"):
        IBVP.write(tmp_path, new_recording(session=4))
    with pytest.raises(InputError, match="give 30"):
        IBVP.write(tmp_path, new_recording(fps=35.0))


def test_thermal_images_are_no_strays_and_are_read_in_degrees(tree):
    thermal = tree / "p01_a" / "p01_a_t" / "000000.raw"
    thermal.parent.mkdir()
    levels = np.full((512, 640), 7500, "<u2")
    levels[1, 2] = 7600
    thermal.write_bytes(levels.tobytes())
    (tree / "readme.txt").touch()
    assert [stray.name for stray in IBVP.find(tree).strays] == ["readme.txt"]
    celsius = read_thermal(thermal)
    assert celsius.shape == (512, 640)
    assert celsius[0, 0] == pytest.approx(26.85, abs=1e-4)
    assert celsius[1, 2] == pytest.approx(30.85, abs=1e-4)
    thermal.write_bytes(levels.tobytes()[:-2])
    with pytest.raises(InputError, match=r"000000\.raw: 655358 bytes, not 655360"):
        read_thermal(thermal)


def test_wrong_roots_are_named(tree):
    with pytest.raises(InputError, match=r"expected pNN_x/.*1 found in"):
        IBVP.find(tree / "p01_a")
