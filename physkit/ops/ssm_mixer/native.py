"""The Mamba-2 block between its projections in compiled C++ on a CPU; same function as composed.py.

One operator in place of about 40 forwards and 60 backwards. At a few hundred values a frame,
calling an operator costs more than its arithmetic.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from physkit.ops.native.build import library
from physkit.ops.native.call import OnCPU, arithmetic_dtype, native_call, run_op
from physkit.ops.ssm_mixer.composed import CONV_WIDTH, NORM_EPS


class _Kept(NamedTuple):
    """Tensors of the forward pass that the backward pass needs."""

    inputs: Tensor
    """Inputs of the scan."""
    y: Tensor
    """Output of the scan, before skip, gate and norm."""
    scale: Tensor
    """1 / root mean square of each frame."""
    borders: Tensor
    """States before every few frames."""


def _kept(u: Tensor, real0: Tensor) -> _Kept:
    batch, frames = u.shape[:2]
    heads, p, n = real0.shape[1:]
    segments = -(-frames // library("ssm_scan").ssm_scan_segment())
    return _Kept(
        u.new_empty(batch * frames * (heads * p + 2 * n + heads)),
        u.new_empty(batch, frames, 2 * heads * p),
        u.new_empty(batch, frames),
        u.new_empty(batch, heads, segments, 2, p, n),
    )


def _call(direction: str, u: Tensor, real0: Tensor, *tensors: Tensor) -> None:
    sizes = (*u.shape[:2], *real0.shape[1:])
    native_call("ssm_mixer", direction, u.dtype, sizes, NORM_EPS)(*tensors)


def _compute(
    u: Tensor,
    span: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    dt_bias: Tensor,
    a_real: Tensor,
    a_imag: Tensor,
    skip: Tensor,
    norm_weight: Tensor,
    rows0: Tensor,
    real0: Tensor,
    imag0: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    kept = _kept(u, real0)
    out, rows = torch.empty_like(kept.y), torch.empty_like(rows0)
    real, imag = real0.clone(), imag0.clone()
    parameters = (conv_weight, conv_bias, dt_bias, a_real, a_imag, skip, norm_weight)
    _call("forward", u, real0, u, rows0, span, *parameters, out, rows, real, imag, *kept)
    return out, rows, real, imag, *kept


_forward = torch.library.custom_op(
    "physkit::ssm_mixer_native", _compute, mutates_args=(), device_types="cpu"
)


@torch.library.custom_op("physkit::ssm_mixer_native_backward", mutates_args=(), device_types="cpu")
def _backward(
    u: Tensor,
    span: Tensor,
    conv_weight: Tensor,
    dt_bias: Tensor,
    a_real: Tensor,
    a_imag: Tensor,
    skip: Tensor,
    norm_weight: Tensor,
    rows0: Tensor,
    inputs: Tensor,
    y: Tensor,
    scale: Tensor,
    borders: Tensor,
    grad_out: Tensor,
    grad_rows: Tensor,
    grad_real: Tensor,
    grad_imag: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of u, span, all parameters in one row, and the first rows and states."""
    parameters = (conv_weight, dt_bias, a_real, a_imag, skip, norm_weight)
    grad_u, grad_span, grad_rows0 = (torch.empty_like(z) for z in (u, span, rows0))
    small = u.new_empty(sum(z.numel() for z in parameters) + conv_weight.shape[1])
    grad_real, grad_imag = grad_real.clone(), grad_imag.clone()
    _call(
        *("backward", u, grad_real, u, rows0, span, *parameters, inputs, y, scale, borders),
        *(grad_out, grad_rows, grad_u, grad_rows0, grad_span, small, grad_real, grad_imag),
    )
    return grad_u, grad_span, small, grad_rows0, grad_real, grad_imag


@_forward.register_fake
def _(
    u: Tensor,
    span: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    dt_bias: Tensor,
    a_real: Tensor,
    a_imag: Tensor,
    skip: Tensor,
    norm_weight: Tensor,
    rows0: Tensor,
    real0: Tensor,
    imag0: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    kept = _kept(u, real0)
    last = (torch.empty_like(z) for z in (kept.y, rows0, real0, imag0))
    return (*last, *kept)  # type: ignore[return-value]


@_backward.register_fake
def _(
    u: Tensor,
    span: Tensor,
    conv_weight: Tensor,
    dt_bias: Tensor,
    a_real: Tensor,
    a_imag: Tensor,
    skip: Tensor,
    norm_weight: Tensor,
    rows0: Tensor,
    inputs: Tensor,
    y: Tensor,
    scale: Tensor,
    borders: Tensor,
    grad_out: Tensor,
    grad_rows: Tensor,
    grad_real: Tensor,
    grad_imag: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    parameters = (conv_weight, dt_bias, a_real, a_imag, skip, norm_weight)
    small = u.new_empty(sum(z.numel() for z in parameters) + conv_weight.shape[1])
    first = (torch.empty_like(z) for z in (rows0, grad_real, grad_imag))
    return (torch.empty_like(u), torch.empty_like(span), small, *first)  # type: ignore[return-value]


def _keep(ctx: OnCPU, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    u, span, conv_weight, _, *others = inputs
    ctx.save_for_backward(u, span, conv_weight, *others[:-2], *output[4:])


def _gradients(ctx: OnCPU, *grads: Tensor) -> tuple[Tensor, ...]:
    kept = ctx.saved_tensors  # once: checkpointing does not return saved tensors a second time
    conv_weight, dt_bias, a_real, a_imag, skip, norm_weight = kept[2:8]
    grad_u, grad_span, small, *grad_first = _backward(*kept, *(z.contiguous() for z in grads[:4]))
    parameters = (conv_weight, conv_weight[0], dt_bias, a_real, a_imag, skip, norm_weight)
    parts = small.split([z.numel() for z in parameters])
    grad_parameters = (part.view_as(z) for part, z in zip(parts, parameters, strict=True))
    return grad_u, grad_span, *grad_parameters, *grad_first


_forward.register_autograd(_gradients, setup_context=_keep)


def ssm_mixer(*inputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Output (b t d2), and the rows and the complex state after the last frame; see composed.py."""
    if inputs[2].shape[0] != CONV_WIDTH:
        raise ValueError(f"ssm_mixer: convolution of width {inputs[2].shape[0]}, not {CONV_WIDTH}")
    dtype = arithmetic_dtype(inputs[0].dtype)
    out, rows, real, imag, *_ = run_op(
        _forward, _compute, *(z.to(dtype).contiguous() for z in inputs)
    )
    return out, rows, real, imag
