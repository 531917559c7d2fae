"""How faces are found: the block `face` of every command that looks for one."""

from dataclasses import dataclass

from physkit.core.errors import InputError
from physkit.core.registry import unknown_name
from physkit.face.detect import DETECTORS

AUTO = "auto"


@dataclass(frozen=True)
class FaceConfig:
    """The face detector and its model file."""

    detector: str = AUTO
    """Face detector: {registry detector}; auto: blazeface where its model file is at hand, else
    haar."""
    weights: str | None = None
    """Model file of the detector, where it has one; by default the one that was pulled."""

    def __post_init__(self) -> None:
        if self.detector != AUTO and self.detector not in DETECTORS:
            raise unknown_name("detector", self.detector, (AUTO, *DETECTORS))
        if self.weights == "":
            raise InputError("--face.weights: empty; leave it out or give a file")
