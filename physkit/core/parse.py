"""From YAML files and flags to a config. jsonargparse does the reading.

A file may hold less than any YAML: no tags, anchors or aliases, no key twice, no number of more
digits than a machine has, and nothing nested deeper than a config ever is. The only classes that a
file can name are those of a registry (see `CLASSES`), so that reading one never imports anything.
"""

import dataclasses
import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from physkit.core.config import (
    CLASSES,
    FLAG_ONLY,
    Counts,
    Names,
    all_blocks,
    blocks_in,
    option_names,
)
from physkit.core.errors import InputError, PhyskitError
from physkit.core.registry import names_of
from physkit.core.text import decode_text, encoding_of

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

T = TypeVar("T")

MODE = "physkit"
"""Name under which jsonargparse knows our reading of YAML."""
MOST_DEPTH = 30
MOST_BYTES = 1 << 20
SAVE_AS = "save it as UTF-8"
LARGEST = 2**63 - 1
READING = (ValueError, TypeError, LookupError, OverflowError, OSError)
"""What reading a value that is none can raise."""
_UNKNOWN = re.compile(
    r"unrecognized arguments: --([\w.]+)|[Oo]ption '([\w.]+)' is not accepted"
    r"|does not accept option '([\w.]+)'"
)
"""How jsonargparse tells of an unknown option."""
_OTHER_PIECE = re.compile(
    r"Unable to load config '([^']+)'|Subclasses are disabled for \w+, thus '([^']+)'"
)
"""How jsonargparse tells of a piece of another block."""
_NOT_CHOSEN = (
    re.compile(r"Importing '([^']+)' is not allowed"),
    re.compile(r"Expected a path but (\S+) either not accessible or invalid"),
)
"""How jsonargparse tells of a value that is neither a piece nor a class."""
_PLACE = re.compile(r"\{registry ([a-z -]+)\}")
"""Where the docstring of a field wants the names in a registry."""


class RefusedError(ValueError):
    """A text that is not a config."""


def parse_words(
    config_class: type[T],
    words: Sequence[str],
    *,
    command: str,
    summary: str = "",
    positional: bool = False,
    moved: Mapping[str, str] | None = None,
) -> tuple[T, bool]:
    """The config that the words of a command line describe, and whether JSON was asked for.

    command: as it is typed, for messages. positional: required fields are given by their place.
    moved: old key to new, of configs that an earlier version wrote.
    Raises PhyskitError, in one line with file, key and fix, for anything that is no such config.
    """
    from jsonargparse import ArgumentError

    parser = make_parser(
        config_class,
        command=command,
        summary=summary,
        positional=positional,
        moved=moved,
        with_help=bool({"-h", "--help"} & {*words}),
    )
    files = [file for flag, file in itertools.pairwise(words) if flag == "--config"]
    try:
        parsed = parser.parse_args(list(words))
        _check_numbers(parsed.as_dict())
        values = parser.instantiate(parsed).as_dict()
        as_json = bool(values.pop("json"))
        del values["config"]
        config = config_class(**values)
        _check_flags(config, words)
        return config, as_json
    except PhyskitError as error:
        if not files or str(error).startswith(files[-1]):
            raise
        raise type(error)(": ".join([*files, str(error)])) from error
    except RecursionError as error:
        raise PhyskitError(f"{command}: a value is nested too deeply; simplify it") from error
    except (ArgumentError, *READING) as error:
        told = ": ".join([*files, _told(error, config_class)])
        raise PhyskitError(f"{command}: {told} (physkit {command} --help)") from error


def read_config(config_class: type[T], path: str | Path, *words: str) -> T:
    """The config in a YAML file, changed by flags as a command line has them.

    Raises PhyskitError as `parse_words` does.
    """
    return parse_words(config_class, ["--config", str(path), *words], command=str(path))[0]


def make_parser(
    config_class: type,
    *,
    command: str,
    summary: str = "",
    positional: bool = False,
    moved: Mapping[str, str] | None = None,
    with_help: bool = False,
) -> "ArgumentParser":
    """The parser of a command whose options are the fields of a config.

    with_help: fill in the names in registries, which all have to be imported for it.
    """
    from jsonargparse import ArgumentParser, set_loader, set_parsing_settings
    from jsonargparse.typing import register_type

    register_type(Names, list, _read_names, fail_already_registered=False)
    register_type(Counts, list, _read_counts, fail_already_registered=False)
    set_loader(MODE, _load, exceptions=(RefusedError,))
    classes = {config_class, *CLASSES, *all_blocks(config_class)}
    set_parsing_settings(
        docstring_parse_attribute_docstrings=True,
        instantiate_subclass_spec_in_any=False,
        subclasses_enabled=list(CLASSES),
        import_path_denylist=["*"],
        import_path_allowlist=sorted(f"{cls.__module__}.{cls.__qualname__}" for cls in classes),
    )
    parser = ArgumentParser(
        prog=f"physkit {command}",
        description=summary,
        exit_on_error=False,
        allow_abbrev=True,  # --window for --window_s
        parser_mode=MODE,
    )
    parser.add_argument(
        "--config",
        action=_config_action(config_class, moved or {}),
        help="Options as a YAML file; later ones win.",
    )
    parser.add_argument("--json", action="store_true", help="Print one JSON object.")
    parser.add_class_arguments(config_class, as_positional=positional, sub_configs=True)
    for action in parser._actions:
        if with_help and isinstance(action.help, str):
            action.help = _PLACE.sub(_names, action.help)
        if getattr(action, "_typehint", None) is bool and action.option_strings:
            action.nargs, action.const = "?", True  # --flag is --flag true
    return parser


