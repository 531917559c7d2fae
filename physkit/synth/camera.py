"""The camera: exposure, tone curve, noise, 8 bits, and its clock."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from physkit.core.errors import InputError
from physkit.synth.drift import moments, ramped_steps
from physkit.synth.streams import Streams

BANK_MARGIN_PX = 64
"""Noise is cut from one larger field at random shifts: new noise would take most of the time."""
MIN_SIZE_PX = 64
"""Smallest image side: a face in a smaller image shows no features."""
EXPOSURE_RAMP_S = 0.25
"""Time in which an automatic exposure settles."""

Compression = Literal["none", "mjpeg", "h264"]
"""Compression of the frames before they are stored."""


@dataclass(frozen=True)
class CameraConfig:
    """The camera and its automatic changes."""

    width: int = 640
    """Width of the image in pixels, even."""
    height: int = 480
    """Height of the image in pixels, even."""
    fps: float = 30.0
    """Frames per second."""
    gamma: float = 2.2
    """Exponent of the tone curve: shown = light ** (1 / gamma)."""
    noise: float = 0.006
    """Standard deviation of the noise of a pixel, relative to full scale. After a tone curve near
    a square root, photon noise is equal in bright and dark areas."""
    blur_px: float = 0.6
    """Width of the lens blur in pixels."""
    exposure_steps_per_min: float = 0.0
    """Steps of the automatic exposure a minute."""
    exposure_step: float = 0.06
    """Relative size of such a step."""
    white_balance_step: float = 0.02
    """Relative change of red against blue with each step."""
    dropped: float = 0.0
    """Share of the frames that are dropped."""
    jitter_s: float = 0.0
    """Standard deviation in seconds of a frame's time around the regular one."""
    compression: Compression = "none"
    """Lossy video the frames went through: none, mjpeg or h264."""
    quality: int = 85
    """Of mjpeg: 1 to 100, higher is better. Of h264: 51 less the constant rate factor."""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.width % 2 or self.height % 2 or min(self.width, self.height) < MIN_SIZE_PX:
            raise InputError(
                f"image of {self.width}x{self.height} pixels: choose even sizes from {MIN_SIZE_PX}"
            )
        if not self.fps > 0:
            raise InputError(f"{self.fps} frames per second: choose a rate above 0")


def frame_times(
    config: CameraConfig, *, duration_s: float, rng: np.random.Generator
) -> Float[np.ndarray, "t"]:
    """Capture times of the frames that are not dropped: strictly increasing, the first at 0 s."""
    n = round(duration_s * config.fps)
    jitter = np.clip(config.jitter_s * rng.standard_normal(n), -0.4 / config.fps, 0.4 / config.fps)
    arrives = rng.uniform(size=n) >= config.dropped
    jitter[:1], arrives[:1] = 0.0, True
    return np.asarray((np.arange(n) / config.fps + jitter)[arrives])


def exposure(
    times_s: Float[np.ndarray, "t"], *, config: CameraConfig, rng: np.random.Generator
) -> Float[np.ndarray, "t 3"]:
    """Relative linear gain in R, G, B of an automatic exposure and white balance."""
    if config.exposure_steps_per_min == 0:
        return np.ones((len(times_s), 3))
    every_s = 60.0 / config.exposure_steps_per_min
    at_s = moments(float(times_s[-1]), every_s=every_s, spread=0.8, rng=rng)
    # It varies around a level and does not drift.
    level, warmth = rng.uniform(-1.0, 1.0, (2, len(at_s) + 1))
    log_gain = config.exposure_step * ramped_steps(times_s, at_s, level, ramp_s=EXPOSURE_RAMP_S)
    warm = config.white_balance_step * ramped_steps(times_s, at_s, warmth, ramp_s=EXPOSURE_RAMP_S)
    return np.asarray(np.exp(np.stack([log_gain + warm, log_gain, log_gain - warm], axis=1)))


class Sensor:
    """Turns rendered pictures into 8-bit frames with noise."""

    def __init__(self, config: CameraConfig, streams: Streams) -> None:
        self._rng = streams.of("noise")
        shape = (config.height + BANK_MARGIN_PX, config.width + BANK_MARGIN_PX, 3)
        self._bank = self._rng.standard_normal(shape, np.float32)
        self._bank *= np.float32(255 * config.noise)

    def expose(self, shown: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        """One frame of a picture in grey levels of 255."""
        top, left = self._rng.integers(0, BANK_MARGIN_PX + 1, 2)
        height, width = shown.shape[:2]
        noise = self._bank[top : top + height, left : left + width]
        # OpenCV adds, rounds and saturates in one pass.
        return np.asarray(cv2.add(shown, noise, dtype=cv2.CV_8U))
