"""Size of a RhythmMamba. Imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar

from physkit.nn.config import ModelConfig

SPACE_STRIDE = 8
"""Pixels for which the blocks have one place."""
N_STARTS = 4
"""Parts of a clip, from the start of each of which the blocks read it."""


@dataclass(frozen=True)
class RhythmMambaConfig(ModelConfig):
    """Size of the input; the defaults are the released weights'."""

    model: ClassVar[str] = "rhythmmamba"

    size: int = 128
    """Side of the face crop in pixels; a multiple of 8."""
    frames: int = 160
    """Frames of a clip; a multiple of 8."""
    layers: int = 24
    """Blocks, each of which looks at the clip from four starts."""

    def __post_init__(self) -> None:
        self.check_multiple("size", SPACE_STRIDE)
        self.check_multiple("frames", 2 * N_STARTS)
        if self.layers < 1:
            raise ValueError(f"{self}: layers must be positive")
