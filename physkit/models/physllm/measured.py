"""The cue on a clip's pictures from measurements of the pictures themselves, marked as such."""

import numpy as np
from jaxtyping import Float, UInt8

MARK = "Measured in the pictures, not described by a model."
"""What such a text begins with."""
TONES = ((55, "very light"), (41, "light"), (28, "intermediate"), (10, "tan"), (-30, "brown"))
"""Skin tones by the least individual typology angle in degrees (Chardon et al. 1991); else dark."""
MOTIONS = ((0.4, "still"), (1.0, "nearly still"), (2.5, "moving"))
"""By the most change from frame to frame, in percent of the grey range; else moving a lot."""
CHANGES = ((0.5, "steady"), (1.5, "drifting"))
"""By the most change of brightness over the clip, in percent of the grey range; else changing."""
MIDDLE = slice(1, 3)
"""Which quarters of a crop are taken for skin, along each side."""


def measured_cue(frames: UInt8[np.ndarray, "t h w 3"]) -> str:
    """A sentence on skin, motion and light of a clip of face crops."""
    quarters = frames.mean(axis=0).astype(np.float64) / 255
    h, w = (side // 4 for side in quarters.shape[:2])
    blocks = quarters[: 4 * h, : 4 * w].reshape(4, h, 4, w, 3).mean(axis=(1, 3))
    skin = blocks[MIDDLE, MIDDLE].reshape(-1, 3)
    lightness, yellow = _lightness_and_yellow(skin.mean(axis=0))
    angle = float(np.degrees(np.arctan2(lightness - 50, max(yellow, 1e-6))))
    grey = frames.astype(np.float32).mean(axis=-1) / 2.55
    means = grey.mean(axis=(1, 2))
    motion = (
        float(np.abs(np.diff(grey - means[:, None, None], axis=0)).mean()) if len(grey) > 1 else 0
    )
    change, left = float(means.std()), grey[..., : grey.shape[-1] // 2].mean() - means.mean()
    side = "from the left" if left > 2 else "from the right" if left < -2 else "from the front"
    return (
        f"{MARK} Skin: {_word(TONES, angle, 'dark', least=True)} (angle {angle:.0f} degrees), "
        f"varies by {100 * skin.mean(axis=-1).std():.1f} percent. Motion: "
        f"{_word(MOTIONS, motion, 'moving a lot')} ({motion:.1f} percent a frame). Light: "
        f"brightness {means.mean():.0f} percent, contrast {grey.mean(axis=0).std():.0f} percent, "
        f"{_word(CHANGES, change, 'changing')} ({change:.1f} percent), {side}."
    )


def _word(
    limits: tuple[tuple[float, str], ...], value: float, otherwise: str, *, least: bool = False
) -> str:
    """The word of the first limit that a value keeps."""
    kept = (word for limit, word in limits if (value > limit if least else value < limit))
    return next(kept, otherwise)


def _lightness_and_yellow(rgb: Float[np.ndarray, "3"]) -> tuple[float, float]:
    """L* and b* (CIE 1976, D65) of a colour in sRGB."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    y = float(linear @ (0.2126, 0.7152, 0.0722))
    z = float(linear @ (0.0193, 0.1192, 0.9505)) / 1.0890
    fy, fz = (v ** (1 / 3) if v > 216 / 24389 else (24389 / 27 * v + 16) / 116 for v in (y, z))
    return 116 * fy - 16, 200 * (fy - fz)
