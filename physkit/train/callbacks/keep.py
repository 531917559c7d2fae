"""The best weights and the last, each in a file of its own."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from physkit.train.module import PulseTraining

SaveWeights = Callable[[Path, Mapping[str, Tensor], Mapping[str, Any]], None]
"""Writes weights to a path, with figures about them."""


class KeepWeights(Callback):
    """After each validation: last.safetensors, and best.safetensors where none was better.

    save: writes a weights file; called in the first process only.
    patience: validations without a better one after which the run ends; None: never.
    """

    def __init__(self, folder: Path, save: SaveWeights, *, patience: int | None = None) -> None:
        self.best = folder / "best.safetensors"
        self.last = folder / "last.safetensors"
        self.best_mae_bpm = math.nan
        """Smallest heart-rate error so far; NaN before there is one."""
        self.best_step = 0
        """Step after which it was reached."""
        self.patience = patience
        self._save = save
        self._n_validations = 0
        self._n_worse = 0

    @property
    def is_out_of_patience(self) -> bool:
        """Whether the run should end early."""
        return self.patience is not None and self._n_worse >= self.patience

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judge the weights that were validated, and keep them."""
        assert isinstance(pl_module, PulseTraining)
        assert pl_module.validation is not None
        step, mae_bpm = trainer.global_step, pl_module.validation.mae_bpm
        is_best = self._judge(mae_bpm, step)
        if trainer.is_global_zero:
            about = {"step": step, **pl_module.validation.to_dict()}
            tensors = pl_module.net.state_dict()
            for path in (self.best, self.last) if is_best else (self.last,):
                self._save(path, tensors, about)
        if self.is_out_of_patience:
            trainer.should_stop = True

    def _judge(self, mae_bpm: float, step: int) -> bool:
        """Whether these are the best weights so far; the first are, even without a heart rate."""
        self._n_validations += 1
        is_better = mae_bpm < self.best_mae_bpm or (
            math.isnan(self.best_mae_bpm) and not math.isnan(mae_bpm)
        )
        if is_better or self._n_validations == 1:
            self.best_mae_bpm, self.best_step, self._n_worse = mae_bpm, step, 0
            return True
        self._n_worse += 1
        return False

    def state_dict(self) -> dict[str, Any]:
        """What was best so far."""
        return {
            "best_mae_bpm": self.best_mae_bpm,
            "best_step": self.best_step,
            "n_validations": self._n_validations,
            "n_worse": self._n_worse,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what was best."""
        self.best_mae_bpm = state_dict["best_mae_bpm"]
        self.best_step = state_dict["best_step"]
        self._n_validations = state_dict["n_validations"]
        self._n_worse = state_dict["n_worse"]
