"""The type checker behind the import hook: an int counts as a float, as PEP 484 has it, and a path
on another file system as a path."""

from pathlib import Path

from beartype import BeartypeConf, FrozenDict, beartype
from upath import UPath

checked = beartype(
    conf=BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict({Path: Path | UPath}))
)
