"""Layers that torch has and flax calls otherwise, under torch's names; and their loading."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array, lax

from physkit.core.errors import WeightsError

LAYOUT = ("NHWC", "HWIO", "NHWC")
"""Of a convolution's input, weight and output; torch's weights are OIHW."""


class Linear(nnx.Module):
    """An affine map of the last axis; weight (out in), as in torch."""

    def __init__(self, n_in: int, n_out: int, *, bias: bool = True) -> None:
        self.weight = nnx.Param(jnp.zeros((n_out, n_in)))
        if bias:
            self.bias = nnx.Param(jnp.zeros(n_out))

    def __call__(self, x: Array) -> Array:
        y = x @ self.weight[...].T
        return y + self.bias[...] if hasattr(self, "bias") else y


class Conv2d(nnx.Module):
    """A convolution of channels into as many, over (b h w c); weight (h w in out)."""

    def __init__(
        self, channels: int, kernel_size: int, *, stride: int = 1, padding: int = 0
    ) -> None:
        self.stride, self.padding = stride, padding
        self.weight = nnx.Param(jnp.zeros((kernel_size, kernel_size, channels, channels)))
        self.bias = nnx.Param(jnp.zeros(channels))

    def __call__(self, x: Array) -> Array:
        padding, strides = [(self.padding, self.padding)] * 2, (self.stride, self.stride)
        weight = self.weight[...]
        y = lax.conv_general_dilated(x, weight, strides, padding, dimension_numbers=LAYOUT)
        return y + self.bias[...]


def relu6(x: Array) -> Array:
    """x, cut at 0 and at 6."""
    return jnp.clip(x, 0, 6)


def load_arrays(module: nnx.Module, arrays: Mapping[str, np.ndarray], *, path: str) -> None:
    """Give every parameter of `module` the array of its dotted name, in the array's dtype.

    arrays: of torch's `state_dict`; weights of convolutions are moved from OIHW to HWIO.
    path: whence they come, for errors. Raises WeightsError unless names and shapes are the same.
    """
    own = {".".join(map(str, name)): x for name, x in nnx.to_flat_state(nnx.state(module))}
    other = sorted(own.keys() ^ arrays.keys())
    if other:
        raise WeightsError(
            f"{path}: weights of another model ('{other[0]}'); give a FacePhys of this size"
        )
    for name, parameter in own.items():
        array = np.asarray(arrays[name])
        array = array.transpose(2, 3, 1, 0) if _is_kernel(name, array) else array
        if array.shape != parameter.shape:
            raise WeightsError(
                f"{path}: '{name}' is {array.shape}, this model's {parameter.shape}; "
                "give a FacePhys of this size"
            )
        parameter.set_value(jnp.asarray(array))


def _is_kernel(name: str, array: np.ndarray) -> bool:
    return name.endswith(".weight") and array.ndim == 4
