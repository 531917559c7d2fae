"""TemporalNorm over a clip as two linear scans; same function as reference.py."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from physkit.ops.linear_scan import linear_scan
from physkit.ops.temporal_norm.reference import EPS, new_share


def temporal_norm(
    x: Float[Tensor, "b t c h w"],
    dt_s: Float[Tensor, "b t"],
    half_life_s: Float[Tensor, "c"],
    gamma: Float[Tensor, "c"],
    beta: Float[Tensor, "c"],
    mean0: Float[Tensor, "b c h w"],
    var0: Float[Tensor, "b c h w"],
) -> tuple[Float[Tensor, "b t c h w"], Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
    """A clip standardised causally: y, and the mean and variance after its last frame."""
    height = x.shape[-2]
    flat = rearrange(x, "b t c h w -> b t (h w) c")
    take = new_share(dt_s, half_life_s)[:, :, None]
    keep = 1 - take
    mean = linear_scan(keep, take * flat, rearrange(mean0, "b c h w -> b (h w) c"))
    centred = flat - mean
    var = linear_scan(keep, centred.square() * take, rearrange(var0, "b c h w -> b (h w) c"))
    # The last frame is copied: a view would keep the whole clip in memory.
    y = torch.addcdiv(beta, centred * gamma, (var + EPS).sqrt_())
    return (
        rearrange(y, "b t (h w) c -> b t c h w", h=height),
        rearrange(mean[:, -1].clone(), "b (h w) c -> b c h w", h=height),
        rearrange(var[:, -1].clone(), "b (h w) c -> b c h w", h=height),
    )
