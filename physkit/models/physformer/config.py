"""Size of a PhysFormer. Imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar

from physkit.nn.config import ModelConfig

TUBE = 4
"""Frames, rows and columns of the stems' features that make a token."""
TOKEN_PX = 8 * TUBE
"""Side of a token in pixels of the crop."""


@dataclass(frozen=True)
class PhysFormerConfig(ModelConfig):
    """Size of the input; the defaults are the released weights'."""

    model: ClassVar[str] = "physformer"

    size: int = 128
    """Side of the face crop in pixels; a multiple of 32."""
    frames: int = 160
    """Frames of a clip; a multiple of 4."""
    layers: int = 12
    """Layers of attention."""
    theta: float = 0.7
    """What share of the convolutions in the attention sees change alone."""
    sharpness: float = 2.0
    """What the attention's products are divided by."""

    def __post_init__(self) -> None:
        self.check_multiple("size", TOKEN_PX)
        self.check_multiple("frames", TUBE)
        if self.layers < 1 or self.sharpness <= 0:
            raise ValueError(f"{self}: layers and sharpness must be positive")
