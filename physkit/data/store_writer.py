"""Writing a store, one recording at a time, each whole or not at all.

A recording is written as a Zarr group of its own in a staging folder and published at the end: by
renaming the folder where the store is local, elsewhere by copying its files, that which makes a
folder a group last. Whoever dies on the way leaves no part of it in the store.
"""

import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from filelock import FileLock, Timeout
from jaxtyping import Float64, UInt8
from upath import UPath
from zarr.codecs import ZstdCodec
from zarr.storage import LocalStore

from physkit.core.errors import InputError
from physkit.core.files import visible
from physkit.data.recording import Label
from physkit.data.store import (
    COLUMN_PREFIX,
    FORMAT,
    GROUP_FILE,
    NO_SEGMENT,
    VERSION,
    Store,
    open_store,
    zarr_store,
)
from physkit.data.whole import FILES, written_files

CHUNK_BYTES = 1 << 20
"""Raw size that a chunk of frames aims at: small enough to be read for one window, large enough
that opening its file costs nothing beside decompressing it."""
CHUNK_FRAMES = (8, 256)
"""Fewest and most frames in a chunk."""
ZSTD_LEVEL = 1
"""Faces are noisy: higher levels take longer and save nothing."""
LABEL_CHUNK = 1 << 16
"""Values in a chunk of a per-frame or label array: one chunk but for hours of video."""
NO_BOX = (math.nan, math.nan, math.nan, math.nan)
UNFINISHED_SUFFIX = ".partial"
"""Suffix of files that Zarr leaves behind when it is killed."""
MARK = "unfinished"
"""File that marks the folder of an unfinished recording."""
SYNCED_AT_ONCE = 16
"""Files that are synced to the disk at the same time: the journal then writes them as one."""
LOCK_TIMEOUT_S = 2.0
"""Lock timeout: the system may free the lock of a killed process a moment late."""


def create_store(path: UPath | Path, *, dataset: str) -> Store:
    """The store at `path`, made where there is none.

    Raises InputError for a store of another data set, a place that holds something else, or one
    where nothing can be written.
    """
    try:
        if not (path / GROUP_FILE).exists():
            for left in _leftovers(path):
                left.unlink()
            attributes = {"format": FORMAT, "version": VERSION, "dataset": dataset}
            zarr.create_group(zarr_store(path, read_only=False), attributes=attributes)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be made ({error}); choose another --out") from error
    store = open_store(path)
    if store.dataset != dataset:
        raise InputError(
            f"{path}: a store of '{store.dataset}', not of '{dataset}'; choose another --out"
        )
    return store


def _leftovers(path: UPath | Path) -> list[UPath | Path]:
    """Files that a killed `create_store` left at `path`.

    Raises InputError unless a store can be made there without touching anything else.
    """
    if not path.exists():
        return []
    entries = visible(path) if path.is_dir() else [path]
    if any(entry.suffix != UNFINISHED_SUFFIX for entry in entries):
        raise InputError(f"{path}: neither a store nor an empty folder; choose another --out")
    return entries


@dataclass(frozen=True, eq=False)
class StoredFrame:
    """What a store keeps of one video frame."""

    timestamp_s: float
    """Presentation time in seconds."""
    crop: UInt8[np.ndarray, "h w 3"] | None
    """The face, RGB; None where there is none (stored black)."""
    box: tuple[float, float, float, float] | None
    """Where it lay in the video: x, y, width, height in pixels."""
    confidence: float
    """Confidence of the face; 0 without one."""
    segment: int
    """Number of the unbroken stretch of one face; `NO_SEGMENT` without one."""


