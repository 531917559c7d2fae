"""The block of Mamba, arXiv 2312.00752, over whole sequences."""

from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.ops.selective_scan import BACKENDS

EXPAND, CONV_WIDTH, RANK_SHARE = 2, 4, 16
FLOOR = 1e-12
"""Of the published networks' scan; see `physkit/ops/selective_scan/README.md`."""


class Mamba(nn.Module):
    """Takes and returns d_model values a step.

    direction: forward, with a causal convolution; both, with a centred one, and with a scan in
    each direction that has input and output vectors of its own.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int,
        *,
        direction: Literal["forward", "both"] = "forward",
        backend: str = "scan",
    ) -> None:
        super().__init__()
        self.scan = BACKENDS[backend]
        self.n_scans = 2 if direction == "both" else 1
        inner = EXPAND * d_model
        self.rank, self.d_state = d_model // RANK_SHARE, d_state
        self.in_proj = nn.Linear(d_model, 2 * inner, bias=False)
        self.conv = nn.Conv1d(inner, inner, CONV_WIDTH, groups=inner)
        after = CONV_WIDTH // 2 if direction == "both" else 0
        self.padding = (CONV_WIDTH - 1 - after, after)
        self.x_proj = nn.Linear(inner, self.rank + 2 * self.n_scans * d_state, bias=False)
        self.delta_proj = nn.Linear(self.rank, inner)
        self.a_log = nn.Parameter(torch.arange(1.0, d_state + 1).log().repeat(inner, 1))
        self.skip = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(self.n_scans * inner, d_model, bias=False)
        # Steps of 0.001 to 0.1, as Mamba begins with: the state lasts for 10 to 1000 of them.
        steps = torch.logspace(-3, -1, inner)[torch.randperm(inner)]
        with torch.no_grad():
            self.delta_proj.bias.copy_((steps.expm1()).log())

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        """A whole sequence. In float32 (or float64) even under autocast."""
        with torch.autocast(x.device.type, enabled=False):
            values, gate = self.in_proj(x.to(self.skip.dtype)).chunk(2, dim=-1)
            values = self.conv(F.pad(rearrange(values, "b t c -> b c t"), self.padding))
            values = F.silu(rearrange(values, "b c t -> b t c"))
            sizes = [self.rank, *[self.n_scans * self.d_state] * 2]
            rank, b_in, c_out = self.x_proj(values).split_with_sizes(sizes, dim=-1)
            delta, a = F.softplus(self.delta_proj(rank)), -self.a_log.exp()
            vectors = zip(b_in.chunk(self.n_scans, -1), c_out.chunk(self.n_scans, -1), strict=True)
            found = []
            for number, (b, c) in enumerate(vectors):
                # Backwards the release turns the values round, and not the vectors.
                u, step = (z.flip(1) if number else z for z in (values, delta))
                y = self.scan(u, step, a, b, c, self.skip, floor=FLOOR)
                found.append(y.flip(1) if number else y)
            gate = F.silu(gate).repeat(1, 1, self.n_scans)
            out: Tensor = self.out_proj(torch.cat(found, dim=-1) * gate)
            return out
