"""What configs are: frozen dataclasses, whose blocks say what they decide; and configs as YAML."""

import dataclasses
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar

from physkit.core.registry import Registry, unknown_name

T = TypeVar("T")

CLASSES: dict[type, Registry] = {}
"""Base class of a block that is a choice of class, and the registry of its subclasses."""
FLAG_ONLY = "flag_only"
"""Key of a field's metadata: the field is taken from the command line alone, never from a file."""
EFFECT = "effect"
"""Key of a field's metadata: what changing it does to the weights that a training makes."""
NO_EFFECT: Mapping[str, str] = {EFFECT: "none"}
"""Metadata of a field, or of a block, that never decides what weights come out."""
END: Mapping[str, str] = {EFFECT: "end"}
"""Metadata of a field that decides when a run ends: a run may go on with another value."""


def choice_of_class(base: type[T], registry: Registry) -> type[T]:
    """Makes a block of type `base` a choice among the classes in `registry`."""
    CLASSES[base] = registry
    return base


if TYPE_CHECKING:
    Names = Sequence[str]
    Counts = Sequence[int]
else:

    class Names(list[str]):
        """Several names, in YAML a list; on the command line also `a,b`, where 01 stays a name."""

    class Counts(list[int]):
        """Several whole numbers, in YAML a list; on the command line also `16,64`."""


def from_options(config_class: type[T], **options: Any) -> T:
    """The config with these fields; a block may be given as a mapping, a path as a Path.

    Raises InputError for a field that there is not.
    """
    known = {field.name for field in dataclasses.fields(config_class)}  # type: ignore[arg-type]
    for name in options:
        if name not in known:
            raise unknown_name("option", name, known)
    hints = typing.get_type_hints(config_class)
    return config_class(**{name: _built(hints[name], value) for name, value in options.items()})


def _built(hint: Any, value: Any) -> Any:
    """A value of the command line's kind, out of what Python code may give for it."""
    if isinstance(value, Mapping):
        if typing.get_origin(hint) is dict:
            of_items = typing.get_args(hint)[1]
            return {key: _built(of_items, item) for key, item in value.items()}
        blocks = blocks_in(hint)
        if len(blocks) == 1:
            return from_options(blocks[0], **value)
    return str(value) if isinstance(value, Path) else value


def without_flags(config: T) -> T:
    """The config with the default of every field that only the command line may set."""
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if FLAG_ONLY in field.metadata:
            changed[field.name] = field.default
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            changed[field.name] = without_flags(value)
    return dataclasses.replace(config, **changed)  # type: ignore[type-var]


def to_yaml(config: Any) -> str:
    """A config as YAML that `read_config` reads as an equal one."""
    import yaml

    text: str = yaml.safe_dump(_tree(config), sort_keys=False, allow_unicode=True, width=100)
    return text


def _tree(value: Any) -> Any:
    """Plain values for YAML."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _tree(getattr(value, f.name)) for f in dataclasses.fields(value)}
        if any(base in CLASSES for base in type(value).__mro__):
            return {"class_path": type(value).__qualname__, "init_args": fields}
        return fields
    if isinstance(value, Mapping):
        return {key: _tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def decisive(config: Any, *, to_go_on: bool = False) -> dict[str, Any]:
    """What of a config decides the weights that a training makes, as plain values.

    to_go_on: without what a run may be given anew when it goes on, such as when it ends.
    """
    kept = {}
    for field in dataclasses.fields(config):
        effect = field.metadata.get(EFFECT)
        if effect == "none" or (to_go_on and effect == "end"):
            continue
        value = getattr(config, field.name)
        is_block = dataclasses.is_dataclass(value)
        kept[field.name] = decisive(value, to_go_on=to_go_on) if is_block else _tree(value)
    if isinstance(config, tuple(CLASSES)):
        kept["class_path"] = type(config).__qualname__
    return kept


def option_names(config_class: type, before: str = "") -> Iterator[str]:
    """Every key of a config, dotted; those of all classes where a block is a choice of class."""
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        name = f"{before}{field.name}"
        yield name
        for block in blocks_in(hints[field.name]):
            yield from option_names(block, f"{name}.")


def all_blocks(config_class: type) -> Iterator[type]:
    """Every class of a block in a config, at any depth."""
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        for block in blocks_in(hints[field.name]):
            yield block
            yield from all_blocks(block)


def blocks_in(hint: Any) -> list[type]:
    """Dataclasses that a field may hold."""
    if typing.get_origin(hint) in (typing.Union, UnionType, dict):
        return [block for part in typing.get_args(hint) for block in blocks_in(part)]
    if hint in CLASSES:
        return [CLASSES[hint][name] for name in CLASSES[hint]]
    return [hint] if dataclasses.is_dataclass(hint) and isinstance(hint, type) else []
