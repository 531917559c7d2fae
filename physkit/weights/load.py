"""A model with its weights, from any kind of weights file."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from physkit.core.config import from_options, without_flags
from physkit.core.errors import WeightsError
from physkit.models import CONFIGS, MODELS
from physkit.nn.config import ModelConfig
from physkit.nn.streaming import PulseModel
from physkit.weights.file import WeightsCard, read_weights, sha256
from physkit.weights.frozen import beside, located, place_in
from physkit.weights.importers import find_importer
from physkit.weights.manifest import known_weights, ways_to_pull


def load_model(name: str, weights: Path | None = None) -> PulseModel[Any]:
    """The model called `name`, with weights where it has them, ready for inference.

    weights: our safetensors, or a published file of IMPORTERS.
    Raises UnknownNameError for the name, WeightsError for weights that are missing, damaged,
    unsafe, or another model's.
    """
    factory = MODELS[name]
    if factory.config_class is None:
        if weights is not None:
            raise WeightsError(
                f"{weights}: model '{name}' has no weights; leave --weights out or choose "
                f"--model {' or '.join(sorted(CONFIGS))}"
            )
        model: PulseModel[Any] = factory()
        return model.eval()
    if weights is None:
        raise WeightsError(
            f"model '{name}' needs weights: give --weights FILE, "
            f"or fetch them once by {ways_to_pull(name)}"
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
    if start[8:9] == b"{":
        return read_weights(path)
    importer = find_importer(path, start)
    tensors = importer.read(path)
    return WeightsCard(
        importer.model, importer.config, _origin(path, importer.file_format)
    ), tensors


def _origin(path: Path, file_format: str) -> dict[str, str]:
    """The provenance of released weights."""
    origin = {"source": path.name, "sha256": sha256(path), "format": file_format}
    for known in known_weights().values():
        if known.sha256 == origin["sha256"]:
            origin |= {"origin": known.origin, "licence": known.licence}
    return origin


def make_network(config: ModelConfig) -> PulseModel[Any]:
    """A network of this config beside its frozen weights; what is trained of it is random.

    Raises PhyskitError, with the fix, where frozen weights are missing or another model's.
    """
    config = located(config)
    model: PulseModel[Any] = MODELS[config.model](config)
    for part in model.frozen_parts:
        place = place_in(config, part.field)
        if part.model and part.part and place:
            frozen = load_model(part.model, Path(place))
            model.register_module(part.part, frozen.requires_grad_(requires_grad=False))
    return model


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
        config = without_flags(from_options(factory.config_class, **card.config))
        model = make_network(beside(config, path, card))
    except (ValueError, TypeError, RuntimeError, MemoryError) as error:
        raise WeightsError(f"{path}: impossible config ({error}); download it again") from error
    try:
        model.load_trained(tensors)
    except ValueError as error:
        raise WeightsError(f"{path}: {error}; give weights that belong to '{name}'") from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise WeightsError(f"{path}: holds NaN or infinite values; download it again")
    return model.eval()
