"""Rectangles in a picture."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """An upright rectangle in pixels; (0, 0) is the picture's upper left corner, edges are real.

    A box may reach beyond its picture.
    """

    x: float
    """Left edge."""
    y: float
    """Upper edge."""
    width: float
    """To the right edge."""
    height: float
    """To the lower edge."""

    @property
    def centre_x(self) -> float:
        """Half way between left and right."""
        return self.x + self.width / 2

    @property
    def centre_y(self) -> float:
        """Half way between top and bottom."""
        return self.y + self.height / 2

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    def moved(self, dx: float, dy: float) -> "Box":
        """The same box elsewhere."""
        return Box(self.x + dx, self.y + dy, self.width, self.height)

    def scaled(self, factor: float) -> "Box":
        """The same box in a picture `factor` times as large."""
        return Box(self.x * factor, self.y * factor, self.width * factor, self.height * factor)

    def clipped(self, height: int, width: int) -> "Box | None":
        """What of the box lies in a picture of this size; None when nothing does."""
        left, top = max(self.x, 0.0), max(self.y, 0.0)
        right = min(self.x + self.width, float(width))
        bottom = min(self.y + self.height, float(height))
        if right <= left or bottom <= top:
            return None
        return Box(left, top, right - left, bottom - top)

    def between(self, other: "Box", share: float) -> "Box":
        """The box `share` of the way from this one to another."""
        return Box(
            self.x + share * (other.x - self.x),
            self.y + share * (other.y - self.y),
            self.width + share * (other.width - self.width),
            self.height + share * (other.height - self.height),
        )


def box_at(centre_x: float, centre_y: float, width: float, height: float) -> Box:
    """A box by its centre."""
    return Box(centre_x - width / 2, centre_y - height / 2, width, height)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    down = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / (a.area + b.area - across * down)


def shift(a: Box, b: Box) -> float:
    """How far b is from a: the larger of the move of its centre and the change of its size.

    The move counts in widths of a, the size as the ratio above one.
    """
    moved = math.hypot(b.centre_x - a.centre_x, b.centre_y - a.centre_y) / a.width
    grown = math.exp(abs(math.log(b.width / a.width))) - 1
    return max(moved, grown)
