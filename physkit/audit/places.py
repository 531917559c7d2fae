"""The folder around the recordings: which data set it is, and what lies about in it."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from physkit.core.errors import InputError
from physkit.core.files import is_dead_link, missing, visible
from physkit.data.findings import Finding
from physkit.data.formats.truth import read_told
from physkit.data.readers import READERS
from physkit.data.readers.base import RawTree, Reader
from physkit.data.store import GROUP_FILE, Store
from physkit.data.store_writer import unfinished

SHOWN_FILES = 3
"""How many stray files of a folder are named."""


def find_tree(root: Path, dataset: str | None) -> tuple[str, RawTree]:
    """The data set under a root, and its recordings.

    Raises InputError where there are none, where several readers find some and none is named, or
    where the conditions of synthetic ones are damaged.
    """
    if dataset is not None:
        reader: Reader = READERS[dataset]()
        return dataset, reader.find(root)
    if not root.is_dir():
        raise missing(root, "no such folder; give a raw data set's folder, or a store")
    read_told(root)  # raises for damaged ones here, before another data set is tried
    found: dict[str, RawTree] = {}
    for name in READERS:
        try:
            found[name] = READERS[name]().find(root)
        except InputError:
            continue  # of another data set; the own reader reports damage of this one
    if not found:
        raise InputError(
            f"{root}: no recordings of any data set and no store; give the folder that holds the "
            "recordings, and --dataset NAME to learn what is expected there"
        )
    # two data sets may name folders alike; their files differ
    whole = {n: tree for n, tree in found.items() if any(r.is_complete for r in tree.recordings)}
    found = whole or found
    if len(found) > 1:
        candidates = ", ".join(f"{name} ({len(t.recordings)})" for name, t in found.items())
        raise InputError(f"{root}: holds recordings of {candidates}; choose by --dataset NAME")
    return next(iter(found.items()))


def check_strays(root: Path, strays: Sequence[Path]) -> list[Finding]:
    """Files of no recording, folder by folder, and links to what is not there."""
    dead = [path for path in strays if is_dead_link(path)]
    findings = [Finding("dead-link", "error", str(missing(path, ""))) for path in dead]
    by_folder: dict[Path, list[str]] = defaultdict(list)
    for path in strays:
        if path not in dead:
            by_folder[path.parent].append(path.name)
    for folder, names in by_folder.items():
        shown = ", ".join(sorted(names)[:SHOWN_FILES])
        more = f" and {len(names) - SHOWN_FILES} more" if len(names) > SHOWN_FILES else ""
        place = folder.relative_to(root).as_posix()
        message = f"{place}: {shown}{more}: no recording's"
        findings.append(Finding("stray", "note", message, {"n_files": len(names)}))
    return findings


def check_leftovers(store: Store) -> list[Finding]:
    """What a killed preparation left in a store or beside it."""
    findings = []
    for entry in visible(store.path):
        if entry.name in (GROUP_FILE, *store.names):
            continue
        message = f"{entry.name}: no whole recording (it has no {GROUP_FILE})"
        findings.append(Finding("half-written", "warning", message))
    names = unfinished(store.path)
    if names:
        shown = ", ".join(names[:SHOWN_FILES])
        message = f"{len(names)} unfinished beside the store ({shown}), unless one is being written"
        findings.append(Finding("half-written", "warning", message, {"n_unfinished": len(names)}))
    return findings
