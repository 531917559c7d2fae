"""TemporalNorm over a clip as two linear scans; same function as reference.py."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from physkit.ops.linear_scan import linear_scan
from physkit.ops.temporal_norm.reference import EPS, retention


def temporal_norm(
    x: Float[Tensor, "b t h w c"],
    dt_s: Float[Tensor, "b t"],
    half_life_s: Float[Tensor, "c"],
    gamma: Float[Tensor, "c"],
    beta: Float[Tensor, "c"],
    mean0: Float[Tensor, "b h w c"],
    var0: Float[Tensor, "b h w c"],
) -> tuple[Float[Tensor, "b t h w c"], Float[Tensor, "b h w c"], Float[Tensor, "b h w c"]]:
    """A clip standardised causally: y, and the mean and variance after its last frame."""
    height = x.shape[2]
    flat = rearrange(x, "b t h w c -> b t (h w) c")
    keep = retention(dt_s, half_life_s)[:, :, None]
    take = 1 - keep
    mean = linear_scan(keep, take * flat, rearrange(mean0, "b h w c -> b (h w) c"))
    centred = flat - mean
    var = linear_scan(keep, centred.square() * take, rearrange(var0, "b h w c -> b (h w) c"))
    y = torch.addcmul(beta, centred * torch.rsqrt(var + EPS), gamma)
    return (
        rearrange(y, "b t (h w) c -> b t h w c", h=height),
        rearrange(mean[:, -1], "b (h w) c -> b h w c", h=height),
        rearrange(var[:, -1], "b (h w) c -> b h w c", h=height),
    )
