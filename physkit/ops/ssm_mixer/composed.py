"""The Mamba-2 block between its projections, in torch, around any form of the scan."""

from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from physkit.ops.ssm_scan import chunked, reference

CONV_WIDTH = 4
MAX_STEP = 6.0
NORM_EPS = 9.999999747378752e-06  # 1e-5 rounded to float32: the same in every precision


def composed(
    scan: Callable[..., tuple[Tensor, Tensor, Tensor]],
    u: Float[Tensor, "b t k"],
    span: Float[Tensor, "b t"],
    conv_weight: Float[Tensor, "4 c"],
    conv_bias: Float[Tensor, "c"],
    dt_bias: Float[Tensor, "h"],
    a_real: Float[Tensor, "h"],
    a_imag: Float[Tensor, "h"],
    skip: Float[Tensor, "h2"],
    norm_weight: Float[Tensor, "d2"],
    rows0: Float[Tensor, "b 4 c"],
    real0: Float[Tensor, "b h p n"],
    imag0: Float[Tensor, "b h p n"],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Output (b t d2), and the rows and the complex state after the last frame.

    u: gate (d2), convolution input (c = d + 2 n) and raw step (h) of every frame, d = h p and
    d2 = 2 d. span: length of each frame in steps of 1/30 s, the published unit.
    """
    heads, p, n = real0.shape[1:]
    gate, new_rows, dt = u.split_with_sizes([2 * heads * p, heads * p + 2 * n, heads], dim=-1)
    rows = torch.cat([rows0, new_rows], dim=1)
    mixed = F.conv1d(
        rearrange(rows[:, 1:], "b t c -> b c t"),
        rearrange(conv_weight, "k c -> c 1 k"),
        conv_bias,
        groups=rows.shape[-1],
    )
    mixed = F.relu6(rearrange(mixed, "b c t -> b t c"))
    x, b_in, c_out = mixed.split_with_sizes([heads * p, n, n], dim=-1)
    x = rearrange(x, "b t (h p) -> b t h p", h=heads)
    delta = (dt + dt_bias).exp().clamp(max=MAX_STEP) * span[..., None]
    y, real, imag = scan(x, delta, a_real, a_imag, b_in, c_out, real0, imag0)
    parts = torch.stack([y[..., 0, :] + x * skip[::2, None], y[..., 1, :]], dim=-2)
    y = F.rms_norm(parts.flatten(-3) * F.relu6(gate), norm_weight.shape, norm_weight, NORM_EPS)
    return y, rows[:, -CONV_WIDTH:].clone(), real, imag


def around_reference(*inputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`composed` around the definition of the scan, a loop over time."""
    return composed(reference.ssm_scan, *inputs)


def around_chunked(*inputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`composed` around the scan as matrix products."""
    return composed(chunked.ssm_scan, *inputs)
