"""TemporalNorm, one frame at a time: the definition that every fast form is tested against."""

import torch
from jaxtyping import Float
from torch import Tensor

LN2 = 0.6931  # the published constant; with more digits it would be another function
EPS = 1e-5


def new_share(dt_s: Float[Tensor, "*bt"], half_life_s: Float[Tensor, "c"]) -> Tensor:
    """Weight of a frame in the running statistics that include it: (*bt, c) in (0, 1]."""
    return (LN2 * dt_s[..., None] / half_life_s).clamp(max=1)


def temporal_norm_step(
    x: Float[Tensor, "b c h w"],
    dt_s: Float[Tensor, "b"],
    half_life_s: Float[Tensor, "c"],
    gamma: Float[Tensor, "c"],
    beta: Float[Tensor, "c"],
    mean: Float[Tensor, "b c h w"],
    var: Float[Tensor, "b c h w"],
) -> tuple[Tensor, Tensor, Tensor]:
    """One frame standardised, with the mean and variance that include it."""
    per_channel = (-1, 1, 1)
    take = new_share(dt_s, half_life_s).view(x.shape[0], *per_channel)
    mean = torch.lerp(mean, x, take)
    centred = x - mean
    var = torch.lerp(var, centred * centred, take)
    scaled = centred * gamma.view(per_channel)
    return torch.addcdiv(beta.view(per_channel), scaled, (var + EPS).sqrt_()), mean, var


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
    out, mean, var = [], mean0, var0
    for t in range(x.shape[1]):
        y, mean, var = temporal_norm_step(x[:, t], dt_s[:, t], half_life_s, gamma, beta, mean, var)
        out.append(y)
    return torch.stack(out, dim=1), mean, var
