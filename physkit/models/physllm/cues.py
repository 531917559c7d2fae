"""The text cues: what is said of a clip, and the tokens that it becomes."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from physkit.models.physllm.config import CuesConfig
from physkit.models.physllm.prompts import Compressor, PromptWeights, averaged

if TYPE_CHECKING:
    from physkit.models.physllm.language import LanguageModel

LONGEST = 1000.0
"""Words over which the slowest of the positions turns, over two pi."""
Texts = Mapping[str, Sequence[str]]
"""Name of a cue to its text for each clip."""


class Cues(nn.Module):
    """Texts to as many tokens as the config says, whatever their length."""

    def __init__(self, d: int, config: CuesConfig, *, scale: float) -> None:
        super().__init__()
        self.names, self.n_tokens = config.names, config.tokens
        self.scale, self.sees_places = scale, config.positions
        self.compress: nn.ModuleDict | None = None
        self.weigh: PromptWeights | None = None
        if config.compressors:
            self.compress = nn.ModuleDict(
                {name: Compressor(d, config.tokens, config) for name in config.names}
            )
            self.weigh = PromptWeights(d, config.tokens, len(config.names), scale=scale)

    def forward(
        self, texts: Texts, language: "LanguageModel"
    ) -> tuple[Float[Tensor, "b l d"], Float[Tensor, "b k"]]:
        """Cue tokens, and the share that each cue has in them, in the order of `names`."""
        compressed = torch.stack([self._tokens(name, texts[name], language) for name in self.names])
        if self.weigh is not None:
            tokens, shares = self.weigh(compressed)
            return tokens, shares
        norms = compressed.flatten(2).norm(dim=-1).T
        return compressed.mean(dim=0), norms / norms.sum(dim=-1, keepdim=True)

    def _tokens(
        self, name: str, texts: Sequence[str], language: "LanguageModel"
    ) -> Float[Tensor, "b l d"]:
        """A cue of each clip; a text that several clips have is read once."""
        distinct = list(dict.fromkeys(texts))
        ids, mask = language.tokenize(distinct)
        with torch.no_grad():
            words = language.embed(ids).float()
        if self.compress is None:
            tokens = averaged(words, mask, self.n_tokens)
        else:
            words = words / self.scale  # of unit size: else attention to them would be even
            if self.sees_places:
                words = words + _positions(*words.shape[1:]).to(words.device)
            tokens = self.compress[name](words, mask)
        return tokens[[distinct.index(text) for text in texts]]


def _positions(n: int, d: int) -> Float[Tensor, "n d"]:
    """Sines and cosines of where a word stands, of unit size (Vaswani et al. 2017)."""
    rates = LONGEST ** -(torch.arange(0, d, 2) / d)
    phases = torch.arange(n)[:, None] * rates
    both = torch.stack([phases.sin(), phases.cos()], dim=-1).flatten(1)
    return math.sqrt(2) * both[:, :d]


def as_told(texts: Texts, control: str, *, seed: int = 0) -> dict[str, list[str]]:
    """The texts as a control tells them: shuffled word by word, or empty.

    What is wrong is no matter of words, and so made where the texts are.
    """
    if control == "empty":
        return {name: ["."] * len(each) for name, each in texts.items()}
    if control == "shuffled":
        return {name: [_shuffled(text, seed) for text in each] for name, each in texts.items()}
    return {name: list(each) for name, each in texts.items()}


def _shuffled(text: str, seed: int) -> str:
    words = text.split()
    return " ".join(words[at] for at in np.random.default_rng(seed).permutation(len(words)))
