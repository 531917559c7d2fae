"""Whether the files of a stored recording are all there: Zarr reads a missing chunk as zeros."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from upath import UPath

GROUP_FILE = "zarr.json"
"""The file that makes a folder a Zarr group or array."""
FILES = "files"
"""Attribute of a recording: its files but `GROUP_FILE`, relative to its folder, with their bytes.
A chunk that is all fill need not be written, so a listing alone tells nothing."""
NO_SEGMENT = -1
"""Segment number of a frame without a face."""

Sizes = Mapping[str, int]
"""Bytes of files, by name relative to a folder."""


def written_files(folder: Path) -> dict[str, int]:
    """The files of a recording that was just written, for the attribute `FILES`."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    names = {file.relative_to(folder).as_posix(): file.stat().st_size for file in files}
    return {name: size for name, size in names.items() if name != GROUP_FILE}


def lost_files(folder: Path | UPath, group: zarr.Group) -> list[str]:
    """Files of a recording that are missing or empty; one listing, no reading.

    Of a recording from before the attribute `FILES`: the frames that must show a face.
    """
    wanted = _wanted(group)
    there = _sizes(folder, wanted)
    return [name for name in wanted if not there.get(name)]


def damaged_files(folder: Path | UPath, group: zarr.Group) -> list[str]:
    """As `lost_files`, and chunks whose size has changed that cannot be decoded."""
    wanted = _wanted(group)
    there = _sizes(folder, wanted)
    changed = [name for name, size in there.items() if size and size != wanted[name] >= 0]
    unreadable = {name for name in changed if not _is_readable(group, name)}
    return [name for name in wanted if not there.get(name) or name in unreadable]


def _wanted(group: zarr.Group) -> Sizes:
    """Files that have to be there; a size of -1 is not known."""
    stated: Any = group.attrs.get(FILES)
    return stated if isinstance(stated, Mapping) else dict.fromkeys(_faces(group), -1)


def _sizes(folder: Path | UPath, wanted: Sizes) -> dict[str, int]:
    """Those of the wanted files that are there."""
    if isinstance(folder, UPath):
        folder.fs.invalidate_cache(folder.path)  # others may have written or removed some
        found = folder.fs.find(folder.path, detail=True).items()
        top = folder.path.rstrip("/") + "/"
        sizes = {name.partition(top)[2]: int(about["size"]) for name, about in found}
        return {name: sizes[name] for name in wanted if name in sizes}
    there = {}
    for name in wanted:
        try:
            there[name] = (folder / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            continue
    return there


def _is_readable(group: zarr.Group, name: str) -> bool:
    """Whether a chunk decodes whose size is not as it was written: it may have been edited."""
    path, _, key = name.partition("/c/")
    if not key:
        return True  # of an array as a whole: read when it is opened
    try:
        array: Any = group[path]
        array.blocks[tuple(int(place) for place in key.split("/"))]
    except Exception:  # noqa: BLE001 (whatever it is, it is no part of the array)
        return False
    return True


def _faces(group: zarr.Group) -> Iterator[str]:
    """Chunks of frames that cannot be all black, since a frame in them shows a face."""
    frames: Any = group["frames"]
    segments = np.asarray(group["segment"][:])  # type: ignore[index]
    length = frames.chunks[0]
    for number, start in enumerate(range(0, frames.shape[0], length)):
        if np.any(segments[start : start + length] != NO_SEGMENT):
            yield "frames/" + frames.metadata.encode_chunk_key((number, 0, 0, 0))
