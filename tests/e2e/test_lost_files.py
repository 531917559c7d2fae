"""Stores of which files were lost on the way: named, left out, and mended by `prep`."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from store_contents import contents
from stores import add_recording
from trainings import people_store, small_run
from upath import UPath

import physkit
from physkit.core.errors import InputError
from physkit.data.store import open_store


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings; the first has no face for longer than a chunk of frames."""
    store = tmp_path_factory.mktemp("whole") / "s.zarr"
    add_recording(store, "a", subject="a", rate_bpm=72.0, faceless=slice(0, 300))
    add_recording(store, "b", subject="b", rate_bpm=90.0)
    return store


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "s.zarr")


def forget_files(recording: Path) -> None:
    """Makes it one from before files were counted."""
    attributes = zarr.open_group(recording, mode="r+").attrs
    attributes.put({name: value for name, value in attributes.items() if name != "files"})


def lose(*names: str) -> Callable[[Path], None]:
    def change(recording: Path) -> None:
        for name in names:
            path = recording / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def cut_short(recording: Path) -> None:
    chunk = recording / "frames/c/1/0/0/0"
    chunk.write_bytes(chunk.read_bytes()[:-1000])


MISSING = "is missing or damaged"
LOSSES = {
    "chunk": (lose("frames/c/1/0/0/0"), f"'frames' {MISSING} (frames/c/1/0/0/0)"),
    "frames": (
        lose("frames/c"),
        f"'frames' {MISSING} (frames/c/0/0/0/0, frames/c/1/0/0/0, frames/c/2/0/0/0)",
    ),
    "times": (lose("timestamps_s/c"), f"'timestamps_s' {MISSING} (timestamps_s/c/0)"),
    "pulse": (lose("pulse/c", "confidence/c"), f"'confidence, pulse' {MISSING}"),
    "box": (lose("box"), f"'box' {MISSING} (box/c/0/0, box/zarr.json)"),
    "group": (lose("zarr.json"), "only a part of it is there"),
    "short": (cut_short, f"'frames' {MISSING}"),
}


def test_what_lost_files_is_left_out_by_name(store: Path, tmp_path: Path) -> None:
    for name, (change, _) in LOSSES.items():
        shutil.copytree(store / "b", store / name)
        change(store / name)
    result = physkit.evaluate_model(store, tmp_path / "out", model="green")
    assert (result.exit_status, result.score.n_recordings) == (1, 2)
    causes = dict(result.left_out)
    assert set(causes) == set(LOSSES)
    for name, (_, problem) in LOSSES.items():
        assert f"{store}/{name}: {problem}" in causes[name]
    audited = physkit.audit(store, workers=1, quick=True)
    found = {f.recording or f.message.split(":")[0]: f.check for f in audited.findings}
    named = dict.fromkeys(LOSSES, "damaged") | {"group": "half-written"}
    assert {name: found[name] for name in LOSSES} == named


def test_lost_files_are_met_wherever_a_recording_is_read(store: Path) -> None:
    lose("frames/c/2/0/0/0")(store / "b")
    recording = open_store(store)["b"]
    for read in (recording.frames, lambda: recording.pulse, lambda: recording.segments):
        with pytest.raises(InputError, match=r"s\.zarr/b: 'frames' is missing or damaged"):
            read()


def test_a_chunk_without_any_face_need_not_be_written(store: Path) -> None:
    assert not (store / "a/frames/c/0/0/0/0").exists()
    for _ in range(2):
        frames = open_store(store)["a"].frames()
        assert not frames[:300].any()
        assert frames[300:].any(axis=(1, 2, 3)).all()
        forget_files(store / "a")


def test_an_older_store_is_read_and_its_lost_faces_are_found(store: Path) -> None:
    for name in ("a", "b"):
        forget_files(store / name)
        assert open_store(store)[name].frames().shape == (600, 36, 36, 3)
    lose("frames/c/1/0/0/0")(store / "b")
    with pytest.raises(InputError, match=r"'frames' is missing or damaged \(frames/c/1/0/0/0\)"):
        open_store(store)["b"].frames()


