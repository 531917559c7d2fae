"""The state-space recurrence over a clip in compiled C++ on a CPU; same function as reference.py.

A head's state stays in the innermost cache through all frames. The forward pass keeps the states
before every few frames, and the backward pass computes those between them again.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from physkit.ops.native.build import library
from physkit.ops.native.call import OnCPU, arithmetic_dtype, native_call, run_op


def _sizes(x: Tensor, b_in: Tensor) -> tuple[int, ...]:
    return (*x.shape, b_in.shape[-1])


def _compute(
    x: Tensor,
    delta: Tensor,
    a_real: Tensor,
    a_imag: Tensor,
    b_in: Tensor,
    c_out: Tensor,
    real0: Tensor,
    imag0: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """y (b t h 2 p), the last state, and the states that the backward pass starts from."""
    y, borders = _outputs(x, b_in, library("ssm_scan").ssm_scan_segment())
    real, imag = real0.clone(), imag0.clone()
    native_call("ssm_scan", "forward", x.dtype, _sizes(x, b_in))(
        x, delta, a_real, a_imag, b_in, c_out, y, real, imag, borders
    )
    return y, real, imag, borders


def _outputs(x: Tensor, b_in: Tensor, segment: int) -> tuple[Tensor, Tensor]:
    batch, frames, heads, p = x.shape
    y = x.new_empty(batch, frames, heads, 2, p)
    return y, x.new_empty(batch, heads, -(-frames // segment), 2, p, b_in.shape[-1])


_forward = torch.library.custom_op(
    "physkit::ssm_scan_native", _compute, mutates_args=(), device_types="cpu"
)


@torch.library.custom_op("physkit::ssm_scan_native_backward", mutates_args=(), device_types="cpu")
def _backward(
    x: Tensor,
    delta: Tensor,
    a_real: Tensor,
    a_imag: Tensor,
    b_in: Tensor,
    c_out: Tensor,
    borders: Tensor,
    grad_y: Tensor,
    grad_real: Tensor,
    grad_imag: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, delta, (b_in, c_out, a_real, a_imag) in one row, real0, imag0."""
    grad_x, grad_delta = torch.empty_like(x), torch.empty_like(delta)
    grad_row = x.new_empty(2 * b_in.numel() + 2 * a_real.numel())
    grad_real, grad_imag = grad_real.clone(), grad_imag.clone()
    native_call("ssm_scan", "backward", x.dtype, _sizes(x, b_in))(
        *(x, delta, a_real, a_imag, b_in, c_out, borders, grad_y),
        *(grad_x, grad_delta, grad_row, grad_real, grad_imag),
    )
    return grad_x, grad_delta, grad_row, grad_real, grad_imag


@_forward.register_fake
def _(
    x: Tensor,
    delta: Tensor,
    a_real: Tensor,
    a_imag: Tensor,
    b_in: Tensor,
    c_out: Tensor,
    real0: Tensor,
    imag0: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    y, borders = _outputs(x, b_in, library("ssm_scan").ssm_scan_segment())
    return y, torch.empty_like(real0), torch.empty_like(imag0), borders


@_backward.register_fake
def _(
    x: Tensor,
    delta: Tensor,
    a_real: Tensor,
    a_imag: Tensor,
    b_in: Tensor,
    c_out: Tensor,
    borders: Tensor,
    grad_y: Tensor,
    grad_real: Tensor,
    grad_imag: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    row = x.new_empty(2 * b_in.numel() + 2 * a_real.numel())
    states = torch.empty_like(grad_real), torch.empty_like(grad_imag)
    return torch.empty_like(x), torch.empty_like(delta), row, *states


def _keep(ctx: OnCPU, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:6], output[3])


def _gradients(
    ctx: OnCPU, grad_y: Tensor, grad_real: Tensor, grad_imag: Tensor, _: Tensor
) -> tuple[Tensor, ...]:
    x, delta, a_real, a_imag, b_in, c_out, borders = ctx.saved_tensors
    grad_x, grad_delta, row, grad_real, grad_imag = _backward(
        *(x, delta, a_real, a_imag, b_in, c_out, borders),
        *(z.contiguous() for z in (grad_y, grad_real, grad_imag)),
    )
    parts = row.split([b_in.numel(), c_out.numel(), a_real.numel(), a_imag.numel()])
    grad_b, grad_c = parts[0].view_as(b_in), parts[1].view_as(c_out)
    return grad_x, grad_delta, parts[2], parts[3], grad_b, grad_c, grad_real, grad_imag


_forward.register_autograd(_gradients, setup_context=_keep)


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
    inputs = (x, delta, a_real, a_imag, b_in, c_out, real0, imag0)
    dtype = arithmetic_dtype(x.dtype)
    y, real, imag, _ = run_op(_forward, _compute, *(z.to(dtype).contiguous() for z in inputs))
    return y, real, imag
