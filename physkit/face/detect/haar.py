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
from physkit.face.box import Box, box_at
from physkit.face.detect.base import Detection, FaceBoxRule

CALIBRATION = MappingProxyType(
    {"haarcascade_frontalface_alt2": (55.3, 0.4), "haarcascade_frontalface_default": (4.5, 1.0)}
)
"""Per cascade the last stage's sum at which a face is as likely as not, and the logistic's width.

Read off real faces against noise, texture, cartoons, upside-down and shuffled faces."""

CASCADE_PX = 24
"""Width of the smallest face that both cascades can see; from twice theirs on, OpenCV steps by
single pixels and is four times as slow."""


@dataclass(frozen=True)
class HaarConfig:
    """How the cascade searches."""

    cascade: str = "haarcascade_frontalface_alt2"
    """Name of OpenCV's cascade; rPPG-Toolbox uses haarcascade_frontalface_default."""
    scale_step: float = 1.1
    """Ratio of neighbouring face sizes that are tried."""
    fine_px: int = 60
    """Width of the smallest face of interest in a second, finer look at a surrounding in which
    the first found none; a turned or tilted head often shows only then."""
    fine_scale_step: float = 1.05
    """Ratio of neighbouring face sizes in the second look."""
    doubtful: float = 0.25
    """Confidence below which the second look is taken."""
    close: float = 1.6
    """Side of the square in which an expected face is looked for first, in widths of its box."""
    close_min_face: float = 0.77
    """Smallest face that is looked for there, in widths of the expected one."""
    certain: float = 0.5
    """Confidence of a face there that ends the search."""
    min_neighbours: int = 3
    """How many overlapping windows make a face."""
    min_face: float = 0.12
    """Smallest face that is looked for, in shorter sides of the picture; pictures are shrunk for
    the search until such a face is as small as the cascade can see."""


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

    def detect(
        self,
        frames: Sequence[UInt8[np.ndarray, "_ _ 3"]],
        *,
        min_face: float = 0.0,
        near: Box | None = None,
    ) -> list[list[Detection]]:
        """The faces in each RGB picture, best first; a cascade has no landmarks.

        min_face: width of the smallest face that matters, in shorter sides of its picture; where
          it is given, a face is expected, and looked for a second time when not found.
        near: where one is expected; if it is there, no other is looked for.
        """
        return [self._detect_one(frame, min_face, near) for frame in frames]

    def _detect_one(
        self, rgb: UInt8[np.ndarray, "h w 3"], min_face: float, near: Box | None
    ) -> list[Detection]:
        config = self.config
        smallest_px = max(min_face, config.min_face) * min(rgb.shape[:2])
        if near is not None:
            found = self._scan_near(rgb, smallest_px, near)
            if _best(found) >= config.certain:
                return found
        found = self._scan(rgb, smallest_px, CASCADE_PX, config.scale_step)
        if min_face > 0 and _best(found) < config.doubtful:
            found = self._scan(rgb, smallest_px, config.fine_px, config.fine_scale_step)
        return found

    def _scan_near(
        self, rgb: UInt8[np.ndarray, "h w 3"], smallest_px: float, near: Box
    ) -> list[Detection]:
        """Faces about as large and as near as expected, seen as sharply as in the whole picture."""
        side = self.config.close * near.width
        window = box_at(near.centre_x, near.centre_y, side, side).clipped(*rgb.shape[:2])
        if window is None:
            return []
        left, top = int(window.x), int(window.y)
        part = rgb[top : round(window.y + window.height), left : round(window.x + window.width)]
        least = max(1.0, self.config.close_min_face * near.width / smallest_px)
        found = self._scan(part, smallest_px, CASCADE_PX, self.config.scale_step, least)
        return [face.moved(float(left), float(top)) for face in found]

    def _scan(
        self,
        rgb: UInt8[np.ndarray, "h w 3"],
        smallest_px: float,
        enough_px: int,
        step: float,
        from_times: float = 1.0,
    ) -> list[Detection]:
        """Faces from `from_times` times `smallest_px` wide on, in a picture shrunk until the latter
        are `enough_px`."""
        shrink = min(1.0, enough_px / smallest_px)
        # Shrunk first: the grey conversion then has a small picture to go through.
        size = [max(1, round(side * shrink)) for side in rgb.shape[1::-1]]
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        grey = cv2.equalizeHist(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        least = max(CASCADE_PX, int(from_times * smallest_px * shrink))
        boxes, _, sums = self._cascade.detectMultiScale3(
            grey,
            scaleFactor=step,
            minNeighbors=self.config.min_neighbours,
            minSize=(least, least),
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


def _best(found: list[Detection]) -> float:
    """The highest confidence; 0 without a face."""
    return max((face.confidence for face in found), default=0.0)
