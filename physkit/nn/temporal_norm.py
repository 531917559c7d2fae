"""TemporalNorm as a layer: parameters, learned initial statistics, clip and one-frame forms."""

from collections.abc import Callable
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

    def __init__(self, height: int, width: int, channels: int, *, backend: str = "scan") -> None:
        super().__init__()
        self.use_backend(backend)
        # Half-lives from 0.2 s to 3 s: shorter than a beat, and as long as a breath.
        half_life_s = torch.logspace(-0.7, 0.5, channels)
        self.log_half_life = nn.Parameter(half_life_s.log())
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.mean0 = nn.Parameter(torch.zeros(height, width, channels))
        self.log_var0 = nn.Parameter(torch.full((height, width, channels), -3.0))

    def use_backend(self, backend: str) -> None:
        """Choose the form that `forward` runs; see `ops/temporal_norm/BACKENDS`."""
        self.op = BACKENDS[backend]

    def init_state(self, batch_size: int) -> TemporalNormState:
        """The learned statistics before the first frame."""
        shape = (batch_size, *self.mean0.shape)
        return TemporalNormState(
            self.mean0.expand(shape).clone(), self.log_var0.exp().expand(shape).clone()
        )

    def step(
        self, x: Float[Tensor, "b c h w"], dt_s: Float[Tensor, "b"], state: TemporalNormState
    ) -> tuple[Float[Tensor, "b c h w"], TemporalNormState]:
        """One frame."""
        return self._run(temporal_norm_step, x, dt_s, state)

    def forward(
        self, x: Float[Tensor, "b t c h w"], dt_s: Float[Tensor, "b t"], state: TemporalNormState
    ) -> tuple[Float[Tensor, "b t c h w"], TemporalNormState]:
        """A clip."""
        return self._run(self.op, x, dt_s, state)

    def _run(
        self,
        op: Callable[..., tuple[Tensor, ...]],
        x: Tensor,
        dt_s: Tensor,
        state: TemporalNormState,
    ) -> tuple[Tensor, TemporalNormState]:
        before = (z.permute(0, 3, 1, 2) for z in state)
        y, mean, var = op(x, dt_s, self.log_half_life.exp(), self.gamma, self.beta, *before)
        return y, TemporalNormState(mean.permute(0, 2, 3, 1), var.permute(0, 2, 3, 1))
