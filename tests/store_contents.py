"""What is in a store, down to the last value, read by Zarr alone."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
import zarr
from upath import UPath

import physkit
from physkit.data.store import zarr_store
from physkit.prepare.result import PrepareResult

ARRAYS = {"frames", "timestamps_s", "box", "confidence", "segment", "pulse", "pulse_timestamps_s"}


def contents(store: Path | UPath) -> dict[str, Any]:
    """Attributes of the store; attributes and values of each recording, which must be whole."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Zarr warns of what is no part of a store
        group = zarr.open_group(zarr_store(store, read_only=True), mode="r")
        recordings = {name: _recording(recording) for name, recording in group.groups()}
        assert not list(group.arrays())
    return {"": group.attrs.asdict(), **recordings}


def _recording(group: zarr.Group) -> dict[str, Any]:
    values = {name: np.asarray(array[...]) for name, array in group.arrays()}
    assert values.keys() >= ARRAYS
    n_frames = len(values["frames"])
    assert n_frames == group.attrs["n_frames"] > 0
    for name in ("timestamps_s", "box", "confidence", "segment"):
        assert len(values[name]) == n_frames
    assert len(values["pulse"]) == len(values["pulse_timestamps_s"]) > 0
    digests = {
        name: (array.dtype.str, array.shape, xxhash.xxh3_128_hexdigest(array.tobytes()))
        for name, array in values.items()
    }
    return {"attributes": group.attrs.asdict(), "arrays": digests}


def made_once(store: Path) -> dict[str, tuple[int, int]]:
    """Which file each recording of a local store is, and when it was written."""
    files = store.glob("*/zarr.json")
    return {file.parent.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in files}


def prep(raw: Path | UPath, out: Path | UPath, **options: Any) -> PrepareResult:
    """A store of a UBFC tree, made in this process unless told otherwise."""
    return physkit.prepare(dataset="ubfc", raw=raw, out=out, **{"engine": "serial", **options})
