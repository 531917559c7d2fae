"""The fingerprint of a recording's raw files."""

import os
from pathlib import Path

import pytest

from physkit.core.errors import InputError
from physkit.data.recording import Recording
from physkit.prepare.source import list_files, read_source, stored_listing


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    pictures = tmp_path / "01-01" / "01-01"
    pictures.mkdir(parents=True)
    for k in range(3):
        (pictures / f"Image{k}.png").write_bytes(bytes([k]) * (k + 5))
    (tmp_path / "01-01" / "01-01.json").write_text("{}")
    (tmp_path / "01-01" / "notes.txt").write_text("of nobody's concern")
    return Recording("pure", "01-01", "01", "01", tmp_path, ("01-01/01-01", "01-01/01-01.json"))


def test_folders_count_with_all_they_hold_and_nothing_else(recording: Recording) -> None:
    listing = list_files(recording)
    assert listing.sizes == {
        "01-01/01-01/Image0.png": 5,
        "01-01/01-01/Image1.png": 6,
        "01-01/01-01/Image2.png": 7,
        "01-01/01-01.json": 2,
    }
    source = read_source(recording, listing)
    assert source["files"] == ["01-01/01-01", "01-01/01-01.json"]
    assert (source["n_files"], source["n_bytes"]) == (4, 20)
    assert stored_listing(listing).items() <= source.items()


def test_it_does_not_hang_on_the_place(recording: Recording, tmp_path: Path) -> None:
    before = read_source(recording, list_files(recording))
    moved = tmp_path.with_name(f"{tmp_path.name}-moved")
    tmp_path.rename(moved)
    again = Recording("pure", "01-01", "01", "01", moved, recording.files)
    assert read_source(again, list_files(again)) == before
    moved.rename(tmp_path)


def test_a_new_name_or_size_changes_the_listing(recording: Recording) -> None:
    picture = recording.path("01-01/01-01/Image1.png")
    before = list_files(recording).digest()
    picture.rename(picture.with_name("Image9.png"))
    renamed = list_files(recording).digest()
    picture.with_name("Image9.png").rename(picture)
    assert list_files(recording).digest() == before
    picture.write_bytes(b"x")
    assert len({before, renamed, list_files(recording).digest()}) == 3


def test_one_other_byte_changes_the_contents(recording: Recording) -> None:
    before = read_source(recording, list_files(recording))
    recording.path("01-01/01-01.json").write_text("[]")
    after = read_source(recording, list_files(recording))
    assert after["contents_xxh3_128"] != before["contents_xxh3_128"]
    assert after["listing_xxh3_128"] == before["listing_xxh3_128"]


def test_files_that_change_meanwhile_are_refused(recording: Recording) -> None:
    listing = list_files(recording)
    os.utime(recording.path("01-01/01-01.json"), (2e9, 2e9))
    with pytest.raises(InputError, match="changed while it was read"):
        read_source(recording, listing)


def test_files_that_lack_are_left_out(recording: Recording) -> None:
    recording.path("01-01/01-01.json").unlink()
    assert "01-01/01-01.json" not in list_files(recording).sizes
