"""TemporalNorm as a flax layer: the twin of `physkit/nn/temporal_norm.py`."""

from typing import NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import Array, lax
from jaxtyping import Float

from physkit.ops.temporal_norm.reference import EPS, LN2


class TemporalNormState(NamedTuple):
    """Running statistics of each position and channel."""

    mean: Float[Array, "b h w c"]
    var: Float[Array, "b h w c"]


class TemporalNorm(nnx.Module):
    """Causal standardisation over time; see `physkit/ops/temporal_norm/README.md`."""

    def __init__(self, height: int, width: int, channels: int) -> None:
        self.log_half_life = nnx.Param(jnp.zeros(channels))
        self.gamma = nnx.Param(jnp.ones(channels))
        self.beta = nnx.Param(jnp.zeros(channels))
        self.mean0 = nnx.Param(jnp.zeros((height, width, channels)))
        self.log_var0 = nnx.Param(jnp.full((height, width, channels), -3.0))

    def init_state(self, batch_size: int) -> TemporalNormState:
        """The learned statistics before the first frame."""
        mean, var = self.mean0[...], jnp.exp(self.log_var0[...])
        return TemporalNormState(*(jnp.tile(z, (batch_size, 1, 1, 1)) for z in (mean, var)))

    def step(
        self, x: Float[Array, "b h w c"], dt_s: Float[Array, "b"], state: TemporalNormState
    ) -> tuple[Float[Array, "b h w c"], TemporalNormState]:
        """One frame."""
        take = LN2 * dt_s[:, None, None, None] / jnp.exp(self.log_half_life[...])
        take = jnp.minimum(take, 1)
        mean = state.mean + take * (x - state.mean)
        off = x - mean
        var = state.var + take * (off * off - state.var)
        y = self.gamma[...] * off / jnp.sqrt(var + EPS) + self.beta[...]
        return y, TemporalNormState(mean, var)

    def __call__(
        self, x: Float[Array, "b t h w c"], dt_s: Float[Array, "b t"], state: TemporalNormState
    ) -> tuple[Float[Array, "b t h w c"], TemporalNormState]:
        """A clip."""

        def step(
            before: TemporalNormState, now: tuple[Array, Array]
        ) -> tuple[TemporalNormState, Array]:
            y, after = self.step(*now, before)
            return after, y

        after, y = lax.scan(step, state, (x.swapaxes(0, 1), dt_s.T))
        return y.swapaxes(0, 1), after
