"""The Mamba-2 block with complex poles as a flax layer: the twin of `physkit/nn/ssm.py`."""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import Array, lax
from jaxtyping import Float

from physkit.export.jax.layers import Linear, relu6
from physkit.nn.ssm import NOMINAL_FPS
from physkit.ops.ssm_mixer.composed import CONV_WIDTH, MAX_STEP, NORM_EPS


class SSMState(NamedTuple):
    """What an SSM remembers: its complex state and the last inputs of its short convolution."""

    real: Float[Array, "b heads p n"]
    imag: Float[Array, "b heads p n"]
    rows: Float[Array, "b 4 c"]


class SSM(nnx.Module):
    """d_model values a frame in, d_model out; d_inner = 2 d_model, d_inner / head_dim heads."""

    def __init__(self, d_model: int, d_state: int, head_dim: int) -> None:
        self.d_inner, self.d_state, self.head_dim = 2 * d_model, d_state, head_dim
        self.n_heads = self.d_inner // head_dim
        conv_channels = self.d_inner + 2 * d_state
        n_projected = 2 * self.d_inner + conv_channels + self.n_heads
        self.in_proj = Linear(d_model, n_projected, bias=False)
        self.conv_weight = nnx.Param(jnp.zeros((CONV_WIDTH, conv_channels)))
        self.conv_bias = nnx.Param(jnp.zeros(conv_channels))
        self.a_log_real = nnx.Param(jnp.zeros(self.n_heads))
        self.a_imag = nnx.Param(jnp.zeros(self.n_heads))
        self.dt_bias = nnx.Param(jnp.zeros(self.n_heads))
        self.skip = nnx.Param(jnp.ones(2 * self.n_heads))
        self.norm_weight = nnx.Param(jnp.ones(2 * self.d_inner))
        self.out_proj = Linear(2 * self.d_inner, d_model, bias=False)
        self.rows0 = nnx.Param(jnp.zeros((CONV_WIDTH, conv_channels)))
        self.real0 = nnx.Param(jnp.zeros((self.n_heads, head_dim, d_state)))
        self.imag0 = nnx.Param(jnp.zeros((self.n_heads, head_dim, d_state)))

    def init_state(self, batch_size: int) -> SSMState:
        """The learned state before the first frame."""
        first = (self.real0[...], self.imag0[...], self.rows0[...])
        return SSMState(*(jnp.tile(z, (batch_size,) + (1,) * z.ndim) for z in first))

    def step(
        self, u: Float[Array, "b d"], dt_s: Float[Array, "b"], state: SSMState
    ) -> tuple[Float[Array, "b d"], SSMState]:
        """One frame."""
        y, after = self._mix(self.in_proj(u), dt_s, state)
        return self.out_proj(y), after

    def __call__(
        self, u: Float[Array, "b t d"], dt_s: Float[Array, "b t"], state: SSMState
    ) -> tuple[Float[Array, "b t d"], SSMState]:
        """A clip."""

        def step(before: SSMState, now: tuple[Array, Array]) -> tuple[SSMState, Array]:
            y, after = self._mix(*now, before)
            return after, y

        projected = self.in_proj(u).swapaxes(0, 1)
        after, y = lax.scan(step, state, (projected, dt_s.T))
        return self.out_proj(y.swapaxes(0, 1)), after

    def _mix(
        self, projected: Float[Array, "b e"], dt_s: Float[Array, "b"], state: SSMState
    ) -> tuple[Float[Array, "b i"], SSMState]:
        """All between the two projections."""
        d, n, heads = self.d_inner, self.d_state, self.n_heads
        gate, row, dt = jnp.split(projected, [2 * d, 3 * d + 2 * n], axis=-1)
        rows = jnp.concatenate([state.rows[:, 1:], row[:, None]], axis=1)
        mixed = relu6((rows * self.conv_weight[...]).sum(axis=1) + self.conv_bias[...])
        x, b_in, c_out = jnp.split(mixed, [d, d + n], axis=-1)
        x = x.reshape(-1, heads, self.head_dim)
        delta = jnp.exp(dt + self.dt_bias[...])
        delta = (jnp.minimum(delta, MAX_STEP) * dt_s[:, None] * NOMINAL_FPS)[..., None, None]
        decay = jnp.exp(-delta * jnp.exp(self.a_log_real[...])[:, None, None])
        phase = delta * self.a_imag[...][:, None, None]
        cos, sin = decay * jnp.cos(phase), decay * jnp.sin(phase)
        real = cos * state.real - sin * state.imag + delta * x[..., None] * b_in[:, None, None]
        imag = sin * state.real + cos * state.imag
        read = [jnp.einsum("bhpn,bn->bhp", z, c_out) for z in (real, imag)]
        y = jnp.stack([read[0] + self.skip[...][::2, None] * x, read[1]], axis=2)
        y = y.reshape(gate.shape) * relu6(gate)
        y = y * lax.rsqrt((y * y).mean(axis=-1, keepdims=True) + NORM_EPS) * self.norm_weight[...]
        return y, SSMState(real, imag, rows)
