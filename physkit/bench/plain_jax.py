"""The step as the paper writes it, under `jax.jit`: what the deployed form in JAX is compared with.

It follows `FacePhys.step` line by line, with channels last and the weights as constants.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float
from torch import Tensor, nn

from physkit.bench.lap import SECONDS_A_FRAME
from physkit.bench.released import Clip
from physkit.models.facephys.blocks import Block, SSConv
from physkit.models.facephys.network import FacePhys
from physkit.nn.ssm import NOMINAL_FPS, SSM
from physkit.nn.temporal_norm import TemporalNorm
from physkit.ops.ssm_mixer.composed import MAX_STEP, NORM_EPS
from physkit.ops.temporal_norm.reference import EPS, LN2

State = Any
"""As the network's own, of JAX arrays."""


def plain_jax(net: FacePhys, clip: Clip) -> Callable[[], None]:
    """One pass of the step over `clip`, its states fed back every frame."""
    step, dt_s = jitted_step(net), np.full(1, SECONDS_A_FRAME, dtype=np.float32)

    def run() -> None:
        state = first_state(net)
        for frame in clip:
            pulse, state = step(frame[None], state, dt_s)
            float(pulse[0])

    return run


def first_state(net: FacePhys) -> State:
    """The learned state before the first frame."""
    return jax.tree.map(_array, net.init_state(1))


def jitted_step(net: FacePhys) -> Callable[..., tuple[Array, State]]:
    """Called with a frame (1 h w 3), a state, which it uses up, and dt_s (1)."""
    return jax.jit(partial(_step, net), donate_argnums=1)


def _step(
    net: FacePhys, x: Float[Array, "b h w 3"], state: State, dt_s: Float[Array, "b"]
) -> tuple[Float[Array, "b"], State]:
    states, convs, head = iter(state.convs), [], []
    for block in net.blocks:
        x = residual = _linear(block.project, x)
        for conv in block.convs:
            x, conv_state = _ssconv(conv, x, dt_s, next(states))
            convs.append(conv_state)
        x = _halved(block, x + residual)
    y = _linear(net.head_in, x.mean(axis=(-3, -2)))
    for ssm, before in zip(net.head, state.head, strict=True):
        y, ssm_state = _ssm(ssm, y, dt_s, before)
        head.append(ssm_state)
    return _linear(net.head_out, y)[..., 0], state._replace(convs=tuple(convs), head=tuple(head))


def _ssconv(conv: SSConv, x: Array, dt_s: Array, state: State) -> tuple[Array, State]:
    normed, norm = _temporal_norm(conv.norm, x, dt_s, state.norm)
    wide = _relu6(_linear(conv.expand, _conv2d(conv.conv_in, normed)))
    steer, ssm = _ssm(conv.ssm, wide.mean(axis=(-3, -2)), dt_s, state.ssm)
    steered = normed + _linear(conv.steer, steer)[..., None, None, :]
    return _relu6(_conv2d(conv.conv_out, steered)), state._replace(ssm=ssm, norm=norm)


def _temporal_norm(
    norm: TemporalNorm, x: Float[Array, "b h w c"], dt_s: Float[Array, "b"], state: State
) -> tuple[Array, State]:
    take = LN2 * dt_s[:, None, None, None] / jnp.exp(_array(norm.log_half_life))
    take = jnp.minimum(take, 1)
    mean = state.mean + take * (x - state.mean)
    off = x - mean
    var = state.var + take * (off * off - state.var)
    y = _array(norm.gamma) * off / jnp.sqrt(var + EPS) + _array(norm.beta)
    return y, state._replace(mean=mean, var=var)


def _ssm(
    ssm: SSM, u: Float[Array, "b d"], dt_s: Float[Array, "b"], state: State
) -> tuple[Float[Array, "b d"], State]:
    d, n = ssm.d_inner, ssm.d_state
    gate, row, dt = jnp.split(_linear(ssm.in_proj, u), [2 * d, 3 * d + 2 * n], axis=-1)
    rows = jnp.concatenate([state.rows[:, 1:], row[:, None]], axis=1)
    mixed = _relu6((rows * _array(ssm.conv_weight)).sum(axis=1) + _array(ssm.conv_bias))
    x, b_in, c_out = jnp.split(mixed, [d, d + n], axis=-1)
    x = x.reshape(-1, ssm.n_heads, ssm.head_dim)
    delta = jnp.minimum(jnp.exp(dt + _array(ssm.dt_bias)), MAX_STEP)
    delta = (delta * dt_s[:, None] * NOMINAL_FPS)[..., None, None]
    decay = jnp.exp(-delta * jnp.exp(_array(ssm.a_log_real))[:, None, None])
    phase = delta * _array(ssm.a_imag)[:, None, None]
    cos, sin = decay * jnp.cos(phase), decay * jnp.sin(phase)
    real = cos * state.real - sin * state.imag + delta * x[..., None] * b_in[:, None, None]
    imag = sin * state.real + cos * state.imag
    read = [jnp.einsum("bhpn,bn->bhp", z, c_out) for z in (real, imag)]
    y = jnp.stack([read[0] + _array(ssm.skip)[::2, None] * x, read[1]], axis=2)
    y = y.reshape(gate.shape) * _relu6(gate)
    y = y * lax.rsqrt((y * y).mean(axis=-1, keepdims=True) + NORM_EPS) * _array(ssm.norm_weight)
    return _linear(ssm.out_proj, y), state._replace(real=real, imag=imag, rows=rows)


def _halved(block: Block, x: Float[Array, "b h w c"]) -> Array:
    _, _, _, right, _, below = block.padding
    return _conv2d(block.downsample, jnp.pad(x, ((0, 0), (0, below), (0, right), (0, 0))))


def _linear(layer: nn.Linear, x: Array) -> Array:
    y = x @ _array(layer.weight).T
    return y if layer.bias is None else y + _array(layer.bias)


def _conv2d(layer: nn.Conv2d, x: Float[Array, "b h w c"]) -> Array:
    kernel = _array(layer.weight).transpose(2, 3, 1, 0)
    padding = [(int(p), int(p)) for p in layer.padding]
    y = lax.conv_general_dilated(
        x, kernel, layer.stride, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return y + _array(layer.bias)


def _relu6(x: Array) -> Array:
    return jnp.clip(x, 0, 6)


def _array(x: Tensor | None) -> Array:
    assert x is not None
    return jnp.asarray(x.detach().cpu().numpy())
