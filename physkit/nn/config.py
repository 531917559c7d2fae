"""What the config of every network is. Imports nothing heavy."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class ModelConfig:
    """A network's size and form. Each network has a subclass of its own, beside the network."""

    model: ClassVar[str]
    """The network's name in MODELS."""

    def check_multiple(self, name: str, of: int) -> None:
        """Raises ValueError unless a field is a positive multiple of a number."""
        value = getattr(self, name)
        if value < of or value % of:
            raise ValueError(f"{self}: {name} must be a positive multiple of {of}")
