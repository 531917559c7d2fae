"""Size of a FacePhys. Imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar

from physkit.nn.config import ModelConfig


@dataclass(frozen=True)
class FacePhysConfig(ModelConfig):
    """Size of the network; the defaults are the published FacePhys."""

    model: ClassVar[str] = "facephys"

    height: int = 36
    """Rows of the face crop, in pixels."""
    width: int = 36
    """Columns of the face crop, in pixels."""
    channels: int = 32
    """Filters of every convolution; a multiple of 8."""
    n_blocks: int = 4
    """Blocks, each of which halves the spatial size."""
    d_state: int = 128
    """State size of the SSM inside each convolution."""
    head_d_state: int = 16
    """State size of the two SSMs of the head."""

    def __post_init__(self) -> None:
        sizes = (self.height, self.width, self.n_blocks, self.d_state, self.head_d_state)
        if min(sizes) < 1 or self.channels < 8 or self.channels % 8:
            raise ValueError(f"{self}: sizes must be positive and channels a multiple of 8")
