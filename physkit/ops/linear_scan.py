"""First-order linear recurrences h_t = a_t h_{t-1} + u_t along time, without a loop over time."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def _scan_in_place(a: Tensor, u: Tensor) -> Tensor:
    """Brent-Kung scan of u (b t m c) by a (b t 1 c), overwriting u.

    2 t multiply-adds in 2 log2 t sweeps (the loops run over sweeps, not over time).
    The up-sweep stores at every 2^k-th frame the sum of its 2^k inputs, decayed to that frame;
    the down-sweep adds each finished frame to the one half a span later.
    """
    length = u.shape[1]
    decays = []
    span = 1
    while 2 * span <= length:
        ends, middles = (
            slice(2 * span - 1, None, 2 * span),
            slice(span - 1, length - span, 2 * span),
        )
        u[:, ends].addcmul_(a[:, ends], u[:, middles])
        decays.append(a)
        a = a.clone()
        a[:, ends] *= decays[-1][:, middles]
        span *= 2
    decays.append(a)
    while span >= 1:
        ends = slice(3 * span - 1, None, 2 * span)
        if 3 * span <= length:
            middles = slice(2 * span - 1, length - span, 2 * span)
            u[:, ends].addcmul_(decays[span.bit_length() - 1][:, ends], u[:, middles])
        span //= 2
    return u


class _LinearScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, u: Tensor, h0: Tensor) -> Tensor:
        u = u.clone()  # not marked as overwritten instead, which torch.compile cannot trace
        u[:, 0].addcmul_(a[:, 0], h0)
        h = _scan_in_place(a, u)
        ctx.save_for_backward(a, h, h0)
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # The adjoint runs the same recurrence from the end: g_t = grad_t + a_{t+1} g_{t+1}.
        a, h, h0 = ctx.saved_tensors
        a_next = torch.cat([a[:, 1:], torch.zeros_like(a[:, :1])], dim=1)
        g = _scan_in_place(a_next.flip(1), grad_h.flip(1)).flip(1)
        before = torch.cat([h0[:, None], h[:, :-1]], dim=1)
        return (g * before).sum(dim=2, keepdim=True), g, a[:, 0] * g[:, 0]


def linear_scan(
    a: Float[Tensor, "b t 1 c"], u: Float[Tensor, "b t m c"], h0: Float[Tensor, "b m c"]
) -> Float[Tensor, "b t m c"]:
    """h_t = a_t h_{t-1} + u_t for every t, starting from h0; first-order gradients to all three."""
    h: Tensor = _LinearScan.apply(a, u, h0)  # type: ignore[no-untyped-call]
    return h
