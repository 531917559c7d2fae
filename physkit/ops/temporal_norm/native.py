"""TemporalNorm over a clip in compiled C++ on a CPU; same function as reference.py.

One pass over memory forwards, one backwards: the statistics of a few positions stay in cache
through all frames, and the backward pass computes them again from the frames.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from physkit.ops.native.call import OnCPU, arithmetic_dtype, native_call, run_op, storage_dtype
from physkit.ops.temporal_norm.reference import EPS, new_share


def _compute(
    x: Tensor, take: Tensor, gamma: Tensor, beta: Tensor, mean0: Tensor, var0: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """x (b t p c), take (b t c), statistics (b p c): y, and the statistics after the last frame."""
    y, mean, var = torch.empty_like(x), mean0.clone(), var0.clone()
    native_call("temporal_norm", "forward", x.dtype, x.shape, EPS)(
        x, take, gamma, beta, y, mean, var
    )
    return y, mean, var


_forward = torch.library.custom_op(
    "physkit::temporal_norm_native", _compute, mutates_args=(), device_types="cpu"
)


@torch.library.custom_op("physkit::temporal_norm_native_backward", mutates_args=())
def _backward(
    x: Tensor,
    take: Tensor,
    gamma: Tensor,
    mean0: Tensor,
    var0: Tensor,
    grad_y: Tensor,
    grad_mean: Tensor,
    grad_var: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, take, gamma and beta (2 c), mean0, var0."""
    grad_x, grad_take = torch.empty_like(x), torch.empty_like(take)
    grad_scale = take.new_empty(2, take.shape[-1])
    grad_mean, grad_var = grad_mean.clone(), grad_var.clone()
    native_call("temporal_norm", "backward", x.dtype, x.shape, EPS)(
        x, take, gamma, mean0, var0, grad_y, grad_x, grad_mean, grad_var, grad_take, grad_scale
    )
    return grad_x, grad_take, grad_scale, grad_mean, grad_var


@_forward.register_fake
def _(
    x: Tensor, take: Tensor, gamma: Tensor, beta: Tensor, mean0: Tensor, var0: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(mean0), torch.empty_like(var0)


@_backward.register_fake
def _(
    x: Tensor,
    take: Tensor,
    gamma: Tensor,
    mean0: Tensor,
    var0: Tensor,
    grad_y: Tensor,
    grad_mean: Tensor,
    grad_var: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    scale = take.new_empty(2, take.shape[-1])
    moments = torch.empty_like(mean0), torch.empty_like(var0)
    return torch.empty_like(x), torch.empty_like(take), scale, *moments


def _keep(ctx: OnCPU, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    x, take, gamma, _, mean0, var0 = inputs
    ctx.save_for_backward(x, take, gamma, mean0, var0)


def _gradients(
    ctx: OnCPU, grad_y: Tensor, grad_mean: Tensor, grad_var: Tensor
) -> tuple[Tensor, ...]:
    x, take, gamma, mean0, var0 = ctx.saved_tensors
    grad_x, grad_take, grad_scale, grad_mean, grad_var = _backward(
        *(x, take, gamma, mean0, var0),
        *(z.contiguous() for z in (grad_y, grad_mean, grad_var)),
    )
    return grad_x, grad_take, grad_scale[0], grad_scale[1], grad_mean, grad_var


_forward.register_autograd(_gradients, setup_context=_keep)


def temporal_norm(
    x: Float[Tensor, "b t c h w"],
    dt_s: Float[Tensor, "b t"],
    half_life_s: Float[Tensor, "c"],
    gamma: Float[Tensor, "c"],
    beta: Float[Tensor, "c"],
    mean0: Float[Tensor, "b c h w"],
    var0: Float[Tensor, "b c h w"],
) -> tuple[Float[Tensor, "b t c h w"], Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
    """A clip standardised causally: y, and the mean and variance after its last frame.

    x may be of half precision; statistics are float32 then.
    """
    height = x.shape[-2]
    dtype = arithmetic_dtype(x.dtype)
    small = (new_share(dt_s.to(dtype), half_life_s.to(dtype)), gamma.to(dtype), beta.to(dtype))
    y, mean, var = run_op(
        _forward,
        _compute,
        rearrange(x.to(storage_dtype(x.dtype)), "b t c h w -> b t (h w) c").contiguous(),
        *(z.contiguous() for z in small),
        *(rearrange(z.to(dtype), "b c h w -> b (h w) c").contiguous() for z in (mean0, var0)),
    )
    return (
        rearrange(y.to(x.dtype), "b t (h w) c -> b t c h w", h=height),
        rearrange(mean, "b (h w) c -> b c h w", h=height),
        rearrange(var, "b (h w) c -> b c h w", h=height),
    )
