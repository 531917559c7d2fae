"""The best weights and the last, each in a file of its own; and the end of a run's patience."""

import math
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

MONITOR = "validation_mae_bpm"
"""What the best weights have least of."""


class KeepWeights(ModelCheckpoint):
    """After each validation weights in safetensors (see `callbacks.state`): the last, or the best.

    Lightning's forgets what was best where the folder of a run has moved, and at which step.
    monitor: figure of which the least is the best; None keeps the last.
    """

    FILE_EXTENSION = ".safetensors"

    def __init__(self, folder: Path, name: str, *, monitor: str | None = None) -> None:
        super().__init__(
            dirpath=folder,
            filename=name,
            monitor=monitor,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
        )
        self.path = folder / f"{name}{self.FILE_EXTENSION}"
        self.step = 0
        """Step after which the file was written."""

    @property
    def score(self) -> float:
        """Figure of the best weights; NaN before there is one."""
        best = math.nan if self.best_model_score is None else float(self.best_model_score)
        return best if math.isfinite(best) else math.nan

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        self.step = trainer.global_step
        super()._save_checkpoint(trainer, filepath)

    def state_dict(self) -> dict[str, Any]:
        """What is best so far."""
        return {"score": self.score, "step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what was best."""
        self.step = state_dict["step"]
        if self.monitor is None or not self.step:
            return
        score, path = state_dict["score"], self.format_checkpoint_name({})
        self.best_model_score = torch.tensor(
            math.inf if math.isnan(score) else score, dtype=torch.float64
        )
        self.best_k_models = {path: self.best_model_score}
        self.kth_value = self.best_model_score
        self.kth_best_model_path = self.best_model_path = path


class EndOfPatience(EarlyStopping):
    """Lightning's, for a patience that may be another when a run is resumed."""

    def __init__(self, patience: int) -> None:
        super().__init__(MONITOR, patience=patience, check_finite=False)

    @property
    def is_out(self) -> bool:
        """Whether the run is over."""
        return self.wait_count >= self.patience

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up how long nothing was better."""
        super().load_state_dict({**state_dict, "patience": self.patience})
