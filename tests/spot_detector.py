"""A face detector whose every face is known: bright red spots."""

from collections.abc import Sequence

import numpy as np

from physkit.face.box import Box, box_at
from physkit.face.detect.base import Detection, FaceBoxRule
from physkit.media.picture import Picture


class SpotDetector:
    """Takes every bright red rectangle for a face, with a known error of its box."""

    config = None
    face_box = FaceBoxRule(width=1.0, height=1.0, shift_y=0.0)

    def __init__(self, jitter_px: float = 0.0) -> None:
        self.jitter_px = jitter_px
        self.rng = np.random.default_rng(0)
        self.n_pictures = 0

    def detect(
        self,
        frames: Sequence[np.ndarray],
        *,
        min_face: float = 0.0,  # noqa: ARG002 - of the protocol
    ) -> list[list[Detection]]:
        self.n_pictures += len(frames)
        return [self._spots(frame) for frame in frames]

    def glimpse(
        self,
        picture: Picture,  # noqa: ARG002 - of the protocol
        near: Box,  # noqa: ARG002
        *,
        min_face_px: float,  # noqa: ARG002
    ) -> Detection | None:
        return None

    def _spots(self, rgb: np.ndarray) -> list[Detection]:
        found = []
        for shade in (250, 230):
            rows, columns = np.nonzero(rgb[..., 0] == shade)
            if len(rows) == 0:
                continue
            width, height = float(np.ptp(columns) + 1), float(np.ptp(rows) + 1)
            x, y = columns.min() + width / 2, rows.min() + height / 2
            dx, dy, grown = self.rng.uniform(-self.jitter_px, self.jitter_px, 3)
            box = box_at(float(x + dx), float(y + dy), float(width + grown), float(height + grown))
            found.append(Detection(box, 0.9))
        return found
