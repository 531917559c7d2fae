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
from physkit.media.picture import Picture

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
    glimpse_side: float = 1.6
    """Side of the square in which a known face is looked for first, in widths of its box."""
    glimpse_sizes: tuple[float, float] = (0.77, 1.3)
    """Faces that are looked for there, from smallest to largest, in widths of the known one."""
    glimpse_scale_step: float = 1.15
    """Ratio of neighbouring face sizes that are tried there."""
    certain: float = 0.5
    """Confidence of a face there that makes a look at more of the picture unnecessary."""
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
        self, frames: Sequence[UInt8[np.ndarray, "_ _ 3"]], *, min_face: float = 0.0
    ) -> list[list[Detection]]:
        """The faces in each RGB picture, best first; a cascade has no landmarks.

        min_face: width of the smallest face that matters, in shorter sides of its picture; where
          it is given, a face is expected, and looked for a second time when not found.
        """
        return [self._detect_one(frame, min_face) for frame in frames]

    def glimpse(self, picture: Picture, near: Box, *, min_face_px: float) -> Detection | None:
        """The face near a box, if it is there, about as large, and beyond doubt.

        min_face_px: the picture is shrunk until a face of this width is as small as can be seen.
        """
        config = self.config
        side = config.glimpse_side * near.width
        window = box_at(near.centre_x, near.centre_y, side, side).clipped(
            picture.height, picture.width
        )
        if window is None:
            return None
        top, bottom = int(window.y), round(window.y + window.height)
        left, right = int(window.x), round(window.x + window.width)
        shrink = min(1.0, CASCADE_PX / min_face_px)
        height, width = (round(shrink * length) for length in (bottom - top, right - left))
        if min(height, width) < CASCADE_PX:
            return None
        small = picture.shrunk(top, bottom, left, right, height=height, width=width)
        least_px, most_px = (times * shrink * near.width for times in config.glimpse_sizes)
        found = self._cascade_faces(small, config.glimpse_scale_step, least_px, most_px)
        if not found or found[0].confidence < config.certain:
            return None
        box = found[0].box.scaled(1 / shrink)
        return Detection(box.moved(float(left), float(top)), found[0].confidence)

    def _detect_one(self, rgb: UInt8[np.ndarray, "h w 3"], min_face: float) -> list[Detection]:
        config = self.config
        smallest_px = max(min_face, config.min_face) * min(rgb.shape[:2])
        found = self._scan(rgb, smallest_px, CASCADE_PX, config.scale_step)
        best = max((face.confidence for face in found), default=0.0)
        if min_face > 0 and best < config.doubtful:
            found = self._scan(rgb, smallest_px, config.fine_px, config.fine_scale_step)
        return found

    def _scan(
        self, rgb: UInt8[np.ndarray, "h w 3"], smallest_px: float, enough_px: int, step: float
    ) -> list[Detection]:
        """Faces from `smallest_px` wide on, in a picture shrunk until those are `enough_px`."""
        shrink = min(1.0, enough_px / smallest_px)
        # Shrunk first: the grey conversion then has a small picture to go through.
        size = [max(1, round(side * shrink)) for side in rgb.shape[1::-1]]
        small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        found = self._cascade_faces(small, step, smallest_px * shrink, math.inf)
        return [Detection(face.box.scaled(1 / shrink), face.confidence) for face in found]

    def _cascade_faces(
        self, rgb: UInt8[np.ndarray, "h w 3"], step: float, least_px: float, most_px: float
    ) -> list[Detection]:
        """Faces of these widths in a small picture, best first."""
        grey = cv2.equalizeHist(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY))
        least = max(CASCADE_PX, int(least_px))
        most = math.ceil(min(most_px, max(rgb.shape[:2])))
        boxes, _, sums = self._cascade.detectMultiScale3(
            grey,
            scaleFactor=step,
            minNeighbors=self.config.min_neighbours,
            minSize=(least, least),
            maxSize=(most, most),
            outputRejectLevels=True,
        )
        found = [
            Detection(Box(*(float(edge) for edge in box)), self._confidence(last_sum))
            for box, last_sum in zip(boxes, sums, strict=True)
        ]
        return sorted(found, key=lambda face: -face.confidence)

    def _confidence(self, last_stage_sum: float) -> float:
        middle, width = CALIBRATION[self.config.cascade]
        return 1 / (1 + math.exp(-(float(last_stage_sum) - middle) / width))
