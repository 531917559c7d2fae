"""The stores of a run: there, of known people, and nobody on both sides."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from physkit.core.errors import InputError
from physkit.data.readers import READERS
from physkit.data.store import open_store, store_path
from physkit.data.windows.config import WindowSource
from physkit.data.windows.table import WindowTable

Person = tuple[str, str]
"""Data set and name: two data sets may call two people alike."""


def check_stores(sources: Sequence[WindowSource]) -> None:
    """Raises InputError for a store that is not there, with the command that makes it."""
    for source in sources:
        where = store_path(source.store)
        if isinstance(where, Path) and not where.exists():
            dataset = _likely_dataset(where.name)
            raise InputError(
                f"{source.store}: no store there; make it by physkit prep --dataset {dataset} "
                f"--raw DIR --out {source.store}"
            )
        open_store(source.store)


def _likely_dataset(name: str) -> str:
    """The data set that a store's name speaks of."""
    spoken = [dataset for dataset in READERS if dataset in name.lower().replace("_", "-")]
    return max(spoken, key=len, default="NAME")


def check_apart(tables: Mapping[str, WindowTable]) -> None:
    """Raises InputError for a person who is in two tables, called by what they are for."""
    seen: dict[Person, str] = {}
    for purpose, table in tables.items():
        for recording in table.recordings:
            person = (recording.dataset, recording.subject)
            other = seen.setdefault(person, purpose)
            if other != purpose:
                raise InputError(
                    f"{recording.place}: subject '{recording.subject}' of {recording.dataset} is "
                    f"in {other} and in {purpose}; list the subjects of each, apart"
                )
