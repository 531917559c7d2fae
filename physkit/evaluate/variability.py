"""Errors of heart-rate variability: predicted and true, recording by recording."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from physkit.evaluate.predictions import PredictedRecording
from physkit.evaluate.protocols import Protocol
from physkit.evaluate.windows import detrended, waveforms
from physkit.signal.beat_times import time_beats
from physkit.signal.hrv import HRV, hrv


@dataclass(frozen=True)
class HrvErrors:
    """Mean absolute errors of heart-rate variability over recordings that support it."""

    n_recordings: int
    """Recordings whose prediction and label are both long and clean enough."""
    sdnn_mae_ms: float
    """Of SDNN."""
    rmssd_mae_ms: float | None
    """Of RMSSD."""
    pnn50_mae_percent: float | None
    """Of pNN50, in percentage points."""
    lf_hf_mae: float | None
    """Of LF/HF; None where no recording is two minutes long."""


def hrv_errors(recordings: Sequence[PredictedRecording], protocol: Protocol) -> HrvErrors | None:
    """Errors over whole recordings; None under rPPG-Toolbox's protocols, or if no recording is
    long and clean enough."""
    if protocol.heart_rate != "physkit":
        return None
    pairs = [pair for r in recordings if (pair := _pair(r, protocol)) is not None]
    if not pairs:
        return None
    return HrvErrors(
        n_recordings=len(pairs),
        sdnn_mae_ms=float(np.mean([abs(a.sdnn_ms - b.sdnn_ms) for a, b in pairs])),
        rmssd_mae_ms=_mae([(a.rmssd_ms, b.rmssd_ms) for a, b in pairs]),
        pnn50_mae_percent=_mae([(a.pnn50_percent, b.pnn50_percent) for a, b in pairs]),
        lf_hf_mae=_mae([(a.lf_hf, b.lf_hf) for a, b in pairs]),
    )


def _mae(pairs: Sequence[tuple[float | None, float | None]]) -> float | None:
    """Over the pairs that have both values."""
    errors = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    return float(np.mean(errors)) if errors else None


def _pair(recording: PredictedRecording, protocol: Protocol) -> tuple[HRV, HRV] | None:
    found = []
    for x in waveforms(recording, protocol):
        if not np.isfinite(x).all():
            return None
        beats = time_beats(detrended(x, recording, protocol), fps=recording.fps)
        found.append(None if beats is None else hrv(beats))
    ours, true = found
    return None if ours is None or true is None else (ours, true)
