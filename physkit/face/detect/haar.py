"""The boosted cascade that comes with OpenCV (Viola and Jones 2001); needs no model file."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import cv2
import cv2.data
import numpy as np
from jaxtyping import UInt8

from physkit.core.errors import InputError
from physkit.core.registry import unknown_name
from physkit.face.box import Box
from physkit.face.detect.base import Detection, FaceBoxRule

CALIBRATION = MappingProxyType(
    {"haarcascade_frontalface_alt2": (55.3, 0.4), "haarcascade_frontalface_default": (4.5, 1.0)}
)
"""Per cascade the last stage's sum at which a face is as likely as not, and the logistic's width.

Read off real faces against noise, texture, cartoons, upside-down and shuffled faces."""


@dataclass(frozen=True)
class HaarConfig:
    """How the cascade searches."""

    cascade: str = "haarcascade_frontalface_alt2"
    """Name of OpenCV's cascade; rPPG-Toolbox uses haarcascade_frontalface_default."""
    longest_side: int = 240
    """Larger pictures are shrunk to this many pixels before the search."""
    scale_step: float = 1.1
    """Ratio of neighbouring face sizes that are tried."""
    min_neighbours: int = 3
    """How many overlapping windows make a face."""
    min_face: float = 0.12
    """Smallest face that is looked for, in shorter sides of the picture."""


class HaarDetector:
    """Frontal faces by a Haar cascade, in grey, with the histogram equalised.

    Raises UnknownNameError for a cascade that is not calibrated here.
    """

    face_box = FaceBoxRule(width=1.07, height=1.30, shift_y=0.0)

    def __init__(self, config: HaarConfig | None = None) -> None:
        self.config = config or HaarConfig()
        if self.config.cascade not in CALIBRATION:
            raise unknown_name("cascade", self.config.cascade, CALIBRATION)
        path = Path(cv2.data.haarcascades) / f"{self.config.cascade}.xml"
        self._cascade = cv2.CascadeClassifier()
        if not self._cascade.load(str(path)):
            raise InputError(f"{path}: OpenCV's cascade is missing; reinstall opencv-python")

    def detect(self, frames: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> list[list[Detection]]:
        """The faces in each RGB picture, best first; a cascade has no landmarks."""
        return [self._detect_one(frame) for frame in frames]

    def _detect_one(self, rgb: UInt8[np.ndarray, "h w 3"]) -> list[Detection]:
        shrink = min(1.0, self.config.longest_side / max(rgb.shape[:2]))
        # Shrunk first: the grey conversion then has a small picture to go through.
        small = cv2.resize(rgb, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        grey = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        smallest = max(20, round(self.config.min_face * min(grey.shape)))
        boxes, _, sums = self._cascade.detectMultiScale3(
            grey,
            scaleFactor=self.config.scale_step,
            minNeighbors=self.config.min_neighbours,
            minSize=(smallest, smallest),
            outputRejectLevels=True,
        )
        found = [
            Detection(Box(*(float(edge) for edge in box)).scaled(1 / shrink), self._confidence(s))
            for box, s in zip(boxes, sums, strict=True)
        ]
        return sorted(found, key=lambda detection: -detection.confidence)

    def _confidence(self, last_stage_sum: float) -> float:
        middle, width = CALIBRATION[self.config.cascade]
        return 1 / (1 + math.exp(-(float(last_stage_sum) - middle) / width))
