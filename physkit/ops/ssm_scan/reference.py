"""The state-space recurrence, one frame at a time: the definition of every fast form."""

import torch
from jaxtyping import Float
from torch import Tensor


def ssm_step(
    x: Float[Tensor, "b h p"],
    delta: Float[Tensor, "b h"],
    a_real: Float[Tensor, "h"],
    a_imag: Float[Tensor, "h"],
    b_in: Float[Tensor, "b n"],
    c_out: Float[Tensor, "b n"],
    real: Float[Tensor, "b h p n"],
    imag: Float[Tensor, "b h p n"],
) -> tuple[Tensor, Tensor, Tensor]:
    """One sample: y (b h 2 p, real and imaginary part), then the state that includes it."""
    batch, heads, p = x.shape
    n = b_in.shape[-1]
    # Views in place of None in indices: half as many operators, each of which costs microseconds.
    delta = delta.view(batch, heads, 1, 1)
    decay, phase = torch.exp(delta * a_real.view(-1, 1, 1)), delta * a_imag.view(-1, 1, 1)
    cos, sin = decay * phase.cos(), decay * phase.sin()
    drive = delta * x.view(batch, heads, p, 1)
    # In place on fresh products: two new arrays instead of five, which would not stay in cache.
    real, imag = (
        (real * cos).addcmul_(imag, sin, value=-1).addcmul_(drive, b_in.view(batch, 1, 1, n)),
        (real * sin).addcmul_(imag, cos),
    )
    # One matrix-vector product over all heads: a batched one costs a call for each head.
    c_column, y = c_out.view(batch, n, 1), (batch, heads, 1, p)
    parts = [torch.bmm(z.view(batch, heads * p, n), c_column).view(y) for z in (real, imag)]
    return torch.cat(parts, dim=2), real, imag


def ssm_scan(
    x: Float[Tensor, "b t h p"],
    delta: Float[Tensor, "b t h"],
    a_real: Float[Tensor, "h"],
    a_imag: Float[Tensor, "h"],
    b_in: Float[Tensor, "b t n"],
    c_out: Float[Tensor, "b t n"],
    real0: Float[Tensor, "b h p n"],
    imag0: Float[Tensor, "b h p n"],
) -> tuple[Tensor, Tensor, Tensor]:
    """A clip: y (b t h 2 p), then the state (b h p n) after its last frame."""
    out, real, imag = [], real0, imag0
    for t in range(x.shape[1]):
        y, real, imag = ssm_step(
            x[:, t], delta[:, t], a_real, a_imag, b_in[:, t], c_out[:, t], real, imag
        )
        out.append(y)
    return torch.stack(out, dim=1), real, imag
