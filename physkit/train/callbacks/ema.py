"""A moving average of the weights, which is validated and kept in their place."""

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from physkit.train.module import PulseTraining

WARMUP = 10
"""The first averages forget faster: after t steps the decay is at most (1 + t) / (10 + t)."""


class WeightsAverage(Callback):
    """Averages all weights over the optimizer's steps; validations see the average.

    decay: what a step leaves of the average before. Buffers, such as running means, are averaged
    where they are real numbers and copied otherwise. Polyak and Juditsky 1992.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self._average: dict[str, Tensor] = {}
        self._n_steps = 0
        self._own: dict[str, Tensor] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begin with the weights as they are, or go on with the average of the checkpoint."""
        now = _net_state(pl_module)
        before = self._average
        self._average = {
            name: before[name].to(value) if name in before else value.clone()
            for name, value in now.items()
        }

    @torch.no_grad()
    def on_train_batch_end(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,
        *_: Any,
    ) -> None:
        """Take in the weights after a step."""
        if not (isinstance(pl_module, PulseTraining) and pl_module.has_stepped):
            return
        self._n_steps += 1
        decay = min(self.decay, (1 + self._n_steps) / (WARMUP + self._n_steps))
        for name, value in _net_state(pl_module).items():
            average = self._average[name]
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Lend the average to the network."""
        if self._average:
            self._own = {name: value.clone() for name, value in _net_state(pl_module).items()}
            _fill(pl_module, self._average)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Give the network its own weights back."""
        if self._own:
            _fill(pl_module, self._own)
            self._own = {}

    def state_dict(self) -> dict[str, Any]:
        """The average and its age."""
        return {"average": self._average, "n_steps": self._n_steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up an average."""
        self._average = state_dict["average"]
        self._n_steps = state_dict["n_steps"]


def _net_state(module: LightningModule) -> dict[str, Tensor]:
    """The network's weights and buffers themselves."""
    assert isinstance(module, PulseTraining)
    return {name: value.detach() for name, value in module.net.state_dict().items()}


@torch.no_grad()
def _fill(module: LightningModule, values: dict[str, Tensor]) -> None:
    for name, value in _net_state(module).items():
        value.copy_(values[name])
