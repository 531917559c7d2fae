"""Rigid head motion in the image plane."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from physkit.synth.drift import slow_drift


@dataclass(frozen=True)
class MotionConfig:
    """How far a resting head drifts; standard deviations of slow random motion."""

    shift_px: float = 1.5
    """Shift in pixels along each image axis."""
    rotation_deg: float = 0.4
    """Rotation in the image plane in degrees."""
    scale: float = 0.003
    """Relative change of size."""
    high_hz: float = 0.25
    """Fastest motion in Hz, well below a pulse."""


def head_motion(
    times_s: Float[np.ndarray, "t"],
    *,
    centre_px: tuple[float, float],
    config: MotionConfig,
    rng: np.random.Generator,
) -> Float[np.ndarray, "t 2 3"]:
    """An affine map from the still head's pixels to each frame's, turning about `centre_px`."""
    drifts = [slow_drift(times_s, low_hz=0.02, high_hz=config.high_hz, rng=rng) for _ in range(4)]
    angle = np.deg2rad(config.rotation_deg) * drifts[0]
    scale = 1.0 + config.scale * drifts[1]
    shift = config.shift_px * np.stack(drifts[2:], axis=1)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], axis=1), np.stack([sin, cos], axis=1)], axis=1)
    centre = np.array(centre_px)
    return np.concatenate([turn, (centre + shift - turn @ centre)[..., None]], axis=2)
