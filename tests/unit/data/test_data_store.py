"""Stores: what is written is read, and a recording is there whole or not at all."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from upath import UPath

from physkit.core.errors import InputError, UnknownNameError
from physkit.core.types import Pulse
from physkit.data import store_writer
from physkit.data.recording import Label
from physkit.data.store import open_store
from physkit.data.store_writer import (
    RecordingWriter,
    StoredFrame,
    create_store,
    new_recording,
    unfinished,
    writing,
)

RNG = np.random.default_rng(0)
LABEL = Label(
    Pulse(np.sin(np.arange(70.0)), np.arange(70) / 60 - 0.1),
    columns={"spo2_percent": np.linspace(96, 99, 70)},
)


def frames(n: int, size: int = 8) -> list[StoredFrame]:
    """Every seventh has no face."""
    return [
        StoredFrame(k / 30, None, None, 0.0, -1)
        if k % 7 == 3
        else StoredFrame(
            timestamp_s=k / 30,
            crop=RNG.integers(1, 256, (size, size, 3), dtype=np.uint8),
            box=(k + 0.5, 2.0, 30.0, 40.0),
            confidence=0.75,
            segment=k // 100,
        )
        for k in range(n)
    ]


def add(store: Path | UPath, name: str, n: int = 10, *, session: str = "1") -> list[StoredFrame]:
    made = frames(n)
    with new_recording(store, name) as folder:
        writer = RecordingWriter(folder, size_px=8)
        for frame in made:
            writer.append(frame)
        writer.finish(LABEL, {"dataset": "pure", "subject": "7", "session": session})
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    create_store(tmp_path / "s.zarr", dataset="pure")
    return tmp_path / "s.zarr"


@pytest.mark.parametrize("n", [1, 255, 256, 257, 600])
def test_what_is_written_is_read(path: Path, n: int) -> None:
    made = add(path, "01-01", n)
    (stored,) = open_store(path).values()
    assert (stored.n_frames, stored.size_px) == (n, 8)
    crops = [np.zeros((8, 8, 3)) if frame.crop is None else frame.crop for frame in made]
    np.testing.assert_array_equal(stored.frames(), np.stack(crops))
    np.testing.assert_array_equal(stored.frames(n // 2, n // 2 + 3), crops[n // 2 : n // 2 + 3])
    np.testing.assert_array_equal(stored.timestamps_s, [frame.timestamp_s for frame in made])
    np.testing.assert_array_equal(stored.segments, [frame.segment for frame in made])
    np.testing.assert_array_equal(stored.confidence, [frame.confidence for frame in made])
    boxes = [frame.box or (np.nan,) * 4 for frame in made]
    np.testing.assert_array_equal(stored.boxes, np.array(boxes, np.float32))
    np.testing.assert_allclose(stored.pulse.samples, LABEL.pulse.samples, atol=1e-7)
    np.testing.assert_array_equal(stored.pulse.timestamps_s, LABEL.pulse.timestamps_s)
    np.testing.assert_allclose(
        stored.columns["spo2_percent"], LABEL.columns["spo2_percent"], rtol=1e-6
    )
    assert (stored.dataset, stored.subject, stored.session) == ("pure", "7", "1")


def test_memory_of_a_writer_does_not_grow_with_frames(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, size_px=8)
    assert writer.n_faces == 0
    for frame in frames(700):
        writer.append(frame)
    assert (writer.n_frames, writer.n_faces) == (700, 600)
    held = [value for value in vars(writer).values() if isinstance(value, np.ndarray)]
    assert [array.shape for array in held] == [(256, 8, 8, 3)]


def test_recordings_come_in_natural_order(path: Path) -> None:
    for name in ("p10", "p9", "p1"):
        add(path, name)
    store = open_store(path)
    assert list(store) == ["p1", "p9", "p10"]
    assert (len(store), store.subjects, store.dataset) == (3, ("7",), "pure")
    with pytest.raises(UnknownNameError, match="known are p1, p10, p9"):
        store["p2"]


def test_any_zarr_reader_understands_a_store(path: Path) -> None:
    add(path, "a")
    group = zarr.open_group(path, mode="r")
    assert group["a/frames"].shape == (10, 8, 8, 3)
    assert group["a"].attrs["subject"] == "7"


def test_a_recording_appears_when_it_is_whole(path: Path) -> None:
    with new_recording(path, "a") as folder:
        writer = RecordingWriter(folder, size_px=8)
        for frame in frames(300):
            writer.append(frame)
        assert list(open_store(path)) == []
        assert len(unfinished(path)) == 1
        writer.finish(LABEL, {"subject": "7"})
        assert list(open_store(path)) == []
    assert list(open_store(path)) == ["a"]
    assert unfinished(path) == []


def test_a_failure_on_the_way_leaves_the_store_as_it_was(path: Path) -> None:
    add(path, "a", session="old")

    def fail() -> None:
        with new_recording(path, "a") as folder:
            RecordingWriter(folder, size_px=8).append(frames(1)[0])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert open_store(path)["a"].session == "old"
    assert unfinished(path) == []


def test_a_new_recording_replaces_an_old_one_whole(path: Path) -> None:
    add(path, "a", 600, session="old")
    made = add(path, "a", 20, session="new")
    stored = open_store(path)["a"]
    assert (stored.session, stored.n_frames) == ("new", len(made))


def test_the_old_recording_comes_back_where_the_new_one_cannot_be_published(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(path, "a", session="old")
    rename = store_writer.os.replace

    def refuse(source: Path, target: Path) -> None:
        if source.name == "new":
            raise OSError("no")
        rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(store_writer.os, "replace", refuse)
        with pytest.raises(OSError, match="no"):
            add(path, "a", session="new")
    assert open_store(path)["a"].session == "old"


def test_an_orphan_cannot_publish_after_the_next_preparation_began(path: Path) -> None:
    def outlive() -> None:
        with new_recording(path, "a") as folder:
            writer = RecordingWriter(folder, size_px=8)
            for frame in frames(300):
                writer.append(frame)
            with writing(path):
                pass
            assert not folder.exists()
            writer.finish(LABEL, {"subject": "7"})  # Zarr makes the folder anew
            assert folder.exists()

    with pytest.raises(FileNotFoundError, match="cleared away"):
        outlive()
    assert list(open_store(path)) == []


def test_what_the_dead_left_is_cleared(path: Path) -> None:
    staging = path.with_name(f".{path.name}.unfinished")
    (staging / "a.x" / "new" / "frames").mkdir(parents=True)
    assert unfinished(path) == ["a.x"]
    with writing(path):
        assert unfinished(path) == []
    assert not staging.exists()


def test_only_one_may_write(path: Path) -> None:
    with (
        writing(path),
        pytest.raises(InputError, match="another physkit prep is writing"),
        writing(path),
    ):
        pass
    with writing(path):
        pass


def test_a_store_is_made_where_there_is_none_and_kept_where_there_is(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "zarr.0123456789abcdef.partial").write_text("{")
    for name in ("new", "empty", "killed"):
        create_store(tmp_path / name, dataset="pure")
        add(tmp_path / name, "a")
        assert list(create_store(tmp_path / name, dataset="pure")) == ["a"]
    assert not list((tmp_path / "killed").glob("*.partial"))


def test_what_is_no_store_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of 'pure', not of 'ubfc'"):
        create_store(path, dataset="ubfc")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    for place in (tmp_path / "full", tmp_path / "full" / "thesis.tex"):
        with pytest.raises(InputError, match="neither a store nor an empty folder"):
            create_store(place, dataset="ubfc")
        with pytest.raises(InputError, match="neither a store"), writing(place):
            pass
        with pytest.raises(InputError, match=r"no store there|not a readable store"):
            open_store(place)
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["thesis.tex"]
    assert not list(tmp_path.glob(".full*"))
    zarr.create_group(tmp_path / "other.zarr")
    with pytest.raises(InputError, match="none that physkit prep wrote"):
        open_store(tmp_path / "other.zarr")
    zarr.create_group(
        tmp_path / "later.zarr", attributes={"format": "physkit-store", "version": 99}
    )
    with pytest.raises(InputError, match="a store of version 99"):
        open_store(tmp_path / "later.zarr")


def test_damage_is_named_where_it_is_met_and_harms_no_other(path: Path) -> None:
    for name in ("a", "b", "c"):
        add(path, name)
    shutil.rmtree(path / "b" / "pulse")
    (path / "c" / "zarr.json").write_text("{")
    store = open_store(path)
    assert list(store) == ["a", "b", "c"]
    with pytest.raises(InputError, match=r"s\.zarr/b: 'pulse' is missing or damaged"):
        _ = store["b"].pulse
    with pytest.raises(InputError, match=r"s\.zarr/c: damaged"):
        store["c"]
    assert store["a"].n_frames == 10


def test_a_store_elsewhere_works_alike(tmp_path: Path) -> None:
    path = UPath(f"memory://{tmp_path}/s.zarr")
    with writing(path):
        create_store(path, dataset="pure")
        add(path, "a", 300, session="old")
        add(path, "a", 10, session="new")
    (stored,) = open_store(str(path)).values()
    assert (stored.session, stored.n_frames) == ("new", 10)
    chunks = [file.name for file in (path / "a" / "frames" / "c").iterdir()]
    assert chunks == ["0"]


def test_half_an_upload_is_no_recording(tmp_path: Path) -> None:
    path = UPath(f"memory://{tmp_path}/s.zarr")
    create_store(path, dataset="pure")
    add(path, "a")
    (path / "a" / "zarr.json").unlink()
    assert list(open_store(path)) == []
    add(path, "a")
    assert open_store(path)["a"].n_frames == 10


def test_an_address_of_an_unknown_kind_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere://b/s\.zarr: cannot be reached .*check the add"):
        open_store("nowhere://b/s.zarr")
