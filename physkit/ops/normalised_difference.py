"""The relative change of each pixel from frame to frame, independent of light and skin tone.

rPPG-Toolbox's "DiffNormalized". Chen & McDuff 2018, "DeepPhys"; Liu et al. 2023.
"""

import torch
from jaxtyping import Float
from torch import Tensor

DARK = 1e-7
"""Added to a sum of two grey levels, of 255, so that black on black is no change."""
ROUNDING = 1e-6
"""A variance below this share of the mean square is a rounding error."""


def normalised_difference(
    frames: Float[Tensor, "*b t h w c"], *, white: float
) -> Float[Tensor, "*b t h w c"]:
    """(x[t+1] - x[t]) / (x[t+1] + x[t]) over the standard deviation of all its values.

    Clip by clip: the last four dimensions are one clip. white: the value of a white pixel, such as
    1 or 255. The last frame is zeros, since none follows it; so is a clip without any change.
    Float32 at least: bfloat16 is too coarse for the change that a heartbeat makes.
    """
    x = frames.to(torch.promote_types(frames.dtype, torch.float32))
    if x.shape[-4] < 2:
        return torch.zeros_like(x)
    earlier, later = x[..., :-1, :, :, :], x[..., 1:, :, :, :]
    change = (later - earlier) / (later + earlier).add_(DARK * white / 255)
    values = change.flatten(-4)
    mean_square = values.square().mean(dim=-1)  # a variance in one pass takes ten times as long
    variance = mean_square - values.mean(dim=-1).square()
    changes = variance > ROUNDING * mean_square
    # without the replaced variance, a still clip would have an infinite gradient
    scale = torch.where(changes, torch.where(changes, variance, 1.0).rsqrt(), 0.0)
    scaled = change * scale[..., None, None, None, None]
    return torch.cat([scaled, torch.zeros_like(x[..., :1, :, :, :])], dim=-4)
