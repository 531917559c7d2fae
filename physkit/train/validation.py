"""How well a network reads heart rates, by the same code that evaluations use."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from physkit.core.errors import InputError
from physkit.data.datamodule import Batch
from physkit.evaluate.metrics import figures, metrics
from physkit.evaluate.predictions import PredictedRecording
from physkit.evaluate.protocols import find_protocol
from physkit.evaluate.windows import WindowRow, cut_windows

PROTOCOL = "physkit-1"
"""Heart rates on the true clock; each validation window is read whole."""


@dataclass(frozen=True, eq=False)
class Validation:
    """Errors over all validation windows."""

    mae_bpm: float
    """Mean absolute error of the heart rate; NaN where no window has one."""
    rmse_bpm: float
    """Root mean squared error."""
    snr_db: float
    """Mean signal-to-noise ratio."""
    macc: float
    """Mean cross-correlation with the label, 0 to 1."""
    loss: float
    """Mean loss."""
    n_windows: int
    """Windows read."""
    clips: tuple[PredictedRecording, ...] = ()
    """The first windows, to be drawn."""

    def to_dict(self) -> dict[str, float]:
        """The figures as they are logged."""
        names = ("mae_bpm", "rmse_bpm", "snr_db", "macc", "loss", "n_windows")
        return {f"validation_{name}": float(getattr(self, name)) for name in names}


def predicted(batch: Batch, pulse: Tensor) -> PredictedRecording:
    """A batch of one window as evaluations take it.

    Raises InputError, naming the recording, where the pulse is not finite.
    """
    (place,), (subject,) = batch.recordings, batch.subjects
    samples = pulse[0].double().cpu().numpy()
    if not np.isfinite(samples).all():
        raise InputError(
            f"{place}: the network's pulse is NaN or infinite there; take a smaller learning rate"
        )
    timestamps_s = batch.timestamps_s[0].cpu().numpy()
    return PredictedRecording(
        recording=f"{place.rsplit('/', 1)[-1]}@{timestamps_s[0]:.0f}s",
        subject=subject,
        fps=float(batch.fps[0]),
        prediction=samples,
        label=batch.pulse[0].double().cpu().numpy(),
        representation="waveform",
        timestamps_s=timestamps_s,
    )


def window_rows(clip: PredictedRecording) -> list[WindowRow]:
    """Heart rates and qualities of one validation window."""
    return cut_windows(clip, find_protocol(PROTOCOL), window_s=None, hr="fft")


def validation_of(
    rows: Sequence[WindowRow], losses: Sequence[float], clips: Sequence[PredictedRecording]
) -> Validation:
    """The figures of all windows together."""
    every = metrics(figures(rows), find_protocol(PROTOCOL))
    return Validation(
        mae_bpm=every.mae_bpm.value,
        rmse_bpm=every.rmse_bpm.value,
        snr_db=every.snr_db.value,
        macc=every.macc.value,
        loss=math.fsum(losses) / len(losses) if losses else math.nan,
        n_windows=len(rows),
        clips=tuple(clips),
    )
