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
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """One sample: y_real and y_imag (b h p), then the state (b h p n) that includes it."""
    phase = delta * a_imag
    decay = torch.exp(delta * a_real)
    decay_real = (decay * torch.cos(phase))[..., None, None]
    decay_imag = (decay * torch.sin(phase))[..., None, None]
    drive = (delta[..., None] * x)[..., None]
    turned = torch.addcmul(real * decay_real, imag, decay_imag, value=-1)
    imag = torch.addcmul(real * decay_imag, imag, decay_real)
    real = torch.addcmul(turned, drive, b_in[:, None, None])
    c_column = c_out[:, None, :, None]
    return (real @ c_column).squeeze(-1), (imag @ c_column).squeeze(-1), real, imag


def ssm_scan(
    x: Float[Tensor, "b t h p"],
    delta: Float[Tensor, "b t h"],
    a_real: Float[Tensor, "h"],
    a_imag: Float[Tensor, "h"],
    b_in: Float[Tensor, "b t n"],
    c_out: Float[Tensor, "b t n"],
    real0: Float[Tensor, "b h p n"],
    imag0: Float[Tensor, "b h p n"],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A clip: y_real and y_imag (b t h p), then the state (b h p n) after its last frame."""
    y_real, y_imag, real, imag = [], [], real0, imag0
    for t in range(x.shape[1]):
        y_re, y_im, real, imag = ssm_step(
            x[:, t], delta[:, t], a_real, a_imag, b_in[:, t], c_out[:, t], real, imag
        )
        y_real.append(y_re)
        y_imag.append(y_im)
    return torch.stack(y_real, dim=1), torch.stack(y_imag, dim=1), real, imag
