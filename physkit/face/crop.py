"""Cutting the face out of a picture."""

import numpy as np
from jaxtyping import UInt8

from physkit.face.box import Box
from physkit.face.track import TrackedFrame
from physkit.media.picture import Picture, PixelPicture


def crop_face(
    rgb: UInt8[np.ndarray, "h w 3"], box: Box, *, size: int = 36
) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """The part of a picture inside `box`, area-resized to size x size pixels.

    Edges are rounded to whole pixels and moved into the picture, at least one pixel apart; a box
    that is not square is squeezed into one. Bit-identical from run to run.
    """
    return _crop(PixelPicture(rgb), box, size)


def crop_tracked(
    tracked: TrackedFrame, *, size: int = 36
) -> UInt8[np.ndarray, "{size} {size} 3"] | None:
    """What `crop_face` cuts out of a tracked frame, without converting the rest of the picture.

    None where no face was seen.
    """
    picture = tracked.frame.picture
    if tracked.box is None or picture is None:
        return None
    return _crop(picture, tracked.box, size)


def _crop(picture: Picture, box: Box, size: int) -> UInt8[np.ndarray, "{size} {size} 3"]:
    left, right = _span(box.x, box.width, picture.width)
    top, bottom = _span(box.y, box.height, picture.height)
    return picture.shrunk(top, bottom, left, right, height=size, width=size)


def _span(start: float, length: float, limit: int) -> tuple[int, int]:
    first = min(max(round(start), 0), limit - 1)
    last = min(max(round(start + length), first + 1), limit)
    return first, last
