"""TemporalNorm, one frame at a time: the definition that every fast form is tested against."""

import torch
from jaxtyping import Float
from torch import Tensor

LN2 = 0.6931  # the published constant; more digits would be another function
EPS = 1e-5


def retention(dt_s: Float[Tensor, "*bt"], half_life_s: Float[Tensor, "c"]) -> Tensor:
    """Share of the running statistics that survives `dt_s` seconds: (*bt, c) in [0, 1)."""
    return (1 - LN2 * dt_s[..., None] / half_life_s).clamp(min=0)


def temporal_norm_step(
    x: Float[Tensor, "b h w c"],
    dt_s: Float[Tensor, "b"],
    half_life_s: Float[Tensor, "c"],
    gamma: Float[Tensor, "c"],
    beta: Float[Tensor, "c"],
    mean: Float[Tensor, "b h w c"],
    var: Float[Tensor, "b h w c"],
) -> tuple[Tensor, Tensor, Tensor]:
    """One frame standardised, with the mean and variance that include it."""
    keep = retention(dt_s, half_life_s)[:, None, None, :]
    mean = torch.lerp(x, mean, keep)
    centred = x - mean
    var = torch.lerp(centred.square(), var, keep)
    return torch.addcmul(beta, centred * torch.rsqrt(var + EPS), gamma), mean, var


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
    out, mean, var = [], mean0, var0
    for t in range(x.shape[1]):
        y, mean, var = temporal_norm_step(x[:, t], dt_s[:, t], half_life_s, gamma, beta, mean, var)
        out.append(y)
    return torch.stack(out, dim=1), mean, var
