"""Labels as Windows, spreadsheets and other countries save them are read as what they say."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from new_recordings import new_recording

from physkit.core.errors import InputError
from physkit.data.readers.base import Reader
from physkit.data.readers.ibvp import IbvpReader
from physkit.data.readers.pure import PureReader
from physkit.data.readers.ubfc import UbfcReader, UbfcSet1Reader
from physkit.data.readers.ubfc_phys import UbfcPhysReader

READERS = [UbfcReader(), UbfcSet1Reader(), UbfcPhysReader(), IbvpReader(), PureReader()]
every_reader = pytest.mark.parametrize("reader", READERS, ids=[r.name for r in READERS])


def written(reader: Reader, root: Path) -> tuple[Path, Callable[[], np.ndarray]]:
    """The label file of a new recording, and what reads its pulse."""
    recording = reader.write(root, new_recording(fps=reader.layout.fps, soft=True))
    label = recording.path(recording.files[1])
    return label, lambda: reader.read_label(recording).pulse.samples


def change(label: Path, *pairs: tuple[str, str]) -> None:
    text = label.read_text()
    for before, after in pairs:
        text = text.replace(before, after)
    label.write_text(text)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
@every_reader
def test_marks_utf_16_and_windows_line_ends_change_nothing(
    reader: Reader, tmp_path: Path, encoding: str
) -> None:
    label, read = written(reader, tmp_path)
    before = read()
    text = label.read_text().replace("\n", "\r\n")
    label.write_bytes(text.encode(encoding))
    np.testing.assert_array_equal(read(), before)


@pytest.mark.parametrize(
    ("reader", "separator"),
    [
        (READERS[0], (" ", ";")),
        (READERS[0], (" ", "\t")),
        (READERS[0], (" ", " ")),
        (READERS[1], (",", ";")),
        (READERS[1], (",", "\t")),
        (READERS[2], ("\n", "\n")),
        (READERS[2], ("\n", ";\n")),
        (READERS[3], (",", ";")),
        (READERS[3], (",", "\t")),
    ],
    ids=lambda value: value.name if isinstance(value, Reader) else repr(value[1]),
)
def test_decimal_commas_between_other_separators_are_points(
    reader: Reader, tmp_path: Path, separator: tuple[str, str]
) -> None:
    label, read = written(reader, tmp_path)
    before = read()
    change(label, separator, (".", ","))
    np.testing.assert_array_equal(read(), before)


@pytest.mark.parametrize("separator", [",", ", ", ";"])
def test_a_ubfc_label_may_be_a_spreadsheet_with_points(tmp_path: Path, separator: str) -> None:
    label, read = written(READERS[0], tmp_path)
    before = read()
    change(label, (" ", separator))
    np.testing.assert_array_equal(read(), before)


@pytest.mark.parametrize(
    ("reader", "pairs", "message"),
    [
        (READERS[0], ((".", ","), (" ", ",")), "commas between numbers or within them"),
        (READERS[1], ((".", ","),), r"'\d+,\d+,\d+,.*: not four numbers"),
        (READERS[2], ((".", ","), ("\n", ",5\n")), "commas between numbers or within them"),
        (READERS[3], ((".", ","),), r"not so many values in line 2, '"),
        (READERS[0], ((" ", " \ufeff"),), r"could not convert string to float: '\\ufeff"),
    ],
    ids=["ubfc", "ubfc-set1", "ubfc-phys", "ibvp", "a mark in the middle"],
)
def test_what_cannot_be_told_apart_is_shown(
    reader: Reader, tmp_path: Path, pairs: tuple[tuple[str, str], ...], message: str
) -> None:
    label, read = written(reader, tmp_path)
    change(label, *pairs)
    with pytest.raises(InputError, match=message) as caught:
        read()
    assert str(caught.value).startswith(f"{label}: ")
    assert str(caught.value).isprintable()


def test_conditions_may_have_a_mark(tmp_path: Path) -> None:
    reader = READERS[0]
    written(reader, tmp_path)
    (tmp_path / "synthetic").mkdir()
    path = tmp_path / "synthetic" / "subject1.conditions.json"
    path.write_text(json.dumps({"light": "spot"}), encoding="utf-8-sig")
    assert reader.find(tmp_path).recordings[0].conditions["light"] == "spot"
