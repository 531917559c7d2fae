"""PBV: the blood-volume-pulse signature. de Haan & van Leest 2014."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.models.classical.colour import relative_change
from physkit.models.classical.whole_clip import WholeClip

SINGULAR = 1e-13
"""Eigenvalues of the colour covariance, relative to its largest, that are rounding noise."""


@dataclass(frozen=True)
class PBVConfig:
    """What PBV can be asked to do differently."""

    signature: tuple[float, float, float] | None = None
    """Relative pulse strength in R, G, B, such as the paper's (0.33, 0.77, 0.53) for a halogen
    lamp; none measures the spread of each channel in the clip, as rPPG-Toolbox does."""


class PBV(WholeClip):
    """The mix of channels whose correlation with each channel follows the blood's signature.

    Sign: negative of the published mix, which rises with brightness. Colours keep their mean of
    1 in the covariance, as rPPG-Toolbox has them, which makes the weights sum to about 0 and so
    blind to brightness. de Haan & van Leest 2014, "Improved motion robustness of remote-PPG by
    using the blood volume pulse signature".
    """

    def __init__(self, config: PBVConfig | None = None) -> None:
        super().__init__()
        self.config = PBVConfig() if config is None else config

    def clip_pulse(
        self,
        colours: Float[np.ndarray, "t 3"],
        times_s: Float[np.ndarray, "t"],  # noqa: ARG002 - no filter, hence no clock
    ) -> Float[np.ndarray, "t"]:
        """Pulse of one clip; zeros where no colour changes."""
        change = relative_change(colours)
        spread = change.std(axis=0)
        signature = spread if self.config.signature is None else np.array(self.config.signature)
        level = change + 1.0
        weights = np.linalg.pinv(level.T @ level, rcond=SINGULAR, hermitian=True) @ signature
        strength = float(signature @ weights)
        if not spread.any() or strength <= 0:
            return np.zeros(len(colours))
        return np.asarray(-(change @ weights) / strength)
