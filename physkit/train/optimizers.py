"""Optimizers and learning-rate schedules by name."""

import math
from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Any

import torch
from torch import nn

from physkit.core.errors import InputError
from physkit.core.registry import unknown_name
from physkit.train import OPTIMIZERS
from physkit.train.config import OptimConfig

PLUGINS = "physkit.optimizers"
"""Group of entry points by which other packages offer optimizers."""
RISE = 0.3
"""Share of the run in which onecycle rises."""
FIRST_SHARE = 1 / 25
"""Share of the learning rate that onecycle begins at."""


def make_optimizer(
    config: OptimConfig,
    groups: Iterable[dict[str, Any]] | Iterable[nn.Parameter],
    *,
    plugins: bool = False,
) -> torch.optim.Optimizer:
    """The optimizer of a config, for parameters or for groups of them.

    plugins: whether it may come from another installed package.
    Raises UnknownNameError for the name, InputError for an option that it does not take.
    """
    name = config.optimizer
    make = _plugin(name) if plugins and name not in OPTIMIZERS else OPTIMIZERS[name]
    given = {"betas": config.betas, "momentum": config.momentum}
    options = {key: value for key, value in given.items() if value is not None}
    try:
        made: torch.optim.Optimizer = make(
            groups, lr=config.lr, weight_decay=config.weight_decay, **options
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"optim.optimizer '{name}': {error}; correct its options") from error
    return made


def _plugin(name: str) -> Any:
    """The optimizer that an installed package offers by this name. Raises UnknownNameError."""
    found = {entry.name: entry for entry in entry_points(group=PLUGINS)}
    if name not in found:
        raise unknown_name("optimizer", name, (*OPTIMIZERS, *found))
    try:
        return found[name].load()
    except (ImportError, AttributeError) as error:
        raise InputError(f"optimizer '{name}': {found[name].value}: {error}") from error


def constant(progress: float, *, final_share: float) -> float:  # noqa: ARG001
    """The whole learning rate throughout."""
    return 1.0


def cosine(progress: float, *, final_share: float) -> float:
    """Half a cosine from the whole learning rate down to its final share. Loshchilov 2017."""
    return final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * progress))


def onecycle(progress: float, *, final_share: float) -> float:
    """Up by half a cosine for the first 30 % of the run, then down by another. Smith 2018."""
    if progress < RISE:
        return FIRST_SHARE + (1 - FIRST_SHARE) * 0.5 * (1 - math.cos(math.pi * progress / RISE))
    return cosine((progress - RISE) / (1 - RISE), final_share=final_share)
