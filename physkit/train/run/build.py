"""The parts of a training run, out of its config."""

import dataclasses
import math
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import torch

from physkit.core.differences import differences
from physkit.core.errors import InputError, WeightsError
from physkit.data.windows.config import (
    ContentConfig,
    SlidingWindowsConfig,
    WindowSource,
)
from physkit.data.windows.sampling import RandomWindows, SlidingWindows
from physkit.nn.config import ModelConfig
from physkit.nn.streaming import PulseModel
from physkit.train import SCHEDULES
from physkit.train.budget import Budget, RateShare
from physkit.train.module import PulseModule, check_size, module_class
from physkit.train.objective import Objective
from physkit.train.optimizers import make_optimizer
from physkit.train.run.config import FitConfig
from physkit.weights import load


def make_network(config: FitConfig, *, is_resumed: bool = False) -> PulseModel[Any]:
    """The network, with weights from the seed or from a file; resumed ones come with the state.

    Raises WeightsError for weights that are not its own.
    """
    torch.manual_seed(config.seed)
    net = load.make_network(config.model)
    if config.init_weights is not None and not is_resumed:
        _fill(net, config.model, Path(config.init_weights))
    return net


def _fill(net: PulseModel[Any], config: ModelConfig, path: Path) -> None:
    card, tensors = load.read_any_weights(path)
    model = config.model
    theirs = {"model": card.model, **card.config}
    if card.model == model:  # what the file does not say is as by default
        theirs = {**dataclasses.asdict(type(config)()), **theirs}
    ours = {"model": model, **dataclasses.asdict(config)}
    tensors = net.adapt_weights(tensors)
    places = {part.field for part in net.frozen_parts}
    theirs, ours = (_without(each, net.picture_fields | places) for each in (theirs, ours))
    changes = differences(theirs, ours)
    if changes:
        raise WeightsError(
            f"{path}: weights of another architecture: {', '.join(changes)}; set --model "
            "as in the weights, or begin without --init_weights"
        )
    try:
        net.load_trained(tensors)
    except ValueError as error:
        raise WeightsError(f"{path}: {error}; give weights of {model}") from error


def _without(settings: dict[str, Any], names: Set[str]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in names}


def travelling(content: ContentConfig, *, is_augmented: bool) -> ContentConfig:
    """The content in which frames travel: grey levels, where that loses nothing.

    They are a quarter of the size, and are scaled where the network is.
    """
    is_exact = content.clock != "linear" and not is_augmented
    if content.form == "raw" and is_exact:
        return dataclasses.replace(content, form="uint8")
    return content


def train_windows(
    config: FitConfig, net: PulseModel[Any], sources: Sequence[WindowSource]
) -> RandomWindows:
    """Windows to train on, with labels in the form that the network is trained on.

    Raises InputError where another form is asked for, or clips of a length that it does not read.
    """
    windows = config.data
    if net.clip_frames not in (None, windows.n_frames):
        raise InputError(
            f"--data.n_frames {windows.n_frames}: this {config.model.model} reads clips of "
            f"{net.clip_frames} frames; give that"
        )
    if windows.content.form not in ("raw", "uint8"):
        raise InputError(
            f"--data.content.form {windows.content.form}: {config.model.model} takes frames as "
            "they are, in training as in reading, and changes them by itself; leave it out"
        )
    if windows.content.label_form not in (None, net.label_form):
        raise InputError(
            f"--data.content.label_form {windows.content.label_form}: this {config.model.model} is "
            f"trained on {net.label_form} labels; leave it out"
        )
    content = travelling(windows.content, is_augmented=windows.augment is not None)
    content = dataclasses.replace(content, label_form=net.label_form)
    seed = config.seed if windows.seed is None else windows.seed
    drawn = dataclasses.replace(windows, content=content, seed=seed)
    return RandomWindows(sources, drawn, extras=net.extras, grid_frames=net.grid_frames)


def listed_windows(
    config: FitConfig, net: PulseModel[Any], sources: Sequence[WindowSource]
) -> SlidingWindows:
    """Windows to validate by: whatever the network is trained on, it then answers with a pulse."""
    content = travelling(config.data.content, is_augmented=False)
    content = dataclasses.replace(content, label_form="standardised")
    sliding = SlidingWindowsConfig(window_s=config.data.validation_window_s, content=content)
    return SlidingWindows(sources, sliding, extras=net.extras)


def make_budget(config: FitConfig, *, windows_per_epoch: int) -> Budget:
    """When the run ends."""
    limits = config.trainer
    steps = limits.max_steps
    if limits.max_epochs is not None:
        windows_a_step = config.data.batch_size * config.optim.accumulate
        of_epochs = max(1, math.ceil(limits.max_epochs * windows_per_epoch / windows_a_step))
        steps = of_epochs if steps is None else min(steps, of_epochs)
    return Budget(steps, None if limits.max_minutes is None else 60 * limits.max_minutes)


def make_module(
    config: FitConfig, net: PulseModel[Any], budget: Budget, record: dict[str, Any]
) -> PulseModule:
    """The network with all that training it takes."""
    optim = config.optim
    return module_class(config.model.model)(
        net,
        Objective(optim.losses),
        make_optimizer=lambda groups: make_optimizer(optim, groups, plugins=config.run.plugins),
        lr=optim.lr,
        rate_share=RateShare(SCHEDULES[optim.schedule], optim.final_share, optim.warmup_steps),
        budget=budget,
        clip_norm=optim.clip_norm,
        checkpoint_frames=config.trainer.checkpoint_frames,
        seed=config.seed,
        record=record,
        clips_kept=config.run.plots,
        validates_whole=config.data.validation_window_s is None,
    )


def check_crops(net: PulseModel[Any], windows: RandomWindows | SlidingWindows) -> None:
    """Raises InputError where crops are smaller than the network reads."""
    table = windows.table
    check_size(net, size_px=table.size_px, store=table.recordings[0].store)
