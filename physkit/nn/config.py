"""What the config of every network is. Imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class ModelConfig:
    """A network's size and form. Each network has a subclass of its own, beside the network."""

    model: ClassVar[str]
    """The network's name in MODELS."""
