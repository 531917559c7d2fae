"""Size of a PhysNet. Imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from physkit.nn.config import ModelConfig

TIME_STRIDE = 4
"""Frames for which the innermost features have one time step."""
MIN_SIZE_PX = 16
"""Smallest crop that still has a pixel after four halvings."""


@dataclass(frozen=True)
class PhysNetConfig(ModelConfig):
    """Size of the input and meaning of the output; the defaults are the released weights'."""

    model: ClassVar[str] = "physnet"

    height: int = 72
    """Rows of the face crop, in pixels; at least 16."""
    width: int = 72
    """Columns of the face crop, in pixels; at least 16."""
    frames: int = 128
    """Frames that are read at once outside of training; a multiple of 4."""
    input: Literal["change", "rgb"] = "change"
    """What the network sees: change, the normalised difference of neighbouring frames; rgb, the
    frames, standardised over time and place for each channel. The latter's pulse is standardised
    in each window."""
    output: Literal["diff", "pulse"] = "diff"
    """What the network answers and is trained on: diff, the pulse's change from each frame to the
    next, over its standard deviation; pulse, the standardised pulse itself."""

    def __post_init__(self) -> None:
        if min(self.height, self.width) < MIN_SIZE_PX:
            raise ValueError(f"{self}: height and width must be at least {MIN_SIZE_PX}")
        self.check_multiple("frames", TIME_STRIDE)
        if self.input not in ("change", "rgb"):
            raise ValueError(f"{self}: input must be change or rgb")
        if self.output not in ("diff", "pulse"):
            raise ValueError(f"{self}: output must be diff or pulse")
