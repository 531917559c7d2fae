"""Lazy registries: a name and a dotted path, imported when first asked for."""

import difflib
import importlib
import pkgutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from physkit.core.errors import MissingExtraError, UnknownNameError


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for a misspelt name, with the nearest known one where there is one."""
    known = sorted(known)
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return UnknownNameError(f"unknown {kind} '{name}': {hint}known are {', '.join(known)}")


NAMES: dict[str, Collection[str]] = {}
"""What can be chosen by name, by kind: every registry puts itself here when it is made."""


def import_path(path: str) -> Any:
    """The object at `package.module:attribute`."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


class Registry(Collection[str]):
    """Maps a name to `package.module:attribute`; importing a registry imports none of its entries.

    kind: the word used in errors, such as "model".
    entries: name to dotted path.
    extras: name to the physkit extra that brings the packages the entry needs.
    """

    def __init__(
        self, kind: str, entries: Mapping[str, str], extras: Mapping[str, str] | None = None
    ) -> None:
        NAMES[kind] = self
        self.kind = kind
        self.entries = MappingProxyType(dict(entries))
        self.extras = MappingProxyType(dict(extras or {}))

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __getitem__(self, name: str) -> Any:
        """The object called `name`.

        Raises UnknownNameError with the nearest name, MissingExtraError with the extra to install.
        """
        if name not in self.entries:
            raise unknown_name(self.kind, name, self.entries)
        try:
            return import_path(self.entries[name])
        except ModuleNotFoundError as error:
            if name not in self.extras:
                raise
            raise MissingExtraError(
                f"{self.kind} '{name}' needs the package '{error.name}': "
                f"pip install 'physkit[{self.extras[name]}]'"
            ) from error

    @contextmanager
    def registered(self, name: str, path: str) -> Iterator[None]:
        """With one more entry for as long as the block lasts: for plugins, and for tests."""
        before = self.entries
        self.entries = MappingProxyType({**before, name: path})
        try:
            yield
        finally:
            self.entries = before


def names_of(kind: str) -> Collection[str]:
    """What of a kind can be chosen by name. Raises KeyError for a kind that nobody chooses from."""
    if kind not in NAMES:
        all_registries()
    return NAMES[kind]


def all_registries() -> list[Registry]:
    """Every registry of the package, each made in the `__init__.py` of a room or a folder in it."""
    package = importlib.import_module(__name__.partition(".")[0])
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.ispkg:
            importlib.import_module(module.name)
    return [names for names in NAMES.values() if isinstance(names, Registry)]
