"""How pulses become figures: the block `score` of every command that scores."""

import math
from dataclasses import dataclass
from typing import Literal

from physkit.evaluate.protocols import find_protocol


@dataclass(frozen=True)
class ScoreConfig:
    """A metric protocol, and the windows that it is applied to."""

    protocol: str = "physkit-1"
    """Metric protocol: {registry protocol}."""
    window_s: float | Literal["inf"] | None = None
    """Window length in seconds; by default the whole recording, and 30 s every second under
    physkit-1; inf is always the whole recording."""
    hr: Literal["fft", "peak"] = "fft"
    """Heart rate from the spectrum, or from the intervals between peaks."""

    def __post_init__(self) -> None:
        find_protocol(self.protocol)

    @property
    def label(self) -> str:
        """A name for results by these settings, such as physkit-1-inf or toolbox-2023-10.0-peak."""
        window = "" if self.window_s is None else f"-{self.window_s}"
        return f"{self.protocol}{window}{'' if self.hr == 'fft' else f'-{self.hr}'}"

    @property
    def length_s(self) -> float | None:
        """Window length in seconds; infinity for the whole recording, None for the default."""
        return math.inf if self.window_s == "inf" else self.window_s
