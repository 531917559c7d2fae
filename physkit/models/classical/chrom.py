"""CHROM: chrominance difference. de Haan & Jeanne 2013."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.models.classical.clock import bandpass_on_clock
from physkit.models.classical.colour import relative_change, spread_ratio
from physkit.models.classical.overlap_add import OverlapAdd


@dataclass(frozen=True)
class CHROMConfig:
    """What CHROM can be asked to do differently; the defaults are rPPG-Toolbox's."""

    window_s: float = 1.6
    """Length of a window in seconds; windows overlap by half."""
    low_hz: float = 0.7
    """Lower edge of the band in which the two chrominance signals are balanced, in Hz."""
    high_hz: float = 2.5
    """Upper edge of that band in Hz."""
    order: int = 3
    """Order of the Butterworth band-pass, which runs forwards and backwards."""


class CHROM(OverlapAdd):
    """Chrominance difference in half-overlapping Hann windows.

    The published combination, which rises with blood volume already. de Haan & Jeanne 2013,
    "Robust pulse rate from chrominance-based rPPG".
    """

    def __init__(self, config: CHROMConfig | None = None) -> None:
        config = CHROMConfig() if config is None else config
        super().__init__(window_s=config.window_s, hop_s=config.window_s / 2)
        self.config = config

    def window_pulse(
        self, colours: Float[np.ndarray, "n 3"], times_s: Float[np.ndarray, "n"]
    ) -> Float[np.ndarray, "n"]:
        """The window's chrominance difference under a Hann taper."""
        red, green, blue = relative_change(colours).T
        x, y = (
            bandpass_on_clock(
                chrominance,
                times_s,
                low_hz=self.config.low_hz,
                high_hz=self.config.high_hz,
                order=self.config.order,
            )
            for chrominance in (3.0 * red - 2.0 * green, 1.5 * red + green - 1.5 * blue)
        )
        # The taper is taken at the frames' own times: half-overlapping windows then sum to 1
        # whatever the frame rate does.
        hann = np.sin(np.pi * times_s / self.window_s) ** 2
        return hann * (x - spread_ratio(x, y) * y)
