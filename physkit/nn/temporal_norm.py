"""TemporalNorm as a layer: parameters, learned initial statistics, clip and one-frame forms."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from physkit.ops.temporal_norm import BACKENDS
from physkit.ops.temporal_norm.reference import temporal_norm_step


class TemporalNormState(NamedTuple):
    """Running statistics of each position and channel."""

    mean: Float[Tensor, "b h w c"]
    var: Float[Tensor, "b h w c"]


class TemporalNorm(nn.Module):
    """Causal standardisation over time; see `physkit/ops/temporal_norm/README.md`."""

    def __init__(self, height: int, width: int, channels: int, *, backend: str) -> None:
        super().__init__()
        self.op = BACKENDS[backend]
        # Half-lives from 0.2 s to 5 s: shorter than a beat, and longer than a breath.
        half_life_s = torch.logspace(-0.7, 0.7, channels)
        self.log_half_life = nn.Parameter(half_life_s.log())
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.mean0 = nn.Parameter(torch.zeros(height, width, channels))
        self.log_var0 = nn.Parameter(torch.full((height, width, channels), -3.0))

    def init_state(self, batch_size: int) -> TemporalNormState:
        """The learned statistics before the first frame."""
        shape = (batch_size, *self.mean0.shape)
        return TemporalNormState(
            self.mean0.expand(shape).clone(), self.log_var0.exp().expand(shape).clone()
        )

    def step(
        self, x: Float[Tensor, "b h w c"], dt_s: Float[Tensor, "b"], state: TemporalNormState
    ) -> tuple[Float[Tensor, "b h w c"], TemporalNormState]:
        """One frame."""
        half_life_s = self.log_half_life.exp()
        y, mean, var = temporal_norm_step(x, dt_s, half_life_s, self.gamma, self.beta, *state)
        return y, TemporalNormState(mean, var)

    def forward(
        self, x: Float[Tensor, "b t h w c"], dt_s: Float[Tensor, "b t"], state: TemporalNormState
    ) -> tuple[Float[Tensor, "b t h w c"], TemporalNormState]:
        """A clip."""
        half_life_s = self.log_half_life.exp()
        y, mean, var = self.op(x, dt_s, half_life_s, self.gamma, self.beta, *state)
        return y, TemporalNormState(mean, var)
