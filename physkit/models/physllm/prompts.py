"""Adaptive prompt learning (APL): texts of any length to a fixed number of cue tokens."""

import torch
from einops import repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn

from physkit.models.physllm.attention import Attention
from physkit.models.physllm.config import AttentionConfig


class Compressor(nn.Module):
    """A text of n embeddings to L tokens, by learned queries with a learned temperature."""

    def __init__(self, d: int, n_tokens: int, config: AttentionConfig) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(n_tokens, d))
        self.cold = nn.Parameter(torch.zeros(()))  # logarithm of one over the temperature
        self.attention = Attention(d, config)
        self.norm = nn.LayerNorm(d)

    def forward(
        self, text: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b l d"]:
        """mask: which embeddings are of words, and not of padding."""
        queries = repeat(self.queries * self.cold.exp(), "l d -> b l d", b=len(text))
        out: Tensor = self.norm(self.attention(queries, text, mask))
        return out


class PromptWeights(nn.Module):
    """The sum of the compressed cues, each element with a learned weight: Σ W_k ⊙ E_k.

    The weights are the same for every clip; how much of the sum each cue is differs by clip.
    """

    def __init__(self, d: int, n_tokens: int, n_cues: int, *, scale: float) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.full((n_cues, n_tokens, d), scale / n_cues))

    def forward(
        self, cues: Float[Tensor, "k b l d"]
    ) -> tuple[Float[Tensor, "b l d"], Float[Tensor, "b k"]]:
        """Cue tokens, and the share ‖W_k ⊙ E_k‖ of each cue, which sum up to 1."""
        weighted = self.weights[:, None] * cues
        norms = weighted.flatten(2).norm(dim=-1).T
        return weighted.sum(dim=0), norms / norms.sum(dim=-1, keepdim=True)


def averaged(
    text: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"], n_tokens: int
) -> Float[Tensor, "b l d"]:
    """Each text in so many equal stretches, each the mean of its words: nothing is learned."""
    rows = []
    for words, is_word in zip(text, mask, strict=True):
        known = words[is_word].T[None]
        rows.append(nn.functional.adaptive_avg_pool1d(known, n_tokens)[0].T)
    return torch.stack(rows)
