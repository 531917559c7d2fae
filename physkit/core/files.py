"""Files and folders: written whole or not at all, listed without what a system hides in them."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar, runtime_checkable

from physkit.core.errors import InputError

SYSTEM_NAMES = frozenset(
    {
        "$recycle.bin",
        "__macosx",
        "@eadir",
        "desktop.ini",
        "ehthumbs.db",
        "system volume information",
        "thumbs.db",
    }
)
"""What Windows, macOS and network disks put into folders, in small letters."""


@runtime_checkable
class Listable(Protocol):
    """A path here or far away."""

    @property
    def name(self) -> str:
        """Its last part."""
        ...

    def iterdir(self) -> Iterable[Any]:
        """What lies in it."""
        ...


Folder = TypeVar("Folder", bound=Listable)
AnyPath = TypeVar("AnyPath", bound=Path)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, which becomes `path` when the block ends without an error.

    Its mode is what the umask says.

    Raises InputError where nothing can be written there; then nothing is left behind.
    """
    import tempfile  # 0.7 MB, which a session that only reads does without

    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            unfinished, ordinary = Path(folder) / path.name, Path(folder) / ".ordinary"
            yield unfinished
            ordinary.touch()
            unfinished.chmod(ordinary.stat().st_mode)  # some writers let nobody else read
            os.replace(unfinished, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error}); choose another place") from error


def inside(root: Path, relative: str) -> Path:
    """A file below `root`, for a name that came out of a file.

    Raises InputError where it leads elsewhere: an absolute path, `..`, or a link that does.
    """
    path = below(root, relative)
    try:
        is_inside = path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # links in a circle
        is_inside = False
    if not is_inside:
        raise _outside(root, relative)
    return path


def below(root: AnyPath, relative: str) -> AnyPath:
    """A file below `root` by its name, for the user's own tree: links may lead anywhere.

    Raises InputError for an absolute path, and for one with `..`.
    """
    name = PurePosixPath(relative)
    if name.is_absolute() or Path(relative).is_absolute() or ".." in name.parts:
        raise _outside(root, relative)
    return root / relative


def _outside(root: Path, relative: str) -> InputError:
    return InputError(f"{root}: names a file outside of it: {relative!r}; correct or remove it")


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name belongs to a system or a program, and is no data.

    Names that begin with a dot (`.DS_Store`, `._x.png`, `.~lock`, what is being written), Office's
    `~$` files, and `SYSTEM_NAMES`.
    """
    return name.startswith((".", "~$")) or name.casefold() in SYSTEM_NAMES


def visible(folder: Folder) -> list[Folder]:
    """What a folder holds, by name, but for what is hidden. Raises OSError as `iterdir` does."""
    entries = [entry for entry in folder.iterdir() if not is_hidden(entry.name)]
    return sorted(entries, key=lambda entry: entry.name)


def is_dead_link(path: Path) -> bool:
    """Whether it is a link that leads to nothing, or round in a circle."""
    return path.is_symlink() and not path.exists()


def missing(path: Path, otherwise: str) -> InputError:
    """The error for a path where nothing is: a link that leads nowhere, or as `otherwise` says."""
    for place in (path, *path.parents):
        if is_dead_link(place):
            return InputError(
                f"{place}: a link to {os.readlink(place)}, where nothing is; mount that disk, or "
                "mend the link"
            )
    return InputError(f"{path}: {otherwise}")


def cache_folder() -> Path:
    """Where physkit keeps what it can make or fetch again: $PHYSKIT_HOME, or physkit under the
    user's cache folder."""
    if home := os.environ.get("PHYSKIT_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "physkit"
