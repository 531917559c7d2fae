"""`physkit audit`: each trap is planted in a store, found there, and nowhere else."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import zarr
from audit_clips import DURATION_S, FPS, Clip, found

import physkit
from physkit.core.errors import InputError
from physkit.core.types import Pulse
from physkit.data.recording import Label
from physkit.data.store_writer import RecordingWriter, StoredFrame, create_store, new_recording


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Clip()


def write_stored(
    store: Path,
    name: str,
    clip: Clip,
    *,
    lag_s: float = 0.0,
    seed: int = 0,
    attributes: Mapping[str, object] | None = None,
) -> Path:
    """A prepared recording: crops of even colour that follow the clip's pulse."""
    rng = np.random.default_rng(seed)
    times_s = np.arange(0, DURATION_S, 1 / FPS)
    volume = clip.synthesis.measure(times_s)["pulse"]
    label_s = np.arange(0, DURATION_S, 1 / 60)
    label = clip.synthesis.measure(label_s - lag_s)["pulse"] * (1 + seed / 100)
    create_store(store, dataset="ubfc")
    with new_recording(store, name) as folder:
        writer = RecordingWriter(folder, size_px=36)
        for time_s, beat in zip(times_s, volume, strict=True):
            colour = np.array([190.0, 140.0, 120.0]) - beat * np.array([0.6, 1.6, 1.0])
            crop = np.clip(colour + rng.normal(0, 2, (36, 36, 3)), 0, 255).astype(np.uint8)
            writer.append(StoredFrame(float(time_s), crop, (10.0, 10.0, 90.0, 110.0), 0.9, 0))
        plain = {
            "dataset": "ubfc",
            "subject": name,
            "session": "1",
            "conditions": {},
            "settings": {"size_px": 36, "detector": {"name": "haar"}},
            "source": {"contents_xxh3_128": f"{name}"},
        }
        writer.finish(Label(Pulse(label, label_s)), {**plain, **(attributes or {})})
    return store / name


def rewrite(folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Changes an array of a stored recording."""
    array = zarr.open_group(folder, mode="r+")[name]
    assert isinstance(array, zarr.Array)
    values = change(np.asarray(array[:]))
    array.resize(values.shape)
    array[...] = values


@pytest.fixture(scope="module")
def store(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of three recordings with nothing wrong."""
    path = tmp_path_factory.mktemp("store") / "ubfc.zarr"
    for seed in (1, 2, 3):
        write_stored(path, f"subject{seed}", clip, seed=seed)
    return path


def test_a_clean_store_raises_nothing(store: Path) -> None:
    result = physkit.audit(store, workers=1)
    assert result.findings == ()
    assert (result.kind, result.dataset) == ("store", "ubfc")
    assert all(s.lag_ms == pytest.approx(0, abs=15) for s in result.recordings)


def test_a_store_without_recordings_is_refused(tmp_path: Path) -> None:
    create_store(tmp_path / "empty.zarr", dataset="ubfc")
    with pytest.raises(InputError, match=r"empty\.zarr: holds no recordings"):
        physkit.audit(tmp_path / "empty.zarr")


def test_every_trap_of_a_store_is_found(clip: Clip, store: Path, tmp_path: Path) -> None:
    path = tmp_path / "ubfc.zarr"
    shutil.copytree(store, path)
    for seed in range(4, 14):
        options = {"lag_s": 0.133} if seed == 4 else {}
        write_stored(path, f"subject{seed}", clip, seed=seed, **options)
    shutil.rmtree(path / "subject5" / "frames")
    (path / "subject6" / "zarr.json").unlink()
    rewrite(path / "subject7", "timestamps_s", lambda t: np.where(t == t[50], t[40], t))
    rewrite(path / "subject8", "timestamps_s", lambda t: t[:-7])
    rewrite(path / "subject9", "pulse", lambda x: np.where(np.arange(len(x)) == 9, np.nan, x))
    rewrite(path / "subject10", "segment", lambda s: np.where(np.arange(len(s)) < 90, -1, s))
    other = zarr.open_group(path / "subject11", mode="r+")
    other.attrs["settings"] = {"size_px": 36, "detector": {"name": "blazeface"}}
    rewrite(
        path / "subject12", "pulse", lambda _: np.asarray(zarr.open_group(path)["subject1/pulse"])
    )
    other = zarr.open_group(path / "subject13", mode="r+")
    other.attrs["source"] = {"contents_xxh3_128": "subject2"}
    staging = tmp_path / ".ubfc.zarr.unfinished" / "subject20.x"
    staging.mkdir(parents=True)
    result = physkit.audit(path, workers=1)
    assert found(result) == {
        "subject4": {"lag"},
        "subject5": {"damaged"},
        None: {"half-written"},
        "subject7": {"frame-times"},
        "subject8": {"count-mismatch"},
        "subject9": {"label-not-finite"},
        "subject10": {"face-coverage"},
        "subject11": {"mixed-settings"},
        "subject12": {"duplicate-label"},
        "subject13": {"duplicate"},
    }
    assert sum(f.check == "half-written" for f in result.findings) == 2
    mixed = next(f for f in result.findings if f.check == "mixed-settings")
    assert "haar -> blazeface" in mixed.message
