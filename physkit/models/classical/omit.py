"""OMIT: orthogonal matrix image transformation. Casado Alvarez & Bordallo Lopez 2022."""

import numpy as np
from jaxtyping import Float

from physkit.models.classical.colour import green_beside
from physkit.models.classical.whole_clip import WholeClip


class OMIT(WholeClip):
    """Green, less its part along the first basis vector of a QR factorisation of the colours.

    Negated, so that the pulse rises with blood volume. Casado Alvarez & Bordallo Lopez 2022,
    "Face2PPG: an unsupervised pipeline for blood volume pulse extraction from faces".
    """

    def clip_pulse(
        self,
        colours: Float[np.ndarray, "t 3"],
        times_s: Float[np.ndarray, "t"],  # noqa: ARG002 - no filter, hence no clock
    ) -> Float[np.ndarray, "t"]:
        """Pulse of one clip; zeros where no colour changes."""
        first = np.linalg.qr(colours.T)[0][:, 0]
        return -green_beside(first, colours)
