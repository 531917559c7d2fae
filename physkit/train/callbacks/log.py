"""Loss, error, speed and memory of a run, to whichever loggers there are."""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from physkit.train.module import PulseTraining
from physkit.train.together import gathered

COLUMNS = (
    "loss",
    "lr",
    "grad_norm",
    "frames_per_s",
    "peak_rss_mb",
    "gpu_peak_mb",
    "validation_mae_bpm",
    "validation_rmse_bpm",
    "validation_snr_db",
    "validation_macc",
    "validation_loss",
    "validation_n_windows",
)
"""All that is logged."""
MB = 1 << 20


class LogFigures(Callback):
    """A row every so many optimizer steps, and one for each validation.

    peak_rss_mb: tells the most memory that the process has held, in MB.
    """

    def __init__(self, *, every: int, peak_rss_mb: Callable[[], float]) -> None:
        self.every = every
        self.last_loss = math.nan
        """Loss of the last step before a validation."""
        self._peak_rss_mb = peak_rss_mb
        self._n_frames = 0
        self._busy_s = 0.0
        self._begun_s = 0.0

    def on_train_batch_start(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,  # noqa: ARG002
        *_: Any,
    ) -> None:
        """Start the stopwatch, where it stands still."""
        self._begun_s = self._begun_s or time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ARG002
        batch: Any,
        *_: Any,
    ) -> None:
        """Count frames, and log where it is time to."""
        assert isinstance(pl_module, PulseTraining)
        self._n_frames += batch.pulse.numel() * trainer.world_size
        now_s = time.perf_counter()
        self._busy_s += now_s - self._begun_s
        self._begun_s = now_s
        if not pl_module.has_stepped or trainer.global_step % self.every:
            return
        figures = {
            "loss": _mean_loss(pl_module),
            "lr": pl_module.lr,
            "grad_norm": pl_module.grad_norm,
            "frames_per_s": self._n_frames / self._busy_s if self._busy_s else math.nan,
            "peak_rss_mb": self._peak_rss_mb(),
        }
        if pl_module.device.type == "cuda":
            figures["gpu_peak_mb"] = torch.cuda.max_memory_allocated(pl_module.device) / MB
        self._n_frames, self._busy_s = 0, 0.0
        _log(trainer, figures)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Stop the stopwatch: a validation is no training."""
        assert isinstance(pl_module, PulseTraining)
        self._begun_s = 0.0
        if pl_module.losses:
            self.last_loss = _mean_loss(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the validation."""
        assert isinstance(pl_module, PulseTraining)
        assert pl_module.validation is not None
        _log(trainer, pl_module.validation.to_dict())

    def state_dict(self) -> dict[str, Any]:
        """The last loss."""
        return {"last_loss": self.last_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it up."""
        self.last_loss = state_dict["last_loss"]


def _mean_loss(module: PulseTraining) -> float:
    """Loss of the last step, over its batches and all processes."""
    losses = gathered(float(torch.stack(module.losses).mean()))
    return math.fsum(losses) / len(losses)


def _log(trainer: Trainer, figures: dict[str, float]) -> None:
    if trainer.is_global_zero:
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)
