"""Speed and memory of a run, beside what its module logs."""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from physkit.train.module import PulseModule

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


class LogSpeed(Callback):
    """Frames a second since the last row of the log, validations left out, and peak memory.

    peak_rss_mb: tells the most memory that the process has held, in MB.
    """

    def __init__(self, peak_rss_mb: Callable[[], float]) -> None:
        self._peak_rss_mb = peak_rss_mb
        self._n_frames = 0
        self._busy_s = 0.0
        self._begun_s = 0.0

    def on_train_batch_start(self, *_: Any) -> None:
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
        """Count frames, and log after a step."""
        assert isinstance(pl_module, PulseModule)
        self._n_frames += batch.pulse.numel() * trainer.world_size
        now_s = time.perf_counter()
        self._busy_s += now_s - self._begun_s
        self._begun_s = now_s
        if not pl_module.has_stepped:
            return
        rate = self._n_frames / self._busy_s if self._busy_s else math.nan
        figures = {"frames_per_s": rate, "peak_rss_mb": self._peak_rss_mb()}
        if pl_module.device.type == "cuda":
            figures["gpu_peak_mb"] = torch.cuda.max_memory_allocated(pl_module.device) / MB
        pl_module.log_exactly(figures)
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._n_frames, self._busy_s = 0, 0.0

    def on_validation_start(self, *_: Any) -> None:
        """Stop the stopwatch: a validation is no training."""
        self._begun_s = 0.0
