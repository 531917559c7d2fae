"""What a camera makes of light: noise, and 8 bits."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from physkit.core.errors import InputError

BANK_MARGIN_PX = 64
"""Noise is cut from one larger field at random shifts: drawing it anew takes most of the time."""
MIN_SIZE_PX = 64
"""A face in a smaller image has no features left."""


@dataclass(frozen=True)
class CameraConfig:
    """The sensor and the file that it writes."""

    width: int = 640
    """Width of the image in pixels, even."""
    height: int = 480
    """Height of the image in pixels, even."""
    fps: float = 30.0
    """Frames per second."""
    noise: float = 0.006
    """Standard deviation of the sensor noise, relative to full scale."""
    quality: int = 16
    """H.264 constant rate factor: 0 is lossless, 23 is common; a pulse is lost much beyond 25."""

    def __post_init__(self) -> None:
        """Refuse what no video holds."""
        if self.width % 2 or self.height % 2 or min(self.width, self.height) < MIN_SIZE_PX:
            raise InputError(
                f"image of {self.width}x{self.height} pixels: choose even sizes from {MIN_SIZE_PX}"
            )
        if not self.fps > 0:
            raise InputError(f"{self.fps} frames per second: choose a rate above 0")


class Sensor:
    """Turns light into 8-bit frames with noise of its own."""

    def __init__(self, config: CameraConfig, rng: np.random.Generator) -> None:
        self.config = config
        self.rng = rng
        shape = (config.height + BANK_MARGIN_PX, config.width + BANK_MARGIN_PX, 3)
        self.bank = np.float32(config.noise) * rng.standard_normal(shape, np.float32)

    def expose(self, light: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """One frame of a scene in [0, 1]."""
        top, left = self.rng.integers(0, BANK_MARGIN_PX + 1, 2)
        height, width = light.shape[:2]
        noisy = light + self.bank[top : top + height, left : left + width]
        # OpenCV rounds and saturates in one pass.
        return np.asarray(cv2.convertScaleAbs(np.maximum(noisy, 0.0, out=noisy), alpha=255.0))
