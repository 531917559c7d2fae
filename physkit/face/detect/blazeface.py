"""BlazeFace short range, MediaPipe's detector (Bazarevsky et al. 2019), run by LiteRT."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from jaxtyping import Float32, UInt8

from physkit.core.errors import WeightsError
from physkit.face.box import Box, overlap
from physkit.face.detect.base import Detection, FaceBoxRule
from physkit.media.picture import Picture

INPUT_PX = 128
GRIDS = ((16, 2), (8, 6))
"""Cells along each side, and anchors a cell: 16 * 16 * 2 + 8 * 8 * 6 = 896."""
N_ANCHORS = 896
N_NUMBERS = 16
"""Box centre and size, then x and y of eyes, nose, mouth and ears."""

EVEN_SCORE = 1.27
"""Score of the network (before its logistic) at which a face is as likely as not.

Shown at their right size, real faces score above 2.2; cartoon letters, clouds, noise and shuffled
faces below 0.8, upside-down faces below 1.1."""
SEEN_IN_WHOLE = 0.17
"""Faces larger than this share of the picture's longer side are found without tiles."""
TILE_STEP = 0.65
"""From tile to tile, in their sides; the overlap holds the largest face that only they show."""


@dataclass(frozen=True)
class BlazeFaceConfig:
    """How the network's answers are read."""

    min_confidence: float = 0.1
    """Weaker faces are not reported."""
    same_face_overlap: float = 0.3
    """Boxes that overlap more than this (intersection over union) are one face."""
    tile_sides: tuple[float, ...] = (1.0, 0.5)
    """Sides of the square tiles, in shorter sides of the picture, that are searched when no
    certain face is found in the whole: the network misses those below a sixth of what it sees."""
    certain: float = 0.5
    """Confidence of a certain face."""


