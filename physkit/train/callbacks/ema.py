"""A moving average of the weights, which is validated and kept in their place."""

from collections.abc import Iterable

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

WARMUP = 10
"""The first averages forget faster: after t steps the decay is at most (1 + t) / (10 + t)."""


class WeightsAverage(WeightAveraging):
    """Lightning's, with a decay that warms up, which its own EMA has not; the average begins at
    the first weights. Polyak and Juditsky 1992.

    decay: what a step leaves of the average before. Buffers, such as running means, are averaged
    where they are real numbers and copied otherwise.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(multi_avg_fn=self._average)
        self.decay = decay

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin with the weights as they are."""
        self._device = trainer.strategy.root_device
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            self._average_model.n_averaged.fill_(1)

    @torch.no_grad()
    def _average(
        self, averages: Iterable[Tensor], values: Iterable[Tensor], n_averaged: Tensor | int
    ) -> None:
        n_steps = int(n_averaged)
        decay = min(self.decay, (1 + n_steps) / (WARMUP + n_steps))
        for average, value in zip(averages, values, strict=True):
            if average.data_ptr() == value.data_ptr():
                continue  # frozen, and so shared
            if average.is_floating_point():
                average.lerp_(value, 1 - decay)
            else:
                average.copy_(value)
