"""Weights as others publish them: which file is whose, told by its first bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from physkit.core.errors import WeightsError
from physkit.weights import IMPORTERS

PICKLE_MAGIC = b"\x80"


@dataclass(frozen=True)
class WeightsImporter:
    """How a published file becomes weights of a model."""

    model: str
    """Name in MODELS."""
    title: str
    """What the file is, as errors name it."""
    file_format: str
    """Kind of file."""
    magic: bytes
    """Its first bytes."""
    read: Callable[[Path], dict[str, Tensor]]
    """Tensors of a file by our names. Raises WeightsError for a damaged one or another model's."""
    is_of: Callable[[Path], bool] = lambda _: True
    """Whether a file that begins so is this model's; the last importer asked says why it is not."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the model's config, where they are not the defaults."""


def find_importer(path: Path, start: bytes) -> WeightsImporter:
    """The importer for a file that begins so. Raises WeightsError where there is none."""
    every: list[WeightsImporter] = [IMPORTERS[name] for name in IMPORTERS]
    fitting = [importer for importer in every if start.startswith(importer.magic)]
    if fitting:
        return next((importer for importer in fitting if importer.is_of(path)), fitting[-1])
    if start.startswith(PICKLE_MAGIC):
        raise unsafe_pickle(path)
    formats = dict.fromkeys(IMPORTERS[name].file_format for name in IMPORTERS)
    raise WeightsError(
        f"{path}: {'neither safetensors nor ' + ' nor '.join(formats) if start else 'empty file'}; "
        f"give {readable_files()}"
    )


def readable_files() -> str:
    """What can be given as weights, in words."""
    titles = [IMPORTERS[name].title for name in IMPORTERS]
    return f"a .safetensors file, {' or '.join(titles)}"


def unsafe_pickle(path: Path) -> WeightsError:
    """The error for a file that could run code."""
    return WeightsError(
        f"{path}: a pickle or torch file, of another model and able to run code when opened; "
        f"it was not opened: give {readable_files()}"
    )
