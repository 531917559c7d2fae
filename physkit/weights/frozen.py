"""Networks that stand beside frozen weights: where those are, and whether they are right."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from physkit.core.errors import PhyskitError, WeightsError
from physkit.models import MODELS
from physkit.nn.config import ModelConfig
from physkit.nn.streaming import PulseModel
from physkit.weights.file import WeightsCard, checksum
from physkit.weights.manifest import find_weights, known_weights, weights_at_hand

Config = TypeVar("Config")


def place_in(config: Any, field: str) -> str | None:
    """What a dotted field says; None where it, or the block that it is in, is null."""
    for name in field.split("."):
        config = None if config is None else getattr(config, name)
    return None if config is None else str(config)


def with_place(config: Config, field: str, value: str) -> Config:
    """The config with another value of a dotted field."""
    name, _, rest = field.partition(".")
    inner = with_place(getattr(config, name), rest, value) if rest else value
    return dataclasses.replace(config, **{name: inner})  # type: ignore[type-var]


def located(config: ModelConfig) -> ModelConfig:
    """The config with the place of every frozen part.

    Raises PhyskitError, with the fix, for parts that are not here.
    """
    factory = MODELS[config.model]
    for part in factory.frozen_parts:
        told = place_in(config, part.field)
        if part.model is None or (told is not None and told not in known_weights()):
            continue
        found = find_weights(told) if told else (weights_at_hand(part.model) or (None, None))[1]
        if found is None:
            raise WeightsError(
                f"model '{config.model}' stands beside a {part.model}, whose weights are not here: "
                f"fetch them once by physkit weights pull {told or part.model}, or give a file as "
                f"model.{part.field}"
            )
        config = with_place(config, part.field, str(found))
    made: ModelConfig = factory.located(config)
    return made


def frozen_of(model: PulseModel[Any]) -> dict[str, dict[str, str]]:
    """What a weights file says of this model's frozen weights; reads them, for the checksums."""
    places = {part.field: place_in(model.config, part.field) for part in model.frozen_parts}
    return {
        field: {"name": Path(place).name, "checksum": checksum(Path(place))}
        for field, place in places.items()
        if place is not None
    }


def beside(config: ModelConfig, path: Path, card: WeightsCard) -> ModelConfig:
    """The config with the frozen weights that belong to a weights file: beside it, or as it says.

    Raises WeightsError where they are in neither place, or others are.
    """
    factory = MODELS[card.model]
    wanted = {part.field for part in factory.frozen_parts if place_in(config, part.field)}
    if missing := wanted - card.frozen.keys():
        raise WeightsError(
            f"{path}: does not say which {missing.pop()} it stands beside; download it again"
        )
    others: dict[str, Path] = {}
    checked = set()
    for field, part in card.frozen.items():
        here = path.parent / part["name"]
        if here.exists():
            if checksum(here) == part["checksum"]:
                config = with_place(config, field, str(here))
                checked.add(field)
            else:
                others[field] = here
    try:
        config = located(config)
    except PhyskitError:
        for field, here in others.items():
            raise _not_those(here, path, card.frozen[field]) from None
        raise
    for field in card.frozen.keys() - checked:
        part, told = card.frozen[field], Path(place_in(config, field) or "")
        place = told if told.exists() else path.parent / part["name"]
        if not place.exists():
            raise WeightsError(
                f"{path}: needs the frozen weights {told}, which are not there; put "
                f"{part['name']} beside it"
            )
        if checksum(place) != part["checksum"]:
            raise _not_those(place, path, part)
    return config


def _not_those(place: Path, path: Path, part: Mapping[str, str]) -> WeightsError:
    return WeightsError(
        f"{place}: not the frozen weights that {path} was trained beside (checksum "
        f"{part['checksum']}); put those beside it, as {part['name']}"
    )
