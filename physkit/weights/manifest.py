"""Weights known by name, and the local folder of the downloaded ones."""

import http.client
import shutil
import tempfile
import tomllib
import urllib.error
import urllib.request
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from physkit.core.errors import InputError, WeightsError
from physkit.core.files import cache_folder
from physkit.core.registry import unknown_name
from physkit.weights.file import sha256

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class KnownWeights:
    """One entry of `checkpoints/manifest.toml`."""

    name: str
    """What `physkit weights pull` calls it."""
    model: str
    """Model or detector it belongs to."""
    title: str
    """What it is, in one line."""
    file_name: str
    """Name of the file, once fetched or as shipped."""
    origin: str
    """Who published it, and where."""
    sha256: str
    """Checksum that the file must have."""
    licence: str
    """What its publisher allows."""
    url: str | None = None
    """Where it is fetched from; None for a file of our own, shipped beside the manifest."""


def known_weights() -> dict[str, KnownWeights]:
    """The manifest, by name."""
    text = (resources.files("physkit.checkpoints") / "manifest.toml").read_text("utf-8")
    return {name: KnownWeights(name=name, **entry) for name, entry in tomllib.loads(text).items()}


def weights_folder() -> Path:
    """Where fetched weights are kept."""
    return cache_folder() / "weights"


def find_weights(name: str) -> Path | None:
    """The fetched or shipped file called `name` in the manifest, or None where it is not here."""
    path = _place(known_weights()[name])
    return path if path.is_file() else None


def weights_at_hand(model: str) -> tuple[str, Path] | None:
    """Name and file of the local weights of a model; of several, the first in the manifest.

    The manifest lists released weights before our own. None where there are no weights.
    """
    for name, entry in known_weights().items():
        if entry.model == model and (path := find_weights(name)):
            return name, path
    return None


def _place(entry: KnownWeights) -> Path:
    """Path of the file, downloaded or not."""
    if entry.url is None:
        return Path(str(resources.files("physkit.checkpoints") / entry.file_name))
    return weights_folder() / entry.file_name


def pull_weights(name: str) -> Path:
    """Download weights by name, unless they are there already, and check their checksum.

    Raises UnknownNameError for the name, InputError when the origin cannot be reached, and
    WeightsError when the file has another checksum; it is not kept then.
    """
    known = known_weights()
    if name not in known:
        raise unknown_name("weights", name, known)
    entry = known[name]
    path = _place(entry)
    if path.is_file() and sha256(path) == entry.sha256:
        return path
    if entry.url is None:
        raise WeightsError(f"{path}: missing or changed since it was shipped; install again")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            unfinished = Path(folder) / entry.file_name
            with (
                urllib.request.urlopen(entry.url, timeout=TIMEOUT_S) as response,
                unfinished.open("wb") as file,
            ):
                shutil.copyfileobj(response, file)
            found = sha256(unfinished)
            if found != entry.sha256:
                raise WeightsError(
                    f"{entry.url}: sha256 is {found}, not {entry.sha256}; the origin changed: "
                    "get the file elsewhere and give it to the command that needs it"
                )
            unfinished.replace(path)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise InputError(
            f"{entry.url}: cannot be fetched ({error}); fetch it elsewhere and put it at {path}"
        ) from error
    return path
