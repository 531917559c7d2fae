"""Calling a compiled op with tensors."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from physkit.ops.native.build import library

SUFFIXES = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}


class OnCPU(Protocol):
    """The context that autograd passes to the gradient of an op."""

    saved_tensors: tuple[Tensor, ...]

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keeps tensors for the backward pass."""


def arithmetic_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which tensors of `dtype` are computed."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def storage_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype in which compiled ops read tensors of `dtype`: float16 is converted to float32."""
    return dtype if dtype in SUFFIXES else torch.float32


def run_op(op: Callable[..., Any], plain: Callable[..., Any], *tensors: Tensor) -> Any:
    """`plain` of the tensors, through `op`, torch's operator around it, only where that is needed:
    for a gradient, or for a tracer.

    The first call of an operator imports the tracer of `torch.compile`, which takes seconds.
    """
    if torch.compiler.is_compiling():
        return op(*tensors)
    needs_gradient = torch.is_grad_enabled() and any(z.requires_grad for z in tensors)
    is_traced = any(type(z) not in (Tensor, nn.Parameter) for z in tensors)
    return (op if needs_gradient or is_traced else plain)(*tensors)


def native_call(
    op: str, direction: str, dtype: torch.dtype, sizes: Sequence[int], *numbers: float
) -> Callable[..., None]:
    """The compiled function of `op` for tensors of `dtype`, with its sizes and numbers filled in.

    It takes contiguous CPU tensors and passes their addresses; the C++ code does not check them.
    """
    function = getattr(library(op), f"{op}_{direction}_{SUFFIXES[dtype]}")
    first = [ctypes.c_int64(size) for size in sizes] + [ctypes.c_double(x) for x in numbers]

    def call(*tensors: Tensor) -> None:
        for tensor in tensors:
            if not tensor.is_contiguous() or tensor.device.type != "cpu":
                raise ValueError(f"{op}: a tensor {tuple(tensor.shape)} is not contiguous on a CPU")
        function(*first, *(ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors))

    return call
