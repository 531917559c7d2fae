"""A linear layer, relu6 and the mean over space in C++ on a CPU; same function as reference.py.

The wide activations are not stored: the backward pass computes them again.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from physkit.ops.native.call import OnCPU, arithmetic_dtype, native_call, run_op, storage_dtype


def _compute(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x (n p i), weight (o i), bias (o): (n o)."""
    y = weight.new_empty(x.shape[0], weight.shape[0])
    native_call("expand_pool", "forward", x.dtype, (*x.shape, weight.shape[0]))(x, weight, bias, y)
    return y


_forward = torch.library.custom_op(
    "physkit::expand_pool_native", _compute, mutates_args=(), device_types="cpu"
)


@torch.library.custom_op("physkit::expand_pool_native_backward", mutates_args=())
def _backward(
    x: Tensor, weight: Tensor, bias: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, weight and bias."""
    grads = torch.empty_like(x), torch.empty_like(weight), torch.empty_like(bias)
    sizes = (*x.shape, weight.shape[0])
    native_call("expand_pool", "backward", x.dtype, sizes)(x, weight, bias, grad, *grads)
    return grads


@_forward.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return weight.new_empty(x.shape[0], weight.shape[0])


@_backward.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(weight), torch.empty_like(bias)


def _keep(ctx: OnCPU, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: OnCPU, grad: Tensor) -> tuple[Tensor, ...]:
    grads: tuple[Tensor, ...] = _backward(*ctx.saved_tensors, grad.contiguous())
    return grads


_forward.register_autograd(_gradients, setup_context=_keep)


def expand_pool(
    x: Float[Tensor, "*b i h w"], weight: Float[Tensor, "o i"], bias: Float[Tensor, "o"]
) -> Float[Tensor, "*b o"]:
    """The mean over positions of relu6(weight x + bias).

    x may be of half precision; the result is float32 then.
    """
    dtype = arithmetic_dtype(x.dtype)
    x = x.to(storage_dtype(x.dtype))
    frames = x.movedim(-3, -1).flatten(-3, -2).flatten(0, -3).contiguous()
    y: Tensor = run_op(
        _forward, _compute, frames, weight.to(dtype).contiguous(), bias.to(dtype).contiguous()
    )
    return y.view(*x.shape[:-3], -1)
