"""Our weights format: safetensors, with the model, its config and its origin in the metadata."""

import dataclasses
import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from physkit.core.errors import WeightsError
from physkit.core.files import whole_file

FORMAT_VERSION = "1"
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
    base: Mapping[str, str] | None = None
    """`file` and `sha256` of the frozen weights that these belong beside; None: they are all."""

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


def save_weights(path: Path, tensors: Mapping[str, Tensor], card: WeightsCard) -> None:
    """Write a weights file; an interrupted write leaves no file.

    Raises InputError where it cannot be written.
    """
    metadata = {"format": "pt", "physkit": FORMAT_VERSION}
    about = dataclasses.asdict(card)
    metadata |= {key: json.dumps(value) for key, value in about.items() if value is not None}
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
            base=json.loads(metadata.get("base", "null")),
        )
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{path}: does not name the model it belongs to; "
            "make a weights file by physkit weights import"
        ) from error
    has_base = card.base is None or (
        isinstance(card.base, dict) and {"file", "sha256"} <= set(card.base)
    )
    if not (isinstance(card.model, str) and isinstance(card.config, dict) and has_base):
        raise WeightsError(
            f"{path}: its metadata is damaged (model {card.model!r}); download it again"
        )
    return card, tensors
