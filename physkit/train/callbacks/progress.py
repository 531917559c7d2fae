"""How far a training is, on standard error: a bar on a terminal, lines in a log."""

import sys
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm

from physkit.core.progress import tell
from physkit.train.module import PulseModule

SCALE = 1000


class ShowProgress(TQDMProgressBar):
    """A bar with the share that is done, the loss and the heart-rate error.

    Lightning's counts the batches of an epoch; a run here may end by the clock. Where standard
    error is no terminal, each validation writes a line.
    """

    BAR_FORMAT = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"

    def init_train_tqdm(self) -> Tqdm:
        """The bar; none where standard error is no terminal, or in another process."""
        module = self.trainer.lightning_module
        assert isinstance(module, PulseModule)
        return Tqdm(
            total=SCALE,
            initial=round(SCALE * module.progress),
            bar_format=self.BAR_FORMAT,
            disable=True if self.is_disabled else None,
            leave=False,
            file=sys.stderr,
        )

    def init_validation_tqdm(self) -> Tqdm:
        """No bar of its own."""
        return Tqdm(disable=True)

    def on_train_epoch_start(self, *_: Any) -> None:
        """Nothing: a run has no epochs."""

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        *_: Any,
    ) -> None:
        """Advance."""
        assert isinstance(pl_module, PulseModule)
        if not pl_module.has_stepped:
            return
        progress = pl_module.progress  # asked in all processes, which may have to agree on it
        bar = self.train_progress_bar
        if bar.disable:
            return
        bar.set_postfix(self.get_metrics(trainer, pl_module), refresh=False)
        bar.update(round(SCALE * progress) - bar.n)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A line with the figures and the time left, for a log."""
        super().on_validation_end(trainer, pl_module)
        assert isinstance(pl_module, PulseModule)
        done, spent_s = pl_module.progress, pl_module.elapsed_s
        if self.is_disabled or not self.train_progress_bar.disable or not done:
            return
        told = ", ".join(f"{k} {v}" for k, v in self.get_metrics(trainer, pl_module).items())
        left = Tqdm.format_interval(max(0.0, spent_s / done - spent_s))
        tell(f"{done:.0%}: {told}, {left} left")

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Step, loss, and the last validation's error."""
        assert isinstance(pl_module, PulseModule)
        figures: dict[str, Any] = {"step": trainer.global_step}
        if pl_module.losses:
            figures["loss"] = f"{float(pl_module.losses[-1]):.4f}"
        if pl_module.validation is not None:
            figures["mae_bpm"] = f"{pl_module.validation.mae_bpm:.2f}"
        return figures