def _config_action(config_class: type, moved: Mapping[str, str]) -> type:
    from jsonargparse import ActionConfigFile, ArgumentError  # type: ignore[attr-defined]

    class ConfigFile(ActionConfigFile):
        """`--config FILE`, whose errors begin with the file's name."""

        def __call__(self, parser: Any, cfg: Any, values: Any, option_string: Any = None) -> None:
            if not Path(values).is_file():
                raise InputError(f"{values}: no such file; check --config")
            try:
                _check_version(_load(_utf_8(Path(values).read_bytes())), moved)
                super().__call__(parser, cfg, values, option_string)  # type: ignore[no-untyped-call]
            except (*READING, ArgumentError, PhyskitError) as error:
                raise PhyskitError(f"{values}: {_told(error, config_class)}") from error

    return ConfigFile


def _utf_8(data: bytes) -> str:
    """A file's text. Raises `RefusedError` for another encoding, which jsonargparse cannot read."""
    encoding = encoding_of(data)
    if encoding != "utf-8":
        raise RefusedError(f"{encoding.upper()} text, as Windows shells write it; {SAVE_AS}")
    try:
        return decode_text(data)
    except ValueError as error:
        raise RefusedError(str(error)) from error


def _check_version(tree: Any, moved: Mapping[str, str]) -> None:
    """Raises InputError for a config that an earlier version wrote, with where its keys are now,
    and for a dotted key, beside which jsonargparse would drop the rest of that block."""
    for key in tree if isinstance(tree, Mapping) else ():
        if isinstance(key, str) and "." in key:
            block, _, rest = key.partition(".")
            raise InputError(f"'{key}': nest it, as {block}: {{{rest}: ...}}, or give it as a flag")
    old = [key for key in tree if key in moved] if isinstance(tree, Mapping) else []
    if old:
        now = ", ".join(f"'{key}' is now {moved[key]}" for key in old)
        raise InputError(f"of an older version: {now}")


