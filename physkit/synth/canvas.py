"""Soft shapes on a canvas in units of a face: x to the right, y down, half a face wide is 1."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

Colour = tuple[float, float, float]
"""RGB in [0, 1]."""


def smoothstep(
    x: Float[np.ndarray, "..."],
    low: float | Float[np.ndarray, "..."],
    high: float | Float[np.ndarray, "..."],
) -> Float[np.ndarray, "..."]:
    """0 below `low`, 1 above `high`, smooth between; falls where low > high."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t))


@dataclass(frozen=True, eq=False)
class Canvas:
    """Coordinates of each pixel in face units, and the picture."""

    x: Float[np.ndarray, "1 w"]
    y: Float[np.ndarray, "h 1"]
    rgb: Float[np.ndarray, "h w 3"]

    @classmethod
    def blank(
        cls, height: int, width: int, *, centre_px: tuple[float, float], unit_px: float
    ) -> "Canvas":
        """A black canvas; `centre_px` is (x, y) of the face's centre."""
        x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        return cls(
            ((x + 0.5 - centre_px[0]) / unit_px)[None],
            ((y + 0.5 - centre_px[1]) / unit_px)[:, None],
            np.zeros((height, width, 3), np.float32),
        )

    def part(self, top_left: tuple[float, float], bottom_right: tuple[float, float]) -> "Canvas":
        """The rectangle between two corners (x, y), at least a pixel; painting it paints this."""
        rows, columns = self.span(top_left, bottom_right)
        return Canvas(self.x[:, columns], self.y[rows], self.rgb[rows, columns])

    def span(
        self, top_left: tuple[float, float], bottom_right: tuple[float, float]
    ) -> tuple[slice, slice]:
        """Rows and columns of the rectangle between two corners, at least one of each."""

        def slots(axis: Float[np.ndarray, "n"], low: float, high: float) -> slice:
            first, last = (int(i) for i in np.searchsorted(axis, [low, high]))
            first = min(first, len(axis) - 1)
            return slice(first, max(last, first + 1))

        return (
            slots(self.y[:, 0], top_left[1], bottom_right[1]),
            slots(self.x[0], top_left[0], bottom_right[0]),
        )

    def ellipse(
        self, centre: tuple[float, float], radii: tuple[float, float], *, soft: float = 0.03
    ) -> Float[np.ndarray, "h w"]:
        """1 inside an ellipse and 0 outside, with an edge about `soft` face units wide."""
        distance = np.hypot((self.x - centre[0]) / radii[0], (self.y - centre[1]) / radii[1])
        edge = soft / min(radii)
        return smoothstep(distance, 1.0 + edge / 2, 1.0 - edge / 2)

    def glow(
        self, centre: tuple[float, float], radii: tuple[float, float]
    ) -> Float[np.ndarray, "h w"]:
        """A Gaussian spot of height 1."""
        u, v = (self.x - centre[0]) / radii[0], (self.y - centre[1]) / radii[1]
        return np.asarray(np.exp(-0.5 * u * u) * np.exp(-0.5 * v * v))

    def paint(self, mask: Float[np.ndarray, "h w"], colour: Colour) -> None:
        """Lay a colour over the picture where the mask is 1."""
        self.rgb[:] += mask[..., None] * (np.array(colour, np.float32) - self.rgb)

    def shade(self, mask: Float[np.ndarray, "h w"], factor: float) -> None:
        """Multiply the picture by `factor` where the mask is 1."""
        self.rgb[:] *= (1.0 + (factor - 1.0) * mask)[..., None]


def grain(
    height: int, width: int, *, size_px: float, rng: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """Smooth random texture of unit variance with spots about `size_px` wide."""
    noise = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), size_px)
    return np.asarray(noise / noise.std())
