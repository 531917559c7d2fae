"""Optimizers and learning-rate schedules by name."""

import importlib
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from physkit.core.errors import InputError, UnknownNameError
from physkit.core.registry import Registry

OPTIMIZERS = Registry(
    "optimizer",
    {"adam": "torch.optim:Adam", "adamw": "torch.optim:AdamW", "sgd": "torch.optim:SGD"},
)
"""Optimizer name to class, called with the parameters, `lr`, `weight_decay` and other options."""

SCHEDULES = Registry(
    "schedule",
    {
        "constant": "physkit.train.optimizers:constant",
        "cosine": "physkit.train.optimizers:cosine",
        "onecycle": "physkit.train.optimizers:onecycle",
    },
)
"""Schedule name to function from progress, 0 to 1, and final share to the share of the learning
rate. Learning rates are a function of the step alone, so that a resumed run has the same."""

RISE = 0.3
"""Share of the run in which onecycle rises."""
FIRST_SHARE = 1 / 25
"""Share of the learning rate that onecycle begins at."""


def make_optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    *,
    lr: float,
    weight_decay: float,
    options: dict[str, Any],
) -> torch.optim.Optimizer:
    """The optimizer called so: a name, or a dotted path as `package.module:Class`.

    Raises UnknownNameError for the name, InputError for an argument that it does not take.
    """
    make = _imported(name) if ":" in name else OPTIMIZERS[name]
    try:
        made: torch.optim.Optimizer = make(parameters, lr=lr, weight_decay=weight_decay, **options)
    except (TypeError, ValueError) as error:
        raise InputError(f"optimizer '{name}': {error}; correct its options") from error
    return made


def _imported(path: str) -> Any:
    module, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UnknownNameError(f"optimizer '{path}': cannot be imported ({error})") from error


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
