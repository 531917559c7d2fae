"""How far a training is, on a terminal's standard error."""

from typing import Any

from lightning import Callback, LightningModule, Trainer
from tqdm import tqdm

from physkit.train.module import PulseTraining

SCALE = 1000


class ShowProgress(Callback):
    """A bar with the share that is done, the loss and the heart-rate error."""

    def __init__(self) -> None:
        self._bar: Any = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin at the step that the run goes on from."""
        assert isinstance(pl_module, PulseTraining)
        # of shares, not steps: a run may end by the clock
        layout = "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        shown = None if trainer.is_global_zero else True
        done = round(SCALE * pl_module.progress)
        self._bar = tqdm(total=SCALE, initial=done, bar_format=layout, disable=shown, leave=False)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Advance."""
        assert isinstance(pl_module, PulseTraining)
        if not pl_module.has_stepped:
            return
        progress = pl_module.progress  # asked in all processes, which may have to agree on it
        if self._bar.disable:
            return
        figures = {"step": trainer.global_step, "loss": f"{float(pl_module.losses[-1]):.4f}"}
        if pl_module.validation is not None:
            figures["mae_bpm"] = f"{pl_module.validation.mae_bpm:.2f}"
        self._bar.set_postfix(figures, refresh=False)
        self._bar.update(round(SCALE * progress) - self._bar.n)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Take it away."""
        if self._bar is not None:
            self._bar.close()
