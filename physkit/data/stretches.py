"""Which frames of a recording a window may hold."""

import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32

from physkit.data.label_clock import EDGE_S
from physkit.data.store import NO_SEGMENT
from physkit.signal.resample import MAX_GAP_S


@dataclass(frozen=True)
class Stretch:
    """Frames between which nothing lacks: one face, one run of the label, no gap in time."""

    start: int
    """First frame."""
    stop: int
    """The frame after the last."""
    start_s: float
    """Time of the first frame."""
    stop_s: float
    """Time of the last frame."""

    @property
    def n_frames(self) -> int:
        """How many frames it has."""
        return self.stop - self.start

    @property
    def duration_s(self) -> float:
        """From its first frame to its last."""
        return self.stop_s - self.start_s


def find_stretches(
    timestamps_s: Float64[np.ndarray, "t"],
    segments: Int32[np.ndarray, "t"],
    runs: list[tuple[float, float]],
) -> tuple[Stretch, ...]:
    """The unbroken stretches of a recording, in order.

    segments: number of the unbroken stretch of one face in each frame; `NO_SEGMENT` without one.
    runs: first and last times in seconds between which the label has no gap.
    A stretch ends where the face does, where `MAX_GAP_S` passes without a frame, and where a run of
    the label ends; a frame up to `EDGE_S` outside of a run still belongs to it.
    """
    if timestamps_s.shape[0] == 0:
        return ()
    run_of_frame = np.full(timestamps_s.shape[0], -1)
    for number, (first_s, last_s) in enumerate(runs):
        inside = (timestamps_s >= first_s - EDGE_S) & (timestamps_s <= last_s + EDGE_S)
        run_of_frame[inside] = number
    gaps = np.diff(timestamps_s) > MAX_GAP_S
    broken = (np.diff(segments) != 0) | (np.diff(run_of_frame) != 0) | gaps
    borders = [0, *(np.flatnonzero(broken) + 1).tolist(), timestamps_s.shape[0]]
    usable = (segments != NO_SEGMENT) & (run_of_frame >= 0)
    return tuple(
        Stretch(start, stop, float(timestamps_s[start]), float(timestamps_s[stop - 1]))
        for start, stop in itertools.pairwise(borders)
        if usable[start]
    )