class BlazeFaceDetector:
    """Faces with six landmarks (right eye, left eye, nose, mouth, right ear, left ear).

    model_path: `blaze_face_short_range.tflite` of the MediaPipe model zoo.
    Raises WeightsError when that is not a BlazeFace model.
    """

    face_box = FaceBoxRule(width=1.10, height=1.33, shift_y=-0.18)

    def __init__(self, model_path: str | Path, config: BlazeFaceConfig | None = None) -> None:
        self.config = config or BlazeFaceConfig()
        self._interpreter = _load(Path(model_path))
        self._input = self._interpreter.get_input_details()[0]["index"]
        outputs = self._interpreter.get_output_details()
        outputs = sorted(outputs, key=lambda output: int(output["shape"][-1]))
        self._scores, self._numbers = (output["index"] for output in outputs)
        self._anchors = _anchors()

    def detect(
        self, frames: Sequence[UInt8[np.ndarray, "_ _ 3"]], *, min_face: float = 0.0
    ) -> list[list[Detection]]:
        """The faces in each RGB picture, best first.

        min_face: width of the smallest face that matters, in shorter sides of its picture.
        """
        return [self._detect_one(frame, min_face) for frame in frames]

    def glimpse(
        self,
        picture: Picture,  # noqa: ARG002 - of the protocol
        near: Box,  # noqa: ARG002
        *,
        min_face_px: float,  # noqa: ARG002
    ) -> Detection | None:
        """None: the network takes as long for any part of a picture."""
        return None

    def _detect_one(self, rgb: UInt8[np.ndarray, "h w 3"], min_face: float) -> list[Detection]:
        found = self._detect_whole(rgb)
        share = min_face * min(rgb.shape[:2]) / max(rgb.shape[:2])
        if share > SEEN_IN_WHOLE or any(f.confidence >= self.config.certain for f in found):
            return found
        for left, top, side in _tiles(rgb.shape[0], rgb.shape[1], self.config.tile_sides):
            tile = rgb[top : top + side, left : left + side]
            found += [face.moved(float(left), float(top)) for face in self._detect_whole(tile)]
        return _merge(found, self.config.same_face_overlap)

    def _detect_whole(self, rgb: UInt8[np.ndarray, "h w 3"]) -> list[Detection]:
        picture, px_per_unit, left, top = _letterbox(rgb)
        self._interpreter.set_tensor(self._input, picture)
        self._interpreter.invoke()
        # Beyond 80 the exponential of a float32 score overflows.
        score = np.clip(self._interpreter.get_tensor(self._scores)[0, :, 0], -80, 80)
        confidence = 1 / (1 + np.exp(EVEN_SCORE - score))
        kept = np.flatnonzero(confidence >= self.config.min_confidence)
        numbers = self._interpreter.get_tensor(self._numbers)[0, kept] / INPUT_PX
        points = numbers.reshape(-1, N_NUMBERS // 2, 2)
        # All but the box's size (the second pair) are offsets from the anchor.
        points[:, [0, *range(2, N_NUMBERS // 2)]] += self._anchors[kept, None]
        points *= px_per_unit
        points[:, [0, *range(2, N_NUMBERS // 2)]] -= np.array([left, top], np.float32)
        found = [
            Detection(_centred(point[0], point[1]), float(score), point[2:])
            for point, score in zip(points, confidence[kept], strict=True)
        ]
        return _merge(found, self.config.same_face_overlap)


def _load(path: Path) -> Interpreter:
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; give blaze_face_short_range.tflite")
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{path}: not a LiteRT model ({str(error).splitlines()[0]}); "
            "give blaze_face_short_range.tflite"
        ) from error
    inputs = [_shape(detail) for detail in interpreter.get_input_details()]
    outputs = sorted(_shape(detail) for detail in interpreter.get_output_details())
    expected = ([(1, INPUT_PX, INPUT_PX, 3)], [(1, N_ANCHORS, 1), (1, N_ANCHORS, N_NUMBERS)])
    if (inputs, outputs) != expected:
        raise WeightsError(
            f"{path}: another model (inputs {_plain(inputs)}, outputs {_plain(outputs)}); "
            "give blaze_face_short_range.tflite"
        )
    return interpreter


def _shape(detail: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(side) for side in detail["shape"])


def _plain(shapes: list[tuple[int, ...]]) -> str:
    listed = ["x".join(str(side) for side in shape) for shape in shapes[:3]]
    return ", ".join(listed) + (", ..." if len(shapes) > 3 else "")


def _anchors() -> Float32[np.ndarray, "896 2"]:
    """Anchor centres (x, y) as shares of the input, cell by cell, row by row."""
    centres = []
    for cells, anchors_a_cell in GRIDS:
        along = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        y, x = np.meshgrid(along, along, indexing="ij")
        centres.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 2), anchors_a_cell, axis=0))
    return np.concatenate(centres)


def _letterbox(
    rgb: UInt8[np.ndarray, "h w 3"],
) -> tuple[Float32[np.ndarray, "1 128 128 3"], float, float, float]:
    """The picture in the middle of a black square in [-1, 1], undistorted.

    Also the square's side, and its left and upper border, in pixels of the picture.
    """
    height, width = rgb.shape[:2]
    shrink = INPUT_PX / max(height, width)
    small_width, small_height = max(1, round(width * shrink)), max(1, round(height * shrink))
    how = cv2.INTER_AREA if shrink < 1 else cv2.INTER_LINEAR
    small = cv2.resize(rgb, (small_width, small_height), interpolation=how)
    left, top = (INPUT_PX - small_width) // 2, (INPUT_PX - small_height) // 2
    square = np.full((1, INPUT_PX, INPUT_PX, 3), -1, dtype=np.float32)
    inside = square[0, top : top + small_height, left : left + small_width]
    np.multiply(small, np.float32(2 / 255), out=inside)
    inside -= 1
    return square, INPUT_PX / shrink, left / shrink, top / shrink


def _centred(centre: Float32[np.ndarray, "2"], size: Float32[np.ndarray, "2"]) -> Box:
    x, y = centre - size / 2
    return Box(float(x), float(y), float(size[0]), float(size[1]))


def _tiles(height: int, width: int, sides: Sequence[float]) -> Iterator[tuple[int, int, int]]:
    """Left, top and side of square tiles that overlap by a third."""
    for share in sides:
        side = round(share * min(height, width))
        if side < INPUT_PX // 2 or side == max(height, width):
            continue
        for top in _starts(height, side):
            for left in _starts(width, side):
                yield left, top, side


def _starts(length: int, side: int) -> list[int]:
    count = 1 + math.ceil((length - side) / (TILE_STEP * side))
    return [round(start) for start in np.linspace(0, length - side, count)]


def _merge(found: list[Detection], same_face_overlap: float) -> list[Detection]:
    """Weighted non-maximum suppression: boxes of one face become their mean by confidence."""
    left = sorted(found, key=lambda face: -face.confidence)
    merged = []
    while left:
        same = [f for f in left if overlap(f.box, left[0].box) > same_face_overlap]
        same = same or left[:1]
        weights = np.array([face.confidence for face in same], np.float32)
        weights /= weights.sum()
        edges = np.array([(f.box.x, f.box.y, f.box.width, f.box.height) for f in same])
        landmarks = np.stack([face.landmarks for face in same if face.landmarks is not None])
        merged.append(
            Detection(
                Box(*(float(edge) for edge in weights @ edges)),
                same[0].confidence,
                np.tensordot(weights, landmarks, axes=1).astype(np.float32),
            )
        )
        left = [face for face in left if not any(face is one for one in same)]
    return merged
