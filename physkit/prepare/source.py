"""What a recording was made of: which files, how large, and a checksum of all they hold."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash

from physkit.core.errors import InputError
from physkit.core.files import visible
from physkit.data.recording import Recording

BLOCK_BYTES = 1 << 18
"""Read and summed up while it lies in the processor's cache."""


@dataclass(frozen=True)
class Listing:
    """The files of a recording by name and size; nothing of them is read."""

    entries: tuple[str, ...]
    """Files and folders, as the reader names them."""
    sizes: Mapping[str, int]
    """Bytes of each file, by its name relative to the root; those in folders too, in order."""
    modified_s: float
    """When the latest of them was changed, in seconds since 1970."""

    @property
    def n_bytes(self) -> int:
        """Bytes of all files."""
        return sum(self.sizes.values())

    def digest(self) -> str:
        """Checksum of the names and sizes."""
        hasher = xxhash.xxh3_128()
        for name, size in self.sizes.items():
            hasher.update(f"{name}\0{size}\0".encode("utf-8", "surrogateescape"))
        return hasher.hexdigest()


def list_files(recording: Recording) -> Listing:
    """What a recording is made of now; missing files are left out."""
    sizes: dict[str, int] = {}
    modified_s = 0.0
    for entry in recording.files:
        for path in _files(recording.path(entry)):
            status = path.stat()
            sizes[path.relative_to(recording.root).as_posix()] = status.st_size
            modified_s = max(modified_s, status.st_mtime)
    return Listing(tuple(recording.files), sizes, modified_s)


def read_source(
    recording: Recording, listing: Listing, abandoned: threading.Event | None = None
) -> dict[str, Any]:
    """The attribute `source`: names, sizes and a checksum of the contents, all files read.

    abandoned: set to stop early; the result is then meaningless.
    Raises InputError where the files are no longer those of `listing`.
    """
    hasher = xxhash.xxh3_128()
    block = memoryview(bytearray(BLOCK_BYTES))
    for name in listing.sizes:
        # not mapped into memory: that would count as the worker's
        with (recording.root / name).open("rb", buffering=0) as file:
            while (n := file.readinto(block)) and not (abandoned and abandoned.is_set()):
                hasher.update(block[:n])
    check_unchanged(recording, listing)
    return {**stored_listing(listing), "contents_xxh3_128": hasher.hexdigest()}


def check_unchanged(recording: Recording, listing: Listing) -> None:
    """Raises InputError where the files of a recording are no longer those of `listing`."""
    if list_files(recording) != listing:
        raise InputError(
            f"{recording.root / recording.files[0]}: changed while it was read; "
            "run again when it is complete"
        )


def stored_listing(listing: Listing) -> dict[str, Any]:
    """The part of the attribute `source` that needs no reading of the files."""
    return {
        "files": list(listing.entries),
        "n_files": len(listing.sizes),
        "n_bytes": listing.n_bytes,
        "listing_xxh3_128": listing.digest(),
    }


def _files(path: Path, above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """The files of an entry, in order of their names; hidden ones are none.

    above: real places of the folders it lies in, where a link may lead back to.
    """
    if path.is_dir():
        place = path.resolve()
        for child in visible(path) if place not in above else ():
            yield from _files(child, above | {place})
    elif path.exists():
        yield path
