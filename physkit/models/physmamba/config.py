"""Size of a PhysMamba. Imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar

from physkit.nn.config import ModelConfig

SPACE_STRIDE = 16
"""Pixels for which the innermost features have one."""
SLOW_STRIDE = 4
"""Frames for which the slow stream has one."""


@dataclass(frozen=True)
class PhysMambaConfig(ModelConfig):
    """Size of the input; the defaults are the released weights'."""

    model: ClassVar[str] = "physmamba"

    size: int = 128
    """Side of the face crop in pixels; a multiple of 16."""
    frames: int = 128
    """Frames of a clip; a multiple of 4."""
    theta: float = 0.5
    """What share of the inner convolutions sees change alone."""

    def __post_init__(self) -> None:
        self.check_multiple("size", SPACE_STRIDE)
        self.check_multiple("frames", SLOW_STRIDE)
