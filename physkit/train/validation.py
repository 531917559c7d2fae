"""How well a network reads heart rates, by the same code that evaluations use."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from physkit.core.errors import InputError
from physkit.data.datamodule import Batch
from physkit.evaluate.metrics import figures, metrics
from physkit.evaluate.predictions import PredictedRecording
from physkit.evaluate.protocols import find_protocol
from physkit.evaluate.windows import WindowRow, cut_windows

PROTOCOL = "physkit-1"
"""Heart rates on the true clock; a recording, or a window of a given length, is read whole."""

Part = tuple[str, PredictedRecording, float]
"""Store and recording of a validation window, what was read of it, and its loss."""


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
    """Mean loss, by duration."""
    n_windows: int
    """Recordings read, or windows of a given length."""
    clips: tuple[PredictedRecording, ...] = ()
    """The first windows, to be drawn."""

    def to_dict(self) -> dict[str, float]:
        """The figures as they are logged."""
        names = ("mae_bpm", "rmse_bpm", "snr_db", "macc", "loss", "n_windows")
        return {f"validation_{name}": float(getattr(self, name)) for name in names}


def predicted(batch: Batch, pulse: Tensor) -> tuple[str, PredictedRecording]:
    """A batch of one window as evaluations take it, and store and recording that it is of.

    Raises InputError, naming the recording, where the pulse is not finite.
    """
    (place,), (subject,) = batch.recordings, batch.subjects
    samples = pulse[0].double().cpu().numpy()
    if not np.isfinite(samples).all():
        raise InputError(
            f"{place}: the network's pulse is NaN or infinite there; take a smaller learning rate"
        )
    timestamps_s = batch.timestamps_s[0].cpu().numpy()
    return place, PredictedRecording(
        recording=f"{place.rsplit('/', 1)[-1]}@{timestamps_s[0]:.0f}s",
        subject=subject,
        fps=float(batch.fps[0]),
        prediction=samples,
        label=batch.pulse[0].double().cpu().numpy(),
        representation="waveform",
        timestamps_s=timestamps_s,
    )


def window_rows(clip: PredictedRecording) -> list[WindowRow]:
    """Heart rates and qualities of one recording or validation window."""
    return cut_windows(clip, find_protocol(PROTOCOL), window_s=None, hr="fft")


def joined(parts: Sequence[Part]) -> list[PredictedRecording]:
    """The recordings whose stretches those are; what lies between two is a gap.

    So a recording counts once, in however many pieces face losses cut it.
    """
    stretches: dict[str, dict[float, PredictedRecording]] = {}
    for place, clip, _ in parts:  # a process may read a stretch again to keep the others company
        stretches.setdefault(place, {})[_start_s(clip)] = clip
    return [_one([of[start_s] for start_s in sorted(of)]) for of in stretches.values()]


def _one(stretches: list[PredictedRecording]) -> PredictedRecording:
    return replace(
        stretches[0],
        prediction=np.concatenate([clip.prediction for clip in stretches]),
        label=np.concatenate([clip.label for clip in stretches]),
        timestamps_s=np.concatenate([clip.timestamps_s for clip in stretches]),
    )


def _start_s(clip: PredictedRecording) -> float:
    assert clip.timestamps_s is not None
    return float(clip.timestamps_s[0])


def validation_of(
    parts: Sequence[Part], clips: Sequence[PredictedRecording], *, is_whole: bool
) -> Validation:
    """The figures of all windows together; is_whole: they are the stretches of recordings."""
    read = joined(parts) if is_whole else [clip for _, clip, _ in parts]
    rows = [row for clip in read for row in window_rows(clip)]
    every = metrics(figures(rows), find_protocol(PROTOCOL))
    seconds = [clip.prediction.size / clip.fps for _, clip, _ in parts]
    return Validation(
        mae_bpm=every.mae_bpm.value,
        rmse_bpm=every.rmse_bpm.value,
        snr_db=every.snr_db.value,
        macc=every.macc.value,
        loss=float(np.average([loss for *_, loss in parts], weights=seconds))
        if parts
        else math.nan,
        n_windows=len(rows),
        clips=tuple(clips),
    )
