"""What reading an input gave, before it is told what it says."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from physkit.core.types import Pulse


@dataclass(frozen=True)
class LiveFigures:
    """How soon the frames of a live run were answered."""

    latency_median_ms: float | None
    """From the moment a frame was taken to its pulse sample; None where none was answered live."""
    latency_p95_ms: float | None
    """Of 95 in 100 frames, at most. Frames that settle a state, or wait for that, are left out
    unless all do."""
    dropped_frames: int
    """Frames that were late, and so were never read."""


@dataclass(frozen=True, eq=False)
class Waveform:
    """The pulse of an input."""

    pulse: Pulse
    """One sample a frame that was read; NaN where no face was seen."""
    face_numbers: Int[np.ndarray, "t"]
    """The face of each frame; -1 where none was seen."""
    n_seen: int
    """Frames with a face."""
    detector: str | None
    """Face detector; None for prepared crops."""
    figures: LiveFigures | None = None
    """How soon it came, of a live run."""
    warnings: tuple[str, ...] = ()
    """What ended it early, and what was lost."""
