"""The block of Mamba-2, arXiv 2405.21060, with real poles: clip and one-frame forms."""

from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.ops.ssm_scan.chunked import ssm_scan
from physkit.ops.ssm_scan.reference import ssm_step

NORM_EPS = 1e-5


class Mamba2State(NamedTuple):
    """The recurrence's state, and the last inputs of the short convolution."""

    values: Float[Tensor, "b heads p n"]
    rows: Float[Tensor, "b k c"]


class Mamba2(nn.Module):
    """Takes and returns d_model values a frame; it counts frames and knows no time.

    It is run by the complex scan of FacePhys, with poles that do not turn.
    """

    values0: Tensor
    rows0: Tensor

    def __init__(self, d_model: int, d_state: int, *, head_dim: int, conv_width: int) -> None:
        super().__init__()
        inner = 2 * d_model
        heads, channels = inner // head_dim, inner + 2 * d_state
        self.sizes, self.parts = [inner, channels, heads], [inner, d_state, d_state]
        self.heads = heads
        self.in_proj = nn.Linear(d_model, sum(self.sizes), bias=False)
        self.conv = nn.Conv1d(channels, channels, conv_width, groups=channels)
        self.dt_bias = nn.Parameter(torch.logspace(-3, -1, heads).expm1().log())
        self.a_log = nn.Parameter(torch.arange(1.0, heads + 1).log())
        self.skip = nn.Parameter(torch.ones(heads))
        self.norm = nn.RMSNorm(inner, eps=NORM_EPS)
        self.out_proj = nn.Linear(inner, d_model, bias=False)
        self.register_buffer("values0", torch.zeros(heads, head_dim, d_state))
        self.register_buffer("rows0", torch.zeros(conv_width, channels))

    def init_state(self, batch_size: int) -> Mamba2State:
        """The state before the first frame."""
        first = (self.values0, self.rows0)
        return Mamba2State(*(z.expand(batch_size, *z.shape).clone() for z in first))

    def step(self, u: Float[Tensor, "b d"], state: Mamba2State) -> tuple[Tensor, Mamba2State]:
        """One frame."""
        y, state = self._run(u[:, None], state, one_frame=True)
        return y[:, 0], state

    def forward(self, u: Float[Tensor, "b t d"], state: Mamba2State) -> tuple[Tensor, Mamba2State]:
        """A clip. In float32 (or float64) even under autocast: a recurrence needs the precision."""
        with torch.autocast(u.device.type, enabled=False):
            return self._run(u.to(self.skip.dtype), state, one_frame=False)

    def _run(self, u: Tensor, state: Mamba2State, *, one_frame: bool) -> tuple[Tensor, Mamba2State]:
        gate, new_rows, dt = self.in_proj(u).split_with_sizes(self.sizes, dim=-1)
        rows = torch.cat([state.rows, new_rows], dim=1)
        mixed = F.silu(self.conv(rearrange(rows[:, 1:], "b t c -> b c t")))
        x, b_in, c_out = rearrange(mixed, "b c t -> b t c").split_with_sizes(self.parts, dim=-1)
        x = rearrange(x, "b t (h p) -> b t h p", h=self.heads)
        delta, a = F.softplus(dt + self.dt_bias), -self.a_log.exp()
        still, zeros = torch.zeros_like(a), torch.zeros_like(state.values)
        if one_frame:
            given = (x[:, 0], delta[:, 0], a, still, b_in[:, 0], c_out[:, 0], state.values, zeros)
            y, values, _ = ssm_step(*given)
            y = y[:, None]
        else:
            y, values, _ = ssm_scan(x, delta, a, still, b_in, c_out, state.values, zeros)
        y = rearrange(y[..., 0, :] + self.skip[:, None] * x, "b t h p -> b t (h p)")
        out: Tensor = self.out_proj(self.norm(y * F.silu(gate)))
        return out, Mamba2State(values, rows[:, -state.rows.shape[1] :].clone())