class RecordingWriter:
    """Takes one recording's frames as they come; memory holds one chunk of crops.

    folder: an empty folder, which becomes a Zarr group.
    size_px: side of the crops.
    """

    def __init__(self, folder: Path, *, size_px: int) -> None:
        self._folder, self._store = folder, LocalStore(folder)
        low, high = CHUNK_FRAMES
        chunk_frames = min(max(CHUNK_BYTES // (size_px * size_px * 3), low), high)
        self._chunk = np.zeros((chunk_frames, size_px, size_px, 3), np.uint8)
        self._frames = zarr.create_array(
            self._store,
            name="frames",
            shape=(0, *self._chunk.shape[1:]),
            chunks=self._chunk.shape,
            dtype="uint8",
            compressors=ZstdCodec(level=ZSTD_LEVEL),
            dimension_names=("t", "h", "w", "c"),
        )
        self._timestamps_s: list[float] = []
        self._boxes: list[tuple[float, float, float, float]] = []
        self._confidence: list[float] = []
        self._segments: list[int] = []

    @property
    def n_frames(self) -> int:
        """How many frames came so far."""
        return len(self._timestamps_s)

    @property
    def timestamps_s(self) -> Float64[np.ndarray, "t"]:
        """Presentation times of those in seconds."""
        return np.array(self._timestamps_s, np.float64)

    @property
    def n_faces(self) -> int:
        """How many of them show a face."""
        return sum(segment != NO_SEGMENT for segment in self._segments)

    def append(self, frame: StoredFrame) -> None:
        """Stores the next frame."""
        place = self.n_frames % len(self._chunk)
        self._chunk[place] = 0 if frame.crop is None else frame.crop
        self._timestamps_s.append(frame.timestamp_s)
        self._boxes.append(frame.box or NO_BOX)
        self._confidence.append(frame.confidence)
        self._segments.append(frame.segment)
        if place + 1 == len(self._chunk):
            self._flush(place + 1)

    def finish(self, label: Label, attributes: Mapping[str, Any]) -> None:
        """Stores what is left, the tracks, the label and the attributes."""
        self._flush(self.n_frames % len(self._chunk))
        arrays: dict[str, np.ndarray] = {
            "timestamps_s": self.timestamps_s,
            "box": np.array(self._boxes, np.float32),
            "confidence": np.array(self._confidence, np.float32),
            "segment": np.array(self._segments, np.int32),
            "pulse": label.pulse.samples.astype(np.float32),
            "pulse_timestamps_s": label.pulse.timestamps_s.astype(np.float64),
        }
        for name, column in label.columns.items():
            arrays[f"{COLUMN_PREFIX}{name}"] = column.astype(np.float32)
        for name, values in arrays.items():
            array = zarr.create_array(
                self._store,
                name=name,
                shape=values.shape,
                chunks=(min(max(len(values), 1), LABEL_CHUNK), *values.shape[1:]),
                dtype=values.dtype,
                compressors=ZstdCodec(level=ZSTD_LEVEL),
            )
            array[...] = values
        files = {FILES: written_files(self._folder)}
        zarr.open_group(self._store, mode="r+").update_attributes({**attributes, **files})

    def _flush(self, n: int) -> None:
        """Writes the first `n` crops of the chunk, the last that came."""
        if n:
            self._frames.resize((self.n_frames, *self._chunk.shape[1:]))
            self._frames[self.n_frames - n :] = self._chunk[:n]


@contextmanager
def writing(path: UPath | Path) -> Iterator[None]:
    """Locks a local store for writing, and removes what killed preparations left of it.

    A remote store is not locked. Raises InputError where another process holds the lock, the folder
    of the store cannot be written to, or something else is in its place.
    """
    if isinstance(path, UPath):
        yield
        return
    place = path.with_name(f".{path.name}.lock")
    lock = FileLock(place, timeout=LOCK_TIMEOUT_S)
    try:
        if not (path / GROUP_FILE).exists():
            _leftovers(path)  # first, so that no lock file is left among files of others
        path.parent.mkdir(parents=True, exist_ok=True)
        place.touch()  # FileLock would report a missing permission as a held lock
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"{path}: another physkit prep is writing to it; wait for it, or choose another --out"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error}); choose another --out") from error
    try:
        _clear_staging(path)
        yield
    finally:
        _clear_staging(path)
        lock.release()


@contextmanager
def new_recording(path: UPath | Path, name: str) -> Iterator[Path]:
    """An empty folder for the recording called `name`; it is published when the block ends well.

    What the store held under that name is replaced. Raises OSError where the disk is full or
    nothing can be written; then the store is as it was.
    """
    parent = None if isinstance(path, UPath) else _staging_folder(path)
    if parent is not None:
        parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=parent))
    try:
        new, mark = folder / "new", folder / MARK
        new.mkdir()
        mark.touch()
        yield new
        if isinstance(path, UPath):
            _publish_remote(new, path / name)
            return
        _sync(new)
        if not mark.exists():  # a later run removed the folder; parts may have come back
            raise FileNotFoundError(f"{folder}: cleared away by a later preparation")
        _publish_local(new, path / name, old=folder / "old")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _staging_folder(path: Path) -> Path:
    """Folder for unfinished recordings of a local store: beside it, so that they can be renamed."""
    return path.with_name(f".{path.name}.unfinished")


def unfinished(path: UPath | Path) -> list[str]:
    """Folders of recordings that a running or a killed preparation has not published."""
    if isinstance(path, UPath) or not _staging_folder(path).is_dir():
        return []
    return sorted(folder.name for folder in _staging_folder(path).iterdir())


def _clear_staging(path: Path) -> None:
    """Removes what killed preparations left beside a store.

    The folder is renamed first, in one step: a worker that outlives its parent then misses its
    mark and cannot publish its recording.
    """
    staging = _staging_folder(path)
    cleared = staging.with_name(f"{staging.name}.cleared")
    shutil.rmtree(cleared, ignore_errors=True)
    if staging.exists():
        os.replace(staging, cleared)
        shutil.rmtree(cleared, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Syncs all files of a folder to the disk, so that a power cut leaves none of them in part."""
    places = [folder, *folder.rglob("*")]
    with ThreadPoolExecutor(SYNCED_AT_ONCE) as threads:
        list(threads.map(_sync_one, places))


def _sync_one(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish_local(new: Path, final: Path, *, old: Path) -> None:
    replaces = final.exists()
    if replaces:
        os.replace(final, old)
    try:
        os.replace(new, final)
    except OSError:
        if replaces:
            os.replace(old, final)
        raise


def _publish_remote(new: Path, final: UPath) -> None:
    if (final / GROUP_FILE).exists():
        (final / GROUP_FILE).unlink()  # first: without it the rest is no recording
    if final.exists():
        final.fs.rm(final.path, recursive=True)
    files = sorted(file for file in new.rglob("*") if file.is_file())
    last = new / GROUP_FILE
    for file in [*(f for f in files if f != last), last]:
        final.fs.put_file(str(file), (final / file.relative_to(new).as_posix()).path)
