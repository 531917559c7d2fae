"""Attention inside a bottleneck: queries, keys and values of fewer channels than the tokens."""

from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.models.physllm.config import AttentionConfig


class Attention(nn.Module):
    """Tokens (b n d) that ask others (b m d). Vaswani et al. 2017."""

    def __init__(self, d: int, config: AttentionConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query, self.key, self.value = (nn.Linear(d, config.width) for _ in range(3))
        self.out = nn.Linear(config.width, d)

    def forward(
        self,
        asking: Float[Tensor, "b n d"],
        asked: Float[Tensor, "b m d"],
        mask: Bool[Tensor, "b m"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """mask: which of the asked are there; None: all."""
        query, key, value = (
            rearrange(part, "b n (h c) -> b h n c", h=self.heads)
            for part in (self.query(asking), self.key(asked), self.value(asked))
        )
        there = None if mask is None else rearrange(mask, "b m -> b 1 1 m")
        answer = F.scaled_dot_product_attention(query, key, value, attn_mask=there)
        out: Tensor = self.out(rearrange(answer, "b h n c -> b n (h c)"))
        return out
