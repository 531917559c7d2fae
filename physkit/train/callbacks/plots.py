"""Waveforms of validation clips: a file each, and a picture in the loggers that take one."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from physkit.core.files import whole_file
from physkit.evaluate.examples import examples
from physkit.evaluate.predictions import PredictedRecording
from physkit.evaluate.protocols import find_protocol
from physkit.evaluate.report.figures import waveform_figure
from physkit.train.module import PulseModule
from physkit.train.validation import PROTOCOL, window_rows


class PlotClips(Callback):
    """After each validation, draws the clips that it kept into `folder`/step-N."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw."""
        assert isinstance(pl_module, PulseModule)
        if not (trainer.is_global_zero and pl_module.validation):
            return
        folder = self.folder / f"step-{trainer.global_step:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        for clip in pl_module.validation.clips:
            figure = clip_figure(clip)
            if figure is None:
                continue
            with whole_file(folder / f"{clip.recording}.png") as unfinished:
                figure.savefig(unfinished, dpi=100, format="png")
            _show(trainer.loggers, clip.recording, figure, step=trainer.global_step)


def clip_figure(clip: PredictedRecording) -> Figure | None:
    """True and predicted waveform of a clip, and both spectra; None where it has no heart rate."""
    shown = examples([clip], window_rows(clip), find_protocol(PROTOCOL))
    return waveform_figure(shown[0]) if shown else None


def _show(loggers: Sequence[Logger], name: str, figure: Figure, *, step: int) -> None:
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(f"clips/{name}", _pixels(figure), step, dataformats="HWC")
        elif isinstance(logger, WandbLogger):
            logger.log_image(f"clips/{name}", [_pixels(figure)], step=step)


def _pixels(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]
