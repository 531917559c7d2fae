"""Writing a file whole or not at all, and staying within a folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from physkit.core.errors import InputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, which becomes `path` when the block ends without an error.

    Raises InputError where nothing can be written there; then nothing is left behind.
    """
    import tempfile  # 0.7 MB, which a session that only reads does without

    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            unfinished = Path(folder) / path.name
            yield unfinished
            os.replace(unfinished, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error}); choose another place") from error


def inside(root: Path, relative: str) -> Path:
    """A file below `root`, for a name that came out of a file.

    Raises InputError where it leads elsewhere: an absolute path, `..`, or a link that does.
    """
    path = root / relative
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{root}: names a file outside of it: {relative!r}; correct or remove it")
    return path


def cache_folder() -> Path:
    """Where physkit keeps what it can make or fetch again: $PHYSKIT_HOME, or physkit under the
    user's cache folder."""
    if home := os.environ.get("PHYSKIT_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "physkit"
