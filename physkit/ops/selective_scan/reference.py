"""The selective scan, one step at a time: the definition that every fast form is tested against."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def remaining(delta: Float[Tensor, "b t d"]) -> Float[Tensor, "b t d"]:
    """Sum of the later steps of each step, exact to the precision of `delta`."""
    later = delta.double().flip(1).cumsum(dim=1).flip(1) - delta.double()
    return later.to(delta.dtype)


def selective_scan(
    u: Float[Tensor, "b t d"],
    delta: Float[Tensor, "b t d"],
    a: Float[Tensor, "d n"],
    b_in: Float[Tensor, "b t n"],
    c_out: Float[Tensor, "b t n"],
    skip: Float[Tensor, "d"],
    *,
    floor: float = 0.0,
) -> Float[Tensor, "b t d"]:
    """y (b t d) of a whole sequence that starts from a state of zeros; see README.md."""
    h = u.new_zeros((*u.shape[::2], a.shape[1]))
    later = remaining(delta)
    out = []
    for t in range(u.shape[1]):
        drive = (delta[:, t] * u[:, t])[..., None] * b_in[:, t, None]
        h = torch.exp(delta[:, t, :, None] * a) * h + drive
        seen = h * torch.sigmoid(later[:, t, :, None] * a - math.log(floor)) if floor else h
        out.append((seen * c_out[:, t, None]).sum(dim=-1) + skip * u[:, t])
    return torch.stack(out, dim=1)
