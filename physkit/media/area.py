"""Shrinking pictures by exact area means."""

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Int, UInt8

MAX_PIXELS = (2**31 - 1) // 255
"""Sums of more pixels do not fit into the integers that OpenCV adds them up in."""


def area_resized(
    pixels: UInt8[np.ndarray, "h w 3"], *, height: int, width: int
) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """A picture of that size, each pixel the mean of the area it covers, rounded half up.

    Computed in whole numbers, and so the same on every machine. OpenCV's INTER_AREA takes the same
    means in float32, which differ by one level where they are half way between two, and takes up to
    twice as long. A picture that has to grow is left to it.
    """
    old_height, old_width = pixels.shape[:2]
    area = old_height * old_width
    if old_height < height or old_width < width or area > MAX_PIXELS:
        resized: UInt8[np.ndarray, "_ _ 3"] = cv2.resize(
            pixels, (width, height), interpolation=cv2.INTER_AREA
        )
        return resized
    corners, rest_y, rest_x = _corners(old_height, old_width, height, width)
    # sums[y, x] is the sum of all pixels above and left of the corner (x, y).
    sums = cv2.integral(pixels, sdepth=cv2.CV_32S).reshape(-1, 3)
    upper, lower = sums.take(corners, axis=0).reshape(2, height + 1, 2, width + 1, 3)
    at_row = rest_y * (lower - upper)
    at_row += height * upper.astype(np.int64)
    left, right = (at_row[1:] - at_row[:-1]).swapaxes(0, 1)
    at_column = rest_x * (right - left)
    at_column += width * left
    # Sums over height * width times the area of a new pixel: that is the area of all.
    means = at_column[:, 1:] - at_column[:, :-1]
    means *= 2
    means += area
    means //= 2 * area
    shrunk: UInt8[np.ndarray, "_ _ 3"] = means.astype(np.uint8)
    return shrunk


@lru_cache(maxsize=256)
def _corners(
    old_height: int, old_width: int, height: int, width: int
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "rows 1 1 1"], Int[np.ndarray, "columns 1"]]:
    """Where in the sums the corners of new pixels are, and how far beyond them the edges lie.

    Corners of: the row above each edge and the row below, edge by edge, the column left of each
    edge and the column right, edge by edge. The rest is in parts of the new height and width.
    """
    first_y, rest_y = _edges(old_height, height)
    first_x, rest_x = _edges(old_width, width)
    rows = np.stack([first_y, first_y + 1]).reshape(-1, 1)
    columns = np.stack([first_x, first_x + 1]).reshape(1, -1)
    corners = (rows * (old_width + 1) + columns).ravel()
    return corners, rest_y.reshape(-1, 1, 1, 1), rest_x.reshape(-1, 1)


def _edges(length: int, n: int) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Pixels in which the edges of `n` new pixels lie, and how far within, in parts of `n`."""
    at = np.arange(n + 1) * length
    first = np.minimum(at // n, length - 1)
    return first, at - first * n
