"""The recordings a report shows: the best, the median and the worst."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.evaluate.predictions import PredictedRecording
from physkit.evaluate.protocols import Protocol
from physkit.evaluate.windows import WindowRow, detrended, waveforms
from physkit.signal.filters import bandpass


@dataclass(frozen=True, eq=False)
class Example:
    """One recording's filtered prediction and label."""

    rank: str
    """`best`, `median` or `worst` by mean absolute error."""
    recording: str
    """Its name."""
    error_bpm: float
    """Its mean absolute error."""
    fps: float
    """Samples per second."""
    prediction: Float[np.ndarray, "t"]
    """Band-passed prediction, standard deviation 1."""
    label: Float[np.ndarray, "t"]
    """Band-passed label, standard deviation 1."""


def examples(
    recordings: Sequence[PredictedRecording], windows: Sequence[WindowRow], protocol: Protocol
) -> tuple[Example, ...]:
    """Up to three recordings, ordered by error; those without any heart rate are left out."""
    errors: dict[tuple[str, str], list[float]] = {}
    for w in windows:
        if np.isfinite(w.error_bpm):
            errors.setdefault((w.subject, w.recording), []).append(abs(w.error_bpm))
    ranked = sorted(
        (
            (float(np.mean(errors[key])), i)
            for i, r in enumerate(recordings)
            if (key := (r.subject, r.recording)) in errors
        )
    )
    if not ranked:
        return ()
    # where one recording is several of these, it is shown once, as the best
    places = {len(ranked) - 1: "worst", len(ranked) // 2: "median"} | {0: "best"}
    return tuple(
        _example(places[place], recordings[ranked[place][1]], ranked[place][0], protocol)
        for place in sorted(places)
    )


def _example(
    rank: str, recording: PredictedRecording, error_bpm: float, protocol: Protocol
) -> Example:
    prediction, label = (_shown(x, recording, protocol) for x in waveforms(recording, protocol))
    return Example(rank, recording.recording, error_bpm, recording.fps, prediction, label)


def _shown(
    x: Float[np.ndarray, "t"], recording: PredictedRecording, protocol: Protocol
) -> Float[np.ndarray, "t"]:
    # a gap becomes zeros: the filter cannot take NaN
    flat = detrended(np.nan_to_num(x), recording, protocol)
    clean = bandpass(flat, fps=recording.fps, low_hz=protocol.low_hz, high_hz=protocol.high_hz)
    spread = clean.std()
    return np.asarray(clean / spread) if spread > 0 else clean
