"""A model with its weights, from any kind of weights file."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from physkit.core.errors import WeightsError
from physkit.models import MODELS
from physkit.nn.streaming import PulseModel
from physkit.weights.file import WeightsCard, read_weights, sha256
from physkit.weights.manifest import known_weights
from physkit.weights.released import read_keras_weights
from physkit.weights.toolbox import read_torch_physnet, unsafe_pickle

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"
TRAINED_MODELS = frozenset({"facephys", "physnet"})
"""Models that need weights; all others are classical methods."""


def load_model(name: str, weights: Path | None = None) -> PulseModel[Any]:
    """The model called `name`, with weights where it has them, ready for inference.

    weights: our safetensors, the published HDF5 file of FacePhys, or a published PhysNet.
    Raises UnknownNameError for the name, WeightsError for weights that are missing, damaged,
    unsafe, or another model's.
    """
    factory = MODELS[name]
    if name not in TRAINED_MODELS:
        if weights is not None:
            raise WeightsError(
                f"{weights}: model '{name}' has no weights; leave --weights out or choose "
                f"--model {' or '.join(sorted(TRAINED_MODELS))}"
            )
        model: PulseModel[Any] = factory()
        return model.eval()
    if weights is None:
        raise WeightsError(
            f"model '{name}' needs weights: give --weights FILE, "
            f"or fetch them once by physkit weights pull {name}"
        )
    card, tensors = read_any_weights(weights)
    return _assemble(name, weights, card, tensors)


def read_any_weights(path: Path) -> tuple[WeightsCard, dict[str, Tensor]]:
    """Card and tensors of a weights file; its first bytes identify its kind."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except IsADirectoryError as error:
        raise WeightsError(f"{path}: is a folder; give the weights file inside it") from error
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}; check the path") from error
    if start.startswith(HDF5_MAGIC):
        tensors = read_keras_weights(path)
        return WeightsCard("facephys", {}, _origin(path, "Keras 3 HDF5")), tensors
    if start[8:9] == b"{":
        return read_weights(path)
    if start.startswith(ZIP_MAGIC):
        tensors = read_torch_physnet(path)
        return WeightsCard("physnet", {}, _origin(path, "torch checkpoint")), tensors
    if start.startswith(PICKLE_MAGIC):
        raise unsafe_pickle(path)
    raise WeightsError(
        f"{path}: {'empty file' if not start else 'neither safetensors, HDF5 nor torch'}; "
        "give a .safetensors file, FacePhys.weights.h5 or a PhysNet of rPPG-Toolbox"
    )


def _origin(path: Path, file_format: str) -> dict[str, str]:
    """The provenance of released weights."""
    origin = {"source": path.name, "sha256": sha256(path), "format": file_format}
    for known in known_weights().values():
        if known.sha256 == origin["sha256"]:
            origin |= {"origin": known.origin, "licence": known.licence}
    return origin


def _assemble(
    name: str, path: Path, card: WeightsCard, tensors: dict[str, Tensor]
) -> PulseModel[Any]:
    if card.model != name:
        raise WeightsError(f"{path}: weights of '{card.model}', not of '{name}'; change --model")
    factory = MODELS[name]
    known = {field.name for field in dataclasses.fields(factory.config_class)}
    unknown = sorted(set(card.config) - known)
    if unknown:
        raise WeightsError(
            f"{path}: config field {unknown[0]!r} is unknown to this version; upgrade physkit"
        )
    try:
        model: PulseModel[Any] = factory(factory.config_class(**card.config))
    except (ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise WeightsError(f"{path}: impossible config ({error}); download it again") from error
    expected = model.state_dict()
    wrong = sorted(
        key
        for key in expected.keys() | tensors.keys()
        if key not in expected or key not in tensors or expected[key].shape != tensors[key].shape
    )
    if wrong:
        raise WeightsError(
            f"{path}: {len(wrong)} tensors are missing, superfluous or of another shape, first "
            f"'{wrong[0]}'; give weights that belong to '{name}'"
        )
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise WeightsError(f"{path}: holds NaN or infinite values; download it again")
    model.load_state_dict(tensors)
    return model.eval()
