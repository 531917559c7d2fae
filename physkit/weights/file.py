"""Our weights format: safetensors, with the model, its config and its origin in the metadata."""

import dataclasses
import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from physkit.core.errors import WeightsError
from physkit.core.files import visible, whole_file

FORMAT_VERSION = "1"
WEIGHT_SUFFIXES = frozenset({".safetensors", ".bin", ".gguf"})
"""Ends of the names of weights in a language model's folder."""
BLOCK_BYTES = 1 << 24
Use = Literal["train", "validation"]
"""What a person was used for: to train weights, or to choose among them."""


@dataclass(frozen=True)
class WeightsCard:
    """The metadata of a weights file."""

    model: str
    """Name in MODELS."""
    config: Mapping[str, Any]
    """Fields of the model's config dataclass."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Where the weights come from: source, checksum, training data, metrics."""
    frozen: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """`name` and `checksum` of the frozen weights that these belong beside, by the dotted field of
    the config that says where they are."""

    @property
    def uses(self) -> Mapping[tuple[str, str], Use] | None:
        """What each person was used for, by their population and name, and by store and name.

        None where the weights do not say whom they were trained on.
        """
        data = self.provenance.get("data")
        if not isinstance(data, Mapping):
            return None
        begun_with = self.provenance.get("begun_with")
        before = WeightsCard(self.model, {}, begun_with).uses if begun_with else None
        uses: dict[tuple[str, str], Use] = {}
        for use in ("validation", "train"):
            for entry in data.get(use, ()):
                places = (entry.get("people", entry["dataset"]), entry["store"])
                uses |= {(place, name): use for place in places for name in entry["subjects"]}
        return {**(before or {}), **uses}


def sha256(path: Path) -> str:
    """Checksum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksum(path: Path) -> str:
    """Checksum of frozen weights: sha256 of a file; xxh3 over a folder's weights and config."""
    if not path.is_dir():
        return sha256(path)
    of_all = xxhash.xxh3_128()  # gigabytes: a check against mix-ups, which has to be quick
    for file in visible(path):
        if file.suffix in WEIGHT_SUFFIXES or file.name == "config.json":
            of_all.update(file.name.encode())
            with file.open("rb") as opened:
                while block := opened.read(BLOCK_BYTES):
                    of_all.update(block)
    return f"xxh3:{of_all.hexdigest()}"


def save_weights(path: Path, tensors: Mapping[str, Tensor], card: WeightsCard) -> None:
    """Write a weights file; an interrupted write leaves no file.

    Raises InputError where it cannot be written.
    """
    metadata = {"format": "pt", "physkit": FORMAT_VERSION}
    about = dataclasses.asdict(card)
    metadata |= {key: json.dumps(value) for key, value in about.items()}
    with whole_file(path) as unfinished:
        save_file({k: v.contiguous() for k, v in tensors.items()}, unfinished, metadata)


def read_weights(path: Path) -> tuple[WeightsCard, dict[str, Tensor]]:
    """A weights file of ours. Raises WeightsError when it is damaged or not one."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, struct.error) as error:
        raise WeightsError(f"{path}: damaged safetensors ({error}); download it again") from error
    try:
        card = WeightsCard(
            model=json.loads(metadata["model"]),
            config=json.loads(metadata["config"]),
            provenance=json.loads(metadata["provenance"]),
            frozen=json.loads(metadata.get("frozen", "{}")),
        )
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{path}: does not name the model it belongs to; "
            "make a weights file by physkit weights import"
        ) from error
    names_parts = isinstance(card.frozen, dict) and all(
        isinstance(part, dict) and {"name", "checksum"} <= set(part)
        for part in card.frozen.values()
    )
    if not (isinstance(card.model, str) and isinstance(card.config, dict) and names_parts):
        raise WeightsError(
            f"{path}: its metadata is damaged (model {card.model!r}); download it again"
        )
    return card, tensors
