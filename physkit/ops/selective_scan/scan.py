"""The selective scan by work-efficient scans over pieces; same function as reference.py."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from physkit.ops.linear_scan import linear_scan
from physkit.ops.selective_scan.reference import remaining

PIECE_VALUES = 1 << 20
"""State values that are worked through at once: more would not stay in the caches."""
NEGLIGIBLE = 1e-13
"""What is seen of a state, beside which it is left out."""


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
    length, later = u.shape[1], remaining(delta)
    if torch.compiler.is_exporting():
        return _exported(u, delta, a, b_in, c_out, skip, later, floor)
    first = _first_seen(later, a, floor) if floor else 0
    piece = max(1, PIECE_VALUES // (u.shape[0] * a.numel()))
    h = u.new_zeros((u.shape[0], 1, a.numel()))
    pieces = [u.new_zeros((u.shape[0], first, u.shape[2]))]
    for start in range(first, length, piece):
        at = slice(start, start + piece)
        decay = (delta[:, at, :, None] * a).exp()
        drive = (delta[:, at] * u[:, at])[..., None] * b_in[:, at, None]
        states = linear_scan(decay.flatten(2)[:, :, None], drive.flatten(2)[:, :, None], h)
        h = states[:, -1]
        seen = states.view(drive.shape)
        if floor:
            seen = seen * (later[:, at, :, None] * a - math.log(floor)).sigmoid()
        pieces.append((seen @ c_out[:, at, :, None])[..., 0])
    return torch.cat(pieces, dim=1) + skip * u


def _first_seen(later: Tensor, a: Tensor, floor: float) -> int:
    """The first step of which any state is seen; what lies before it changes nothing."""
    slowest = (later.detach() * a.detach().amax(dim=1)).amax(dim=(0, 2))
    return int((slowest < math.log(floor * NEGLIGIBLE)).sum())


def _exported(
    u: Tensor,
    delta: Tensor,
    a: Tensor,
    b_in: Tensor,
    c_out: Tensor,
    skip: Tensor,
    later: Tensor,
    floor: float,
) -> Tensor:
    """The same by doubling, in operators that every runtime has; each sweep reads all states."""
    decay = (delta[..., None] * a).exp()
    states = (delta * u)[..., None] * b_in[:, :, None]
    span, length = 1, u.shape[1]
    while span < length:
        states = torch.cat(
            [states[:, :span], states[:, span:] + decay[:, span:] * states[:, :-span]], dim=1
        )
        decay = torch.cat([decay[:, :span], decay[:, span:] * decay[:, :-span]], dim=1)
        span *= 2
    if floor:
        states = states * (later[..., None] * a - math.log(floor)).sigmoid()
    return (states @ c_out[..., None])[..., 0] + skip * u
