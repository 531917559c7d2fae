"""The rough pulse and PhysNet's features as tokens of the language model's width."""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.models.physllm.attention import Attention
from physkit.models.physllm.config import AttentionConfig

KERNEL = 3
"""Patches that one signal token sees."""


class Patches(nn.Module):
    """Overlapping patches of a pulse, each a token that sees its two neighbours.

    The last sample is repeated for one stride. A convolution over the patches, in a circle, makes
    them as wide as the language model. Jin et al. 2024, "Time-LLM"; PhysLLM.
    """

    def __init__(self, d: int, *, patch: int, stride: int) -> None:
        super().__init__()
        self.patch, self.stride = patch, stride
        self.conv = nn.Conv1d(
            patch, d, KERNEL, padding=KERNEL // 2, padding_mode="circular", bias=False
        )

    def forward(self, pulse: Float[Tensor, "b t"]) -> Float[Tensor, "b n d"]:
        """Signal tokens, n = (t + stride - patch) / stride + 1."""
        longer = F.pad(pulse[:, None], (0, self.stride), mode="replicate")[:, 0]
        patches = longer.unfold(-1, self.patch, self.stride)
        tokens: Tensor = self.conv(rearrange(patches, "b n p -> b p n"))
        return tokens.mT


class VisionAggregator(nn.Module):
    """Spatial means of PhysNet's features as tokens: the deepest asks the shallower ones.

    F = F_M + γ2 (F_cross + γ1 F_self), F_cross = attention of F_M to the others, F_self =
    self-attention of F_cross; γ1 and γ2 start at 0. PhysLLM, section 3.
    """

    def __init__(
        self, d: int, config: AttentionConfig, *, n_tokens: int, channels: Sequence[int]
    ) -> None:
        super().__init__()
        self.n_tokens = n_tokens
        self.project = nn.ModuleList(nn.Linear(width, d) for width in channels)
        self.cross = Attention(d, config)
        self.own = Attention(d, config)
        self.gamma_own, self.gamma_all = (nn.Parameter(torch.zeros(d)) for _ in range(2))

    def forward(self, features: Sequence[Float[Tensor, "b _ _"]]) -> Float[Tensor, "b n d"]:
        """Visual tokens. features: (b time channels) each, from shallow to deep."""
        maps = [
            project(rearrange(F.adaptive_avg_pool1d(rows.mT, self.n_tokens), "b c n -> b n c"))
            for project, rows in zip(self.project, features, strict=True)
        ]
        deepest, others = maps[-1], torch.cat(maps[:-1], dim=1)
        cross = self.cross(deepest, others)
        own = self.own(cross, cross)
        visual: Tensor = deepest + self.gamma_all * (cross + self.gamma_own * own)
        return visual
