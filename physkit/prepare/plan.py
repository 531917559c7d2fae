"""Which recordings a run has to prepare: those that are missing in the store, or outdated."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upath import UPath

from physkit.core.differences import differences
from physkit.core.errors import InputError, PhyskitError
from physkit.data.recording import Recording
from physkit.data.store import GROUP_FILE, Store
from physkit.prepare.settings import CropSettings
from physkit.prepare.source import Listing, list_files, stored_listing
from physkit.prepare.work import PrepareTask, identity


@dataclass(frozen=True)
class PreparePlan:
    """Which recordings to prepare, and which are up to date."""

    tasks: tuple[PrepareTask, ...]
    """In the order of the recordings."""
    up_to_date: tuple[str, ...]
    """Recordings that the store holds as they should be."""
    reasons: Mapping[str, str]
    """Why recordings that the store holds are done again, by name."""


def make_plan(
    recordings: Sequence[Recording],
    store: Store,
    *,
    crop: CropSettings,
    settings: Mapping[str, Any],
    origin: UPath | None,
    verify: bool,
) -> PreparePlan:
    """Compares the raw tree with the store.

    origin: where the files are to be fetched from; None where they lie here.
    verify: also compare the contents of files whose names and sizes are as they were; those that
      were written since are compared in any case.
    """
    tasks: list[PrepareTask] = []
    up_to_date: list[str] = []
    reasons: dict[str, str] = {}
    for recording in recordings:
        name = recording.name
        listing = _listing(recording)
        n_bytes = listing.n_bytes if listing else 0
        task = PrepareTask(recording, n_bytes, store.path, crop, settings, origin)
        if name in store.names:
            stored = _attributes(store, name)
            known = identity(recording)
            if origin is not None:
                # what a file itself states is not known before it comes
                known["conditions"] = {**stored.get("conditions", {}), **known["conditions"]}
            reason = _reason(stored, known, settings, listing) or _lost(store, name)
            if reason is not None:
                reasons[name] = reason
            elif verify or (origin is None and _is_newer(listing, store.path / name)):
                contents = stored["source"]["contents_xxh3_128"]
                task = dataclasses.replace(task, known_contents=contents)
            else:
                up_to_date.append(name)
                continue
        tasks.append(task)
    return PreparePlan(tuple(tasks), tuple(up_to_date), reasons)


def _listing(recording: Recording) -> Listing | None:
    """The files; None where they cannot be listed: the worker reports the same error."""
    try:
        return list_files(recording)
    except (OSError, PhyskitError):
        return None


def _attributes(store: Store, name: str) -> Mapping[str, Any]:
    """What the store says of a recording; nothing where that cannot be read."""
    try:
        return store[name].attributes
    except InputError:
        return {}


def _lost(store: Store, name: str) -> str | None:
    """That the store lacks files of a recording; None where it does not."""
    try:
        store[name].check_files()
    except InputError:
        return "files of what is stored are missing or damaged"
    return None


def _reason(
    stored: Mapping[str, Any],
    known: Mapping[str, Any],
    settings: Mapping[str, Any],
    listing: Listing | None,
) -> str | None:
    """Why a stored recording has to be done again; None where it need not."""
    if not {"settings", "source"} <= stored.keys():
        return "what is stored of it cannot be read"
    if stored["settings"] != settings:
        return f"settings changed: {', '.join(differences(stored['settings'], settings))}"
    now = json.loads(json.dumps(known))
    changed = [name for name in now if stored.get(name) != now[name]]
    if changed:
        return f"{', '.join(changed)} changed"
    if listing is None:
        return "raw files changed"
    files = stored_listing(listing)
    return None if files == {k: stored["source"].get(k) for k in files} else "raw files changed"


def _is_newer(listing: Listing | None, stored: Path | UPath) -> bool:
    """Whether a raw file was written after the recording; unknown, so no, of a remote store."""
    if listing is None or isinstance(stored, UPath):
        return False
    return listing.modified_s > (stored / GROUP_FILE).stat().st_mtime
