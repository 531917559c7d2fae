"""The values that travel between rooms."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class Pulse:
    """One pulse waveform on its true clock.

    NaN marks a moment at which nothing was seen (no face, a dropped frame).
    """

    samples: Float[np.ndarray, "t"]
    """Unitless pulse, one value a moment."""
    timestamps_s: Float[np.ndarray, "t"]
    """Presentation time of each value in seconds, strictly increasing."""
