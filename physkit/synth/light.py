"""The light on a scene: where it falls, and how it drifts."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.synth.drift import slow_drift


@dataclass(frozen=True)
class LightConfig:
    """A soft lamp to the upper left."""

    falloff: float = 0.12
    """Relative loss of light from the image's centre to its far corner."""
    drift: float = 0.008
    """Standard deviation of the relative change of all light over time."""
    high_hz: float = 0.3
    """Fastest change in Hz."""


def light_field(height: int, width: int, *, config: LightConfig) -> Float[np.ndarray, "h w"]:
    """Relative light at each pixel, near 1."""
    y, x = np.mgrid[0:height, 0:width]
    across, down = x / width - 0.5, y / height - 0.5
    return np.asarray(1.0 - config.falloff * (across + down)).astype(np.float32)


def light_over_time(
    times_s: Float[np.ndarray, "t"], *, config: LightConfig, rng: np.random.Generator
) -> Float[np.ndarray, "t"]:
    """Relative light of each frame, near 1."""
    return 1.0 + config.drift * slow_drift(times_s, low_hz=0.02, high_hz=config.high_hz, rng=rng)
