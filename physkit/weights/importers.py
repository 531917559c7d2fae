"""Weights as others publish them: which file is whose, told by its first bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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


def find_importer(path: Path, start: bytes) -> WeightsImporter:
    """The importer for a file that begins so. Raises WeightsError where there is none."""
    for name in IMPORTERS:
        importer: WeightsImporter = IMPORTERS[name]
        if start.startswith(importer.magic):
            return importer
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
