"""Text prototype guidance: prototypes of words ask the tokens of signals and of pictures."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.models.physllm.attention import Attention
from physkit.models.physllm.config import PrototypesConfig

FREE_SCALE = 0.02
"""Standard deviation of free prototypes before training."""


class Prototypes(nn.Module):
    """As many vectors as there are tokens: a learned mix of all word embeddings, or free ones."""

    def __init__(self, n: int, words: Float[Tensor, "v d"], config: PrototypesConfig) -> None:
        super().__init__()
        n_words, d = words.shape
        self.of_words = config.source == "words"
        if self.of_words:
            # such that a mix begins with values of about 1, as the tokens that it is added to have
            norm = float(torch.linalg.vector_norm(words, dtype=torch.float32))
            self.mix = nn.Parameter(torch.randn(n, n_words) * d**0.5 / norm)
        else:
            self.mix = nn.Parameter(FREE_SCALE * torch.randn(n, d))

    def forward(self, words: Float[Tensor, "v d"]) -> Float[Tensor, "n d"]:
        """The prototypes. words: the language model's embeddings, in its own type."""
        return (self.mix.to(words.dtype) @ words).float() if self.of_words else self.mix


class PrototypeGuidance(nn.Module):
    """Tokens of words that have read the tokens X of a signal, or of pictures.

    E = LN(E' + SelfAttention(X)); q = LN(E + CrossAttention(E, X, X)); LN(q + FFN(q)), where E'
    are the prototypes. PhysLLM, section 3.
    """

    def __init__(self, d: int, config: PrototypesConfig) -> None:
        super().__init__()
        self.own, self.cross = Attention(d, config), Attention(d, config)
        self.norms = nn.ModuleList(nn.LayerNorm(d) for _ in range(3))
        self.wide, self.narrow = nn.Linear(d, config.width), nn.Linear(config.width, d)

    def forward(
        self, tokens: Float[Tensor, "b n d"], prototypes: Float[Tensor, "n d"]
    ) -> Float[Tensor, "b n d"]:
        """As many tokens as there were."""
        asking = self.norms[0](prototypes + self.own(tokens, tokens))
        read = self.norms[1](asking + self.cross(asking, tokens))
        out: Tensor = self.norms[2](read + self.narrow(F.gelu(self.wide(read))))
        return out
