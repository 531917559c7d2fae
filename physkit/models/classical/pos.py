"""POS: the plane orthogonal to the skin tone. Wang et al. 2017."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.models.classical.colour import relative_change, spread_ratio
from physkit.models.classical.overlap_add import OverlapAdd


@dataclass(frozen=True)
class POSConfig:
    """What POS can be asked to do differently."""

    window_s: float = 1.6
    """Length of the sliding window in seconds, a beat or two."""


class POS(OverlapAdd):
    """Plane-orthogonal-to-skin, window by window, one window ending at every frame.

    Sign: the published combination rises with brightness; this is its negative, so that it rises
    with blood volume. Each window counts by the time since the one before it, so amplitude does
    not depend on the frame rate. Wang, den Brinker, Stuijk & de Haan 2017, "Algorithmic
    principles of remote PPG".
    """

    def __init__(self, config: POSConfig | None = None) -> None:
        config = POSConfig() if config is None else config
        super().__init__(window_s=config.window_s, hop_s=None)
        self.config = config

    def window_pulse(
        self,
        colours: Float[np.ndarray, "n 3"],
        times_s: Float[np.ndarray, "n"],  # noqa: ARG002 - no filter, hence no clock
    ) -> Float[np.ndarray, "n"]:
        """The window's projection with equalised spread of the plane's two axes."""
        red, green, blue = relative_change(colours).T
        across, along = green - blue, green + blue - 2.0 * red
        return np.asarray(-(across + spread_ratio(across, along) * along))
