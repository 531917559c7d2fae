"""Shared by the Triton ops: where kernels may run, and the dtype in which they compute."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
import triton
from torch import Tensor

from physkit.core.errors import BackendError

Shape = Sequence[int]


def require_shapes(**expected: tuple[Tensor, Shape]) -> None:
    """ValueError that names the first tensor of another shape: a kernel would read beyond it."""
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != tuple(shape):
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}; expected {tuple(shape)}")


def accumulator(*tensors: Tensor) -> torch.dtype:
    """The dtype of a recurrence over these: float64 where one of them is, else float32."""
    wide = any(tensor.dtype == torch.float64 for tensor in tensors)
    return torch.float64 if wide else torch.float32


def launch(kernel: Any, grid: Shape, *args: Any, **options: Any) -> None:
    """Run `kernel` over `grid`, on the device of its tensors.

    Raises BackendError for tensors on a CPU, unless Triton's interpreter runs the kernel.
    """
    first, *others = (arg for arg in args if isinstance(arg, Tensor))
    if first.device.type == "cpu" and isinstance(kernel, triton.JITFunction):
        raise BackendError(
            "backend 'triton' needs a GPU, and these tensors are on the CPU: move them to a GPU, "
            "choose another backend, or set TRITON_INTERPRET=1 before Python starts (exact, slow)"
        )
    for tensor in others:
        if tensor.device != first.device:
            raise ValueError(f"tensors on two devices: {first.device} and {tensor.device}")
    if not all(tensor.is_contiguous() for tensor in (first, *others)):
        raise ValueError("a kernel was handed a tensor that is not contiguous")
    # Triton launches on the current device, whichever one that is.
    with torch.cuda.device(first.device) if first.is_cuda else nullcontext():
        kernel[tuple(grid)](*args, enable_fp_fusion=True, **options)


def register_backward(forward: Any, backward: Any, *, n_kept: int) -> None:
    """Make one op the gradient of another, whose last output (borders) only `backward` reads.

    `backward` takes the first `n_kept` inputs of `forward`, the borders, and gradients to the
    other outputs: contiguous, and zeros where there is no gradient.
    """

    def keep(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.set_materialize_grads(False)  # no zeros for the borders, which nothing reads
        *outputs, borders = output
        ctx.save_for_backward(*inputs[:n_kept], borders)
        ctx.shapes = [z.shape for z in outputs]

    def gradients(ctx: Any, *grads: Tensor | None) -> Any:
        borders = ctx.saved_tensors[-1]
        filled = (
            borders.new_zeros(shape) if grad is None else grad.contiguous()
            for grad, shape in zip(grads[:-1], ctx.shapes, strict=True)
        )
        return backward(*ctx.saved_tensors, *filled)

    forward.register_autograd(gradients, setup_context=keep)
