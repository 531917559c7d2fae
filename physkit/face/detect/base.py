"""What every face detector takes and gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from physkit.face.box import Box, box_at
from physkit.media.picture import Picture


@dataclass(frozen=True, eq=False)
class Detection:
    """One face that a detector sees in one picture."""

    box: Box
    """The detector's own box in pixels; detectors differ in what of a head they enclose."""
    confidence: float
    """0 to 1; calibrated so that 0.5 is a face and half of that a face where one was before."""
    landmarks: Float32[np.ndarray, "n 2"] | None = None
    """(x, y) in pixels of the detector's points, where it has them."""

    def moved(self, dx: float, dy: float) -> "Detection":
        """The same face in a picture whose corner lies (dx, dy) further up and left."""
        points = self.landmarks
        if points is not None:
            points = points + np.array([dx, dy], np.float32)
        return Detection(self.box.moved(dx, dy), self.confidence, points)


@dataclass(frozen=True)
class FaceBoxRule:
    """How a detector's own box becomes the face box: hairline to chin, temple to temple.

    In multiples of the detector's box, so that crops by different detectors show the same.
    """

    width: float
    """Width of the face box."""
    height: float
    """Height of the face box."""
    shift_y: float
    """How far its centre lies below the centre of the detector's box, in heights of the latter."""

    def apply(self, box: Box) -> Box:
        """The face box of a detector's box."""
        centre_y = box.centre_y + self.shift_y * box.height
        return box_at(box.centre_x, centre_y, self.width * box.width, self.height * box.height)


@runtime_checkable
class FaceDetector(Protocol):
    """Finds upright faces in single pictures; holds no memory of earlier ones."""

    @property
    def config(self) -> Any:
        """How it looks for faces: a frozen dataclass of plain values."""
        ...

    @property
    def face_box(self) -> FaceBoxRule:
        """From this detector's boxes to face boxes."""
        ...

    def detect(
        self, frames: Sequence[UInt8[np.ndarray, "_ _ 3"]], *, min_face: float = 0.0
    ) -> list[list[Detection]]:
        """The faces in each of a batch of RGB pictures of any sizes, best first.

        min_face: width of the smallest face that matters, in shorter sides of its picture; allows
          a detector to be quicker, and is no promise that smaller ones are left out.
        """
        ...

    def glimpse(self, picture: Picture, near: Box, *, min_face_px: float) -> Detection | None:
        """The face whose box shortly before was `near`, if a quick search finds it with certainty.

        None does not mean that it is gone. A detector without a quick search always gives None.
        min_face_px: width of the smallest face that the picture is to be fine enough for.
        """
        ...
