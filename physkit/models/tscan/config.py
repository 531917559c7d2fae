"""Size of a TS-CAN. Imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar

from physkit.nn.config import ModelConfig

MIN_SIZE_PX = 16
"""Smallest crop that still has a pixel at the end."""
N_GROUPS = 8
"""Frames are shifted within so many parts of a clip."""


@dataclass(frozen=True)
class TSCANConfig(ModelConfig):
    """Size of the input; the defaults are the released weights'."""

    model: ClassVar[str] = "tscan"

    size: int = 36
    """Side of the face crop in pixels; at least 16."""
    frames: int = 160
    """Frames of a clip; a multiple of 8."""

    def __post_init__(self) -> None:
        if self.size < MIN_SIZE_PX or self.frames < N_GROUPS or self.frames % N_GROUPS:
            raise ValueError(
                f"{self}: size must be at least {MIN_SIZE_PX}, frames a multiple of {N_GROUPS}"
            )