def _load(text: str) -> Any:
    """A YAML text as plain values. Raises `RefusedError` for a text that no config is."""
    import yaml
    from jsonargparse import get_loader

    if len(text) > MOST_BYTES:
        raise RefusedError(f"{len(text)} characters; a config has at most {MOST_BYTES}")
    try:
        _check_events(text)
        _check_keys(yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        value = get_loader("yaml")(text)
    except yaml.YAMLError as error:
        told = str(error).replace(' in "<unicode string>",', ",")
        raise RefusedError(f"not YAML ({told})") from error
    except ValueError as error:  # a number of more digits than Python reads
        raise error if isinstance(error, RefusedError) else RefusedError(str(error)) from error
    _check_numbers(value)
    return value


def _check_events(text: str) -> None:
    """Raises `RefusedError` before anything is built of a text that could grow when it is."""
    import yaml

    depth = 0
    for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise RefusedError(f"line {line}: no anchors and aliases are read; write it out")
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            raise RefusedError(f"line {line}: the tag {tag} is not read; leave it out")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise RefusedError(f"line {line}: nested more than {MOST_DEPTH} deep")


def _check_keys(node: Any) -> None:
    """Raises `RefusedError` for a key that a mapping has twice: one of both would be lost."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, value in node.value:
            if keys.count(key.value) > 1:
                line = key.start_mark.line + 1
                raise RefusedError(f"line {line}: '{key.value}' is given twice; remove one")
            _check_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _check_keys(item)


def _check_numbers(value: Any, key: str = "") -> None:
    """Raises InputError for a whole number that no machine holds, and for a NUL in a text."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            _check_numbers(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for item in value:
            _check_numbers(item, key)
    elif isinstance(value, int) and abs(value) > LARGEST:
        raise InputError(f"{key or 'a number'}: has too many digits; give less than {LARGEST:.0e}")
    elif isinstance(value, str) and "\0" in value:
        raise InputError(f"{key or 'a text'}: holds a NUL byte; remove it")


def _readable(error: Exception) -> str:
    """An error's text; of one in decoding a piece, what its encoding is."""
    if not isinstance(error, UnicodeDecodeError):
        return str(error)
    encoding = encoding_of(error.object)
    what = f"{encoding.upper()} text" if encoding != "utf-8" else "no UTF-8 text"
    return f"a file that it names is {what}; {SAVE_AS}"


def _told(error: Exception, config_class: type) -> str:
    """jsonargparse's message in one line, as key, problem and fix."""
    told = " ".join(_readable(error).split())
    keys = re.findall(r'Parser key "([\w.]+)": ', told)
    where = ".".join(key for n, key in enumerate(keys) if key not in keys[:n])
    before = f"{where}: " if where else ""
    if loop := re.search(r"Config file loop detected: (.*)", told):
        return f"{before}files include each other in a circle: {loop[1]}"
    if piece := _OTHER_PIECE.search(told):
        return f"{before}{piece[1] or piece[2]} is no piece of {where}; see configs/{where}"
    if whole := re.search(r"Not a valid subclass of \w+\. Got value: (\S+)", told):
        return f"{before}{whole[1]} gives all of it, so single flags cannot change it; give a file"
    for pattern in _NOT_CHOSEN:
        if found := pattern.search(told):
            return f"{before}{_not_chosen(found[1])}"
    if _UNKNOWN.search(told):
        return f"{before}{_unknown_option(told, config_class)}"
    if union := re.search(r"Subtypes: \[(.*?)\] Errors: .* Given value: (.*)", told):
        return f"{before}expected {_types(union[1])}, got {union[2]}"
    if single := re.search(r"Expected a (.*?)\. Got value: (.*)", told):
        return f"{before}expected {_types(single[1])}, got {single[2]}"
    return told


def _not_chosen(value: str) -> str:
    """What is wrong with a value that names neither a piece nor a class."""
    if "/" in value or value.endswith((".yaml", ".yml")):
        return f"{value}: no such file; paths are relative to the file that names them"
    classes = [cls.__qualname__ for base in CLASSES for cls in blocks_in(base)]
    return f"'{value}' cannot be chosen; known are {', '.join(classes) or 'none'}"


def _types(told: str) -> str:
    """Types as a user calls them: `<class 'float'>, typing.Literal['inf']` is `float or inf`."""
    names = "names in quotes as a list"
    plain = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", told).replace("NoneType", "null")
    plain = plain.replace("tuple[str, ...]", names).replace("list[str]", names)
    plain = re.sub(r"typing\.Literal\[(.*?)\]", lambda m: m[1].replace("'", ""), plain)
    return " or ".join(part.strip() for part in plain.split(","))


def _unknown_option(told: str, config_class: type) -> str:
    """An unknown option, with the nearest one that there is."""
    found = _UNKNOWN.search(told)
    key = next(name for name in found.groups() if name) if found else ""
    of_class = re.search(r"class_path '([\w.]+)': [Oo]ption", told)
    known = list(option_names(config_class))
    if of_class:
        blocks = {f"{cls.__module__}.{cls.__qualname__}": cls for cls in all_blocks(config_class)}
        known = list(option_names(blocks[of_class[1]]))
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if not near:
        last = {name.rpartition(".")[2]: name for name in known}
        near = [last[n] for n in difflib.get_close_matches(key.rpartition(".")[2], last, n=1)]
    hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(known[:20])}"
    return f"unknown option '{key}': {hint}"


def _check_flags(config: Any, words: Sequence[str], before: str = "--") -> None:
    """Raises InputError for what only the user may allow, and a file did."""
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), f"{before}{field.name}"
        if FLAG_ONLY in field.metadata and value and not any(w.startswith(name) for w in words):
            raise InputError(f"{name}: cannot be set by a file; give it as a flag")
        if dataclasses.is_dataclass(value):
            _check_flags(value, words, f"{name}.")


def _names(place: re.Match[str]) -> str:
    """The names in the registry that a help text wants."""
    return ", ".join(names_of(place[1]))


def _read_names(value: Any) -> list[str]:
    """Raises ValueError for what is no list of names."""
    names = _parts(value)
    numbers = [item for item in names if not isinstance(item, str)]
    if numbers:
        raise ValueError(f"{numbers[0]!r} is no name; put it in quotes, as '{numbers[0]}'")
    return names


def _read_counts(value: Any) -> list[int]:
    """Raises ValueError for what is no list of whole numbers."""
    return [int(item) for item in _parts([value] if isinstance(value, int) else value)]


def _parts(value: Any) -> list[Any]:
    """The items of a list, or of `a,b` and `[a, b]` as a command line has them."""
    if isinstance(value, str):
        inner = value.strip().removeprefix("[").removesuffix("]")
        return [part.strip().strip("\"'") for part in inner.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError(f"{value!r} is no list; write [a, b]")
    return list(value)
