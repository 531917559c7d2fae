"""LGI: local group invariance. Pilz et al. 2018."""

import numpy as np
from jaxtyping import Float

from physkit.models.classical.colour import green_beside
from physkit.models.classical.whole_clip import WholeClip


class LGI(WholeClip):
    """Green, less what it shares with the clip's dominant colour direction.

    The dominant direction is the first left singular vector of the colours, means included:
    brightness and what moves with it. Negated, so that the pulse rises with blood volume. Pilz,
    Zaunseder, Krajewski & Blazek 2018, "Local group invariance for heart rate estimation from
    face videos in the wild".
    """

    def clip_pulse(
        self,
        colours: Float[np.ndarray, "t 3"],
        times_s: Float[np.ndarray, "t"],  # noqa: ARG002 - no filter, hence no clock
    ) -> Float[np.ndarray, "t"]:
        """Pulse of one clip; zeros where no colour changes."""
        dominant = np.linalg.svd(colours.T, full_matrices=False)[0][:, 0]
        return -green_beside(dominant, colours)
