"""Size of a EfficientPhys. Imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar

from physkit.nn.config import ModelConfig

MIN_SIZE_PX = 16
"""Smallest crop that still has a pixel at the end."""
GROUP_FRAMES = 8
"""Frames are shifted within groups of so many."""


@dataclass(frozen=True)
class EfficientPhysConfig(ModelConfig):
    """Size of the input; the defaults are the released weights'."""

    model: ClassVar[str] = "efficientphys"

    size: int = 72
    """Side of the face crop in pixels; at least 16."""
    frames: int = 160
    """Frames of a clip; a multiple of 8."""

    def __post_init__(self) -> None:
        if self.size < MIN_SIZE_PX or self.frames < GROUP_FRAMES or self.frames % GROUP_FRAMES:
            raise ValueError(
                f"{self}: size must be at least {MIN_SIZE_PX}, frames a multiple of {GROUP_FRAMES}"
            )
