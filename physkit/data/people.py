"""Who is in a store, how they are divided, and what their recordings hold."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import xxhash

from physkit.core.errors import InputError
from physkit.core.naming import natural_order
from physkit.data.readers import READERS
from physkit.data.splits import (
    DEFAULT_FOLDS,
    RANDOM,
    Fold,
    Split,
    StoreConfig,
    load_split,
    random_split,
)
from physkit.data.store import Store, StoredRecording, open_store, store_path


@dataclass(frozen=True, eq=False)
class People:
    """The people of one store."""

    name: str
    """The store, as the config calls it."""
    config: StoreConfig
    """Its address and its split."""
    store: Store
    """The store, open."""

    @cached_property
    def population(self) -> str:
        """Within one population, equal subjects are one person."""
        return self.config.people or self.store.dataset

    @cached_property
    def split(self) -> Split | None:
        """The shipped split; None where it is a random one."""
        return None if self.config.split == RANDOM else load_split(self.config.split)

    @cached_property
    def subjects(self) -> tuple[str, ...]:
        """Those who are trained or tested on: all of the store, or those whom the split lists.

        Raises InputError where there is nobody.
        """
        present = self.present
        if self.split is None:
            return present
        listed = tuple(subject for subject in self.split.subjects if subject in present)
        if not listed:
            raise InputError(
                f"{self.config.store}: nobody whom split '{self.split.name}' lists is in it, but "
                f"{_few(present)}; give '{self.name}' split: random"
            )
        return listed

    @cached_property
    def present(self) -> tuple[str, ...]:
        """Everyone who has a recording in the store. Raises InputError where there is nobody."""
        if not self.store.names:
            raise InputError(f"{self.config.store}: holds no recordings; fill it by physkit prep")
        return tuple(sorted(self._of, key=natural_order))

    @cached_property
    def _of(self) -> dict[str, list[StoredRecording]]:
        """Recordings by subject; those that do not tell theirs are left to physkit audit."""
        found: dict[str, list[StoredRecording]] = {}
        for name in self.store.names:
            try:
                recording = self.store[name]
                found.setdefault(recording.subject, []).append(recording)
            except InputError:
                continue
        return found

    @cached_property
    def folds(self) -> tuple[Fold, ...]:
        """Folds of the people who are there.

        Raises InputError where a group of a fold would be empty, or people are too few.
        """
        if self.split is None:
            n_folds = self.config.n_folds or DEFAULT_FOLDS
            try:
                split = random_split(
                    self.subjects, n_folds=n_folds, seed=self.config.split_seed or 0
                )
            except InputError as error:
                raise InputError(f"{self.config.store}: {error}") from error
            return split.folds
        return tuple(self._kept(fold, n) for n, fold in enumerate(self.split.folds))

    @property
    def division(self) -> str:
        """How they are divided, for people."""
        if self.split is not None:
            return f"{self.split.name}, {len(self.split.folds)} folds"
        n_folds = self.config.n_folds or DEFAULT_FOLDS
        return f"random, {n_folds} folds, seed {self.config.split_seed or 0}"

    def _kept(self, fold: Fold, number: int) -> Fold:
        """The people of a fold who are in the store."""
        groups = {}
        for group in ("train", "validation", "test"):
            groups[group] = tuple(s for s in getattr(fold, group) if s in self.subjects)
            if not groups[group]:
                raise InputError(
                    f"{self.config.store}: of split '{self.config.split}', fold {number}, nobody "
                    f"of {group} is in it; complete the store, or give '{self.name}' split: "
                    "random"
                )
        return Fold(**groups)

    @property
    def notes(self) -> tuple[str, ...]:
        """Whom the split lists and the store lacks, and the reverse."""
        if self.split is None:
            return ()
        missing, unlisted = self.split.missing(self.present), self.split.unlisted(self.present)
        return tuple(
            f"{self.name}: {len(who)} people {what}: {_few(who)}"
            for who, what in (
                (missing, f"of split '{self.split.name}' are not in {self.config.store}"),
                (unlisted, f"of {self.config.store} are not in split '{self.split.name}', unused"),
            )
            if who
        )

    def recordings(self, subjects: Iterable[str]) -> list[StoredRecording]:
        """The recordings of some people, person by person."""
        return [recording for subject in subjects for recording in self._of[subject]]

    def checksum(self, subjects: Collection[str]) -> str:
        """Of all that distinguishes the recordings of some people from others."""
        hasher = xxhash.xxh3_128()
        for recording in self.recordings(sorted(subjects)):
            hasher.update(self._digests[recording.name])
        return hasher.hexdigest()

    @cached_property
    def _digests(self) -> dict[str, bytes]:
        return {
            recording.name: _digest(recording)
            for recordings in self._of.values()
            for recording in recordings
        }


def _digest(recording: StoredRecording) -> bytes:
    """Checksum of a recording.

    Attributes hold the checksum of what it was made of and how, which decides its frames; times and
    label are small enough to be read. What cannot be read is told when it is needed.
    """
    hasher = xxhash.xxh3_128(f"{recording.name}\0{_sorted(dict(recording.attributes))}".encode())
    try:
        hasher.update(f"{recording.n_frames}".encode())
        hasher.update(recording.timestamps_s.tobytes())
        hasher.update(recording.pulse.samples.tobytes())
        hasher.update(recording.pulse.timestamps_s.tobytes())
    except InputError as error:
        hasher.update(str(error).encode())
    return hasher.digest()


def _sorted(value: Any) -> Any:
    """The same whatever the order of names was."""
    if isinstance(value, dict):
        return sorted((str(key), _sorted(item)) for key, item in value.items())
    return value


def find_people(stores: Mapping[str, StoreConfig]) -> dict[str, People]:
    """The people of every store.

    Raises InputError, naming the command that makes it, for a store that is not there.
    """
    return {name: People(name, config, _open(name, config)) for name, config in stores.items()}


def _open(name: str, config: StoreConfig) -> Store:
    try:
        return open_store(config.store)
    except InputError as error:
        if store_path(config.store).exists():
            raise InputError(f"stores: {name}: {error}") from error
        raise InputError(
            f"stores: {name}: {config.store}: no store there; make it by physkit prep --dataset "
            f"{_likely_dataset(name, config)} --raw DIR --out {config.store}"
        ) from error


def _likely_dataset(name: str, config: StoreConfig) -> str:
    """The data set that the split, the name or the address of a store speaks of."""
    for spoken in (config.split, name, store_path(config.store).name):
        plain = spoken.lower().replace("_", "-")
        found = [dataset for dataset in READERS if dataset in plain]
        if found:
            return max(found, key=len)
    return "NAME"


def _few(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
