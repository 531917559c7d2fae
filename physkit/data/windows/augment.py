"""What is done to a window at random: its time, and the look of its frames.

Everything is constant over a window: what changed within it would drown the pulse, or be one.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from physkit.data.windows.config import AugmentConfig, TimeScaleConfig
from physkit.data.windows.forms import WHITE


@dataclass(frozen=True)
class Look:
    """One drawn change of how frames look."""

    flipped: bool
    """Mirrored left to right."""
    gains: tuple[float, float, float]
    """Factors of red, green and blue."""
    left: float
    """Where the part that is shown begins, as a share of the width."""
    top: float
    """The same from above."""
    side: float
    """Side of the part that is shown, as a share of the crop's."""


def draw_look(rng: np.random.Generator, config: AugmentConfig) -> Look:
    """Draws a look; takes as many numbers from `rng` whatever the dials are."""
    flip, cut, left, top = rng.random(4).tolist()
    bright, warm = rng.uniform(-1, 1, 2).tolist()
    gain, warmth = config.brightness * bright, config.colour_temperature * warm
    cut *= config.crop
    return Look(
        flipped=flip < config.flip,
        gains=(math.exp(gain + warmth), math.exp(gain), math.exp(gain - warmth)),
        left=left * cut,
        top=top * cut,
        side=1 - cut,
    )


def apply_look(
    frames: UInt8[np.ndarray, "t h w 3"] | Float32[np.ndarray, "t h w 3"], look: Look
) -> Float32[np.ndarray, "t h w 3"]:
    """Frames of grey levels 0 to 255 with a look, all alike; not rounded."""
    shown = _cut_out(frames.astype(np.float32), look)
    t, h, w, _ = shown.shape
    rows = shown.reshape(
        t, h, w * 3
    )  # long rows: three gains at a time would take ten times longer
    rows *= np.tile(np.array(look.gains, np.float32), w)
    np.minimum(rows, np.float32(WHITE), out=rows)
    return shown


def time_scale(
    config: TimeScaleConfig, *, heart_rate_bpm: float, longest: float, place: float
) -> float:
    """How many seconds of the recording a second of the window takes.

    `place`, uniform in [0, 1), gives a heart rate uniform over what can be reached: from `low_bpm`
    to `high_bpm`, by at most `max_factor` either way, and by at most `longest`, for which the
    recording has room. 1 where nothing can, or where `heart_rate_bpm` is NaN.
    """
    low_bpm = max(config.low_bpm, heart_rate_bpm / config.max_factor)
    high_bpm = min(config.high_bpm, heart_rate_bpm * min(config.max_factor, longest))
    if not (math.isfinite(heart_rate_bpm) and low_bpm < high_bpm):
        return 1.0
    return (low_bpm + place * (high_bpm - low_bpm)) / heart_rate_bpm


def _cut_out(frames: Float32[np.ndarray, "t h w 3"], look: Look) -> Float32[np.ndarray, "t h w 3"]:
    """The shown part of every frame, enlarged by linear interpolation; may be `frames` itself."""
    if look.side == 1.0:
        return np.ascontiguousarray(frames[:, :, ::-1]) if look.flipped else frames
    _, h, w, _ = frames.shape
    # pixel centres lie at halves: x in the picture shows left * w + (x + 0.5) * side - 0.5
    across = (look.side, look.left * w + 0.5 * look.side - 0.5)
    if look.flipped:
        across = (-look.side, across[1] + look.side * (w - 1))
    down = (look.side, look.top * h + 0.5 * look.side - 0.5)
    matrix = np.array([[across[0], 0.0, across[1]], [0.0, down[0], down[1]]])
    shown = np.empty_like(frames)
    # the border is half a pixel at most, where the part ends at the crop's edge
    for frame, out in zip(frames, shown, strict=True):
        cv2.warpAffine(
            frame,
            matrix,
            (w, h),
            dst=out,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return shown
