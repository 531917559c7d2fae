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
    delta, x = delta[..., None, None], x[..., None]
    decay, phase = torch.exp(delta * a_real[:, None, None]), delta * a_imag[:, None, None]
    cos, sin = decay * phase.cos(), decay * phase.sin()
    turned = torch.addcmul(real * cos, imag, sin, value=-1)
    imag = torch.addcmul(real * sin, imag, cos)
    real = torch.addcmul(turned, delta * x, b_in[:, None, None])
    # One matrix-vector product over all heads: a batched one costs a call for each head.
    c_column = c_out[..., None]
    y = [torch.bmm(z.flatten(1, 2), c_column).view(x.shape[:3]) for z in (real, imag)]
    return torch.stack(y, dim=2), real, imag


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
