"""Raw data that lie on object storage: listed here as empty files, fetched one recording at a time.

Readers see local folders only, so that none has to know of remote ones.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from upath import UPath

from physkit.core.errors import InputError
from physkit.core.files import inside, is_hidden
from physkit.data.formats.truth import CONDITIONS_SUFFIX, TRUTH_FOLDER
from physkit.data.readers import READERS
from physkit.data.readers.base import Reader
from physkit.data.recording import Recording


@contextmanager
def fetched(recording: Recording, origin: UPath | None) -> Iterator[Recording]:
    """The recording with its files on this computer, while the block lasts.

    origin: where they come from; None where they are here already.
    """
    if origin is None:
        yield recording
        return
    with tempfile.TemporaryDirectory(prefix="physkit-raw-") as folder:
        for entry in recording.files:
            _fetch(origin / entry, inside(Path(folder), entry))
        yield _found_anew(recording, Path(folder))


def _found_anew(recording: Recording, root: Path) -> Recording:
    """The recording as its reader sees it here: some data sets state conditions in their files."""
    reader: Reader = READERS[recording.dataset]()
    for found in reader.find(root).recordings:
        if found.name == recording.name:
            conditions = {**found.conditions, **recording.conditions}
            return replace(found, conditions=conditions, parameters=recording.parameters)
    return replace(recording, root=root)


@contextmanager
def outline(raw: UPath) -> Iterator[Path]:
    """A local tree of the same names and sizes as the remote one, which holds nothing.

    The conditions of synthetic recordings are really there. Raises InputError where nothing is.
    """
    with tempfile.TemporaryDirectory(prefix="physkit-outline-") as folder:
        root = Path(folder)
        try:
            found = raw.fs.find(raw.path, detail=True)
        except OSError as error:
            raise InputError(f"{raw}: cannot be listed ({error}); check --raw") from error
        if not found:
            raise InputError(f"{raw}: nothing there; check --raw")
        top = raw.path.rstrip("/")
        for name, about in found.items():
            if any(is_hidden(part) for part in name.removeprefix(top).split("/")):
                continue
            path = inside(root, name.removeprefix(top).lstrip("/"))
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.truncate(about["size"] or 0)  # sparse: takes no room
        for conditions in (root / TRUTH_FOLDER).glob(f"*{CONDITIONS_SUFFIX}"):
            _fetch(raw / TRUTH_FOLDER / conditions.name, conditions)
        yield root


def _fetch(source: UPath, target: Path) -> None:
    """Copies a file, or all of a folder."""
    if source.is_dir():
        for child in source.iterdir():
            if not is_hidden(child.name):
                _fetch(child, inside(target, child.name))
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source.fs.get_file(source.path, str(target))
