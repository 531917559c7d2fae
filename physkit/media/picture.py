"""Pictures that are converted no further than they are looked at."""

from abc import ABC, abstractmethod
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from physkit.media.orientation import Orientation, orient

GREEN = 1


class Picture(ABC):
    """An upright sRGB picture. What it hands out may share its memory, and must not be changed.

    height, width: in pixels, as it is shown.
    """

    def __init__(self, *, height: int, width: int) -> None:
        self.height = height
        self.width = width

    @abstractmethod
    def part(
        self, top: int, bottom: int, left: int, right: int
    ) -> UInt8[np.ndarray, "{bottom-top} {right-left} 3"]:
        """RGB of the rows from `top` to before `bottom`, and columns alike, bit for bit the same
        as those of the whole; all within the picture, and at least one of each."""

    @abstractmethod
    def brightness_grid(self, n: int) -> Float32[np.ndarray, "rows columns"]:
        """Brightness (green, or luma) of a grid of about n x n single pixels, 0 to 255."""

    def shrunk(
        self, top: int, bottom: int, left: int, right: int, *, height: int, width: int
    ) -> UInt8[np.ndarray, "{height} {width} 3"]:
        """A part, each of whose pixels is the mean of the area it covers (OpenCV's INTER_AREA)."""
        return resized(self.part(top, bottom, left, right), height=height, width=width)


class PixelPicture(Picture):
    """A picture whose pixels lie in an array already.

    pixels: uint8 (h w 3), with any strides.
    order: of the three channels.
    """

    def __init__(
        self, pixels: UInt8[np.ndarray, "h w 3"], *, order: Literal["rgb", "bgr"] = "rgb"
    ) -> None:
        super().__init__(height=pixels.shape[0], width=pixels.shape[1])
        self._pixels = pixels
        self._is_bgr = order == "bgr"

    def part(
        self, top: int, bottom: int, left: int, right: int
    ) -> UInt8[np.ndarray, "{bottom-top} {right-left} 3"]:
        """A view of RGB pixels, a copy of BGR ones."""
        pixels = self._pixels[top:bottom, left:right]
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if self._is_bgr else pixels

    def brightness_grid(self, n: int) -> Float32[np.ndarray, "rows columns"]:
        """Green pixels."""
        return sparse(self._pixels[..., GREEN], n).astype(np.float32)

    def shrunk(
        self, top: int, bottom: int, left: int, right: int, *, height: int, width: int
    ) -> UInt8[np.ndarray, "{height} {width} 3"]:
        """A part, each of whose pixels is the mean of the area it covers (OpenCV's INTER_AREA)."""
        small = resized(self._pixels[top:bottom, left:right], height=height, width=width)
        # Swapped when it is small: each channel is resized by itself.
        return cv2.cvtColor(small, cv2.COLOR_BGR2RGB) if self._is_bgr else small


class TurnedPicture(Picture):
    """A picture that is stored lying on its side, upside down or mirrored."""

    def __init__(self, stored: Picture, orientation: Orientation) -> None:
        sides = (stored.height, stored.width)
        height, width = sides[::-1] if orientation.is_transposed else sides
        super().__init__(height=height, width=width)
        self._stored = stored
        self._orientation = orientation

    def part(
        self, top: int, bottom: int, left: int, right: int
    ) -> UInt8[np.ndarray, "{bottom-top} {right-left} 3"]:
        """A copy, turned upright."""
        if self._orientation.is_mirrored_y:
            top, bottom = self.height - bottom, self.height - top
        if self._orientation.is_mirrored_x:
            left, right = self.width - right, self.width - left
        if self._orientation.is_transposed:
            top, bottom, left, right = left, right, top, bottom
        return orient(self._stored.part(top, bottom, left, right), self._orientation)

    def brightness_grid(self, n: int) -> Float32[np.ndarray, "rows columns"]:
        """As it is stored."""
        return self._stored.brightness_grid(n)


def sparse(plane: UInt8[np.ndarray, "h w"], n: int) -> UInt8[np.ndarray, "rows columns"]:
    """About n x n pixels of a plane, evenly spread; fewer where it has fewer."""
    step_y, step_x = (max(1, side // n) for side in plane.shape)
    return plane[::step_y, ::step_x]


def resized(
    pixels: UInt8[np.ndarray, "h w 3"], *, height: int, width: int
) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """A picture of another size; where it shrinks, each pixel is the mean of the area it covers."""
    small: UInt8[np.ndarray, "_ _ 3"] = cv2.resize(
        pixels, (width, height), interpolation=cv2.INTER_AREA
    )
    return small