def test_an_edited_array_is_no_damage(store: Path) -> None:
    pulse = zarr.open_array(store / "b" / "pulse", mode="r+")
    pulse[:] = -pulse[:]
    pulse[:600] = 0.25
    recording = open_store(store)["b"]
    recording.check_files()
    assert recording.pulse.samples[0] == 0.25


def test_a_cache_that_lost_a_chunk_is_no_row_of_zeros(store: Path) -> None:
    rows = np.ones((600, 2))
    group = zarr.open_group(store / "b", mode="r+").require_group("features/cues")
    group.create_array("values", data=rows, chunks=(200, 2))
    read = open_store(store)["b"].feature("cues", slice(190, 210))
    np.testing.assert_array_equal(read, rows[190:210])
    lose("features/cues/values/c/1")(store / "b")
    with pytest.raises(InputError, match="parts of features/cues/values are missing"):
        open_store(store)["b"].feature("cues", slice(190, 210))


def test_a_training_goes_on_without_it(tmp_path: Path) -> None:
    store = people_store(tmp_path / "s.zarr")
    lose("frames/c")(store / "b_1")
    result = physkit.fit(small_run(store, tmp_path / "run", max_steps=1, validate_every=1))
    ((cause,), status) = result.left_out, result.exit_status
    assert (f"{store}/b_1: 'frames' is missing" in cause, status) == (True, 1)


def test_a_matrix_is_done_again_when_it_is_mended(whole: Path, tmp_path: Path) -> None:
    store, out = shutil.copytree(whole, tmp_path / "s.zarr"), tmp_path / "out"

    def tested() -> tuple[int, int]:
        stores = {"s": {"store": str(store), "split": "random"}}
        result = physkit.crossdomain(stores, out, train=[], models=["green"])
        return result.exit_status, result.table()[0]["n_recordings"]

    lose("pulse/c")(store / "b")
    assert tested() == (1, 1)
    shutil.copytree(whole / "b", store / "b", dirs_exist_ok=True)
    assert tested() == (0, 2)


@pytest.mark.slow
@pytest.mark.parametrize("remote", [False, True])
def test_prep_mends_what_was_lost_and_nothing_else(
    remote: bool, raw_ubfc: Path, prepared_ubfc: Path, tmp_path: Path
) -> None:
    out = UPath(f"memory://{tmp_path}/s.zarr") if remote else tmp_path / "s.zarr"
    out.fs.put(str(prepared_ubfc), out.path, recursive=True) if remote else None
    if not remote:
        shutil.copytree(prepared_ubfc, out)
    if remote:  # what the directory cache knew is no longer so
        out.fs.invalidate_cache()
    for name in ("subject2/frames/c/0/0/0/0", "subject3/pulse/c/0", "subject4/zarr.json"):
        (out / name).unlink()
    chunk = out / "subject5/frames/c/0/0/0/0"
    chunk.write_bytes(chunk.read_bytes()[:-9])
    result = physkit.prepare(dataset="ubfc", raw=raw_ubfc, out=out, engine="serial")
    assert result.done == ("subject2", "subject3", "subject4", "subject5")
    lost = "files of what is stored are missing or damaged"
    assert result.redone == dict.fromkeys(("subject2", "subject3", "subject5"), lost)
    assert contents(out) == contents(prepared_ubfc)


def test_one_listing_serves_all_that_is_read(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = UPath(f"memory://{tmp_path}/s.zarr")
    place.fs.put(str(whole), place.path, recursive=True)
    listings: list[str] = []
    find = type(place.fs).find
    monkeypatch.setattr(
        type(place.fs),
        "find",
        lambda fs, path, **options: listings.append(path) or find(fs, path, **options),
    )
    recording = open_store(place)["b"]
    for start in range(0, 600, 50):
        assert recording.frames(start, start + 50).any()
    assert len(recording.pulse.samples) == len(recording.timestamps_s) * 2
    assert len(listings) == 1
