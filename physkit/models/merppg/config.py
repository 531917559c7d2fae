"""Size of a ME-rPPG. Imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from physkit.nn.config import ModelConfig

MIN_SIZE_PX = 8
"""Smallest crop that is halved by every block."""


@dataclass(frozen=True)
class MERPPGConfig(ModelConfig):
    """Size of the input; the defaults are the released weights'."""

    model: ClassVar[str] = "merppg"

    size: int = 36
    """Side of the face crop in pixels; at least 8."""
    frames: int = 160
    """Frames of a clip, in training and in the form chunk; even."""
    form: Literal["stream", "chunk"] = "stream"
    """How it reads: stream, frame by frame with running statistics; chunk, clips that are freed of
    their trend. It is trained on chunks."""

    def __post_init__(self) -> None:
        if self.size < MIN_SIZE_PX or self.frames < 2 or self.frames % 2:
            raise ValueError(f"{self}: size must be at least {MIN_SIZE_PX}, frames even")
        if self.form not in ("stream", "chunk"):
            raise ValueError(f"{self}: form must be stream or chunk")
