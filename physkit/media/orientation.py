"""Turning pictures upright as a video's display matrix says."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Int32, UInt8


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to lay a picture on a screen: transpose first, then mirror."""

    is_transposed: bool
    """Rows become columns."""
    is_mirrored_x: bool
    """Left and right change places."""
    is_mirrored_y: bool
    """Top and bottom change places."""


def read_orientation(matrix: Int32[np.ndarray, "9"]) -> Orientation:
    """The orientation nearest to a display matrix (ISO/IEC 14496-12, 6.2.2), row by row.

    A pixel (x, y) is shown at (a x + c y, b x + d y); angles between are rounded to a quarter turn.
    """
    a, b, _, c, d = (int(value) for value in matrix[:5])
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(is_transposed=False, is_mirrored_x=a < 0, is_mirrored_y=d < 0)
    return Orientation(is_transposed=True, is_mirrored_x=c < 0, is_mirrored_y=b < 0)


def quarter_turn(degrees: int) -> Orientation:
    """The orientation of a picture to be turned anticlockwise, rounded to a quarter turn."""
    turns = round(degrees / 90) % 4
    return Orientation(
        is_transposed=turns % 2 == 1,
        is_mirrored_x=turns in (2, 3),
        is_mirrored_y=turns in (1, 2),
    )


def orient(
    rgb: UInt8[np.ndarray, "h w 3"], orientation: Orientation
) -> UInt8[np.ndarray, "oh ow 3"]:
    """The picture as it is to be shown; a transposed one changes its height with its width."""
    flips = {(True, True): -1, (True, False): 1, (False, True): 0}  # OpenCV's codes
    flip = flips.get((orientation.is_mirrored_x, orientation.is_mirrored_y))
    upright: UInt8[np.ndarray, "oh ow 3"] = cv2.transpose(rgb) if orientation.is_transposed else rgb
    if flip is not None:
        upright = cv2.flip(upright, flip)
    return upright
