"""Cutting the face out of a picture."""

import cv2
import numpy as np
from jaxtyping import UInt8

from physkit.face.box import Box


def crop_face(
    rgb: UInt8[np.ndarray, "h w 3"], box: Box, *, size: int = 36
) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """The part of a picture inside `box`, area-resized to size x size pixels.

    Edges are rounded to whole pixels and moved into the picture, at least one pixel apart; a box
    that is not square is squeezed into one. Bit-identical from run to run.
    """
    height, width = rgb.shape[:2]
    left, right = _span(box.x, box.width, width)
    top, bottom = _span(box.y, box.height, height)
    crop: UInt8[np.ndarray, "_ _ 3"] = cv2.resize(
        rgb[top:bottom, left:right], (size, size), interpolation=cv2.INTER_AREA
    )
    return crop


def _span(start: float, length: float, limit: int) -> tuple[int, int]:
    first = min(max(round(start), 0), limit - 1)
    last = min(max(round(start + length), first + 1), limit)
    return first, last
