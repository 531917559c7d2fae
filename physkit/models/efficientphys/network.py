"""EfficientPhys: one branch that learns how to normalise frames and where to look.

Liu, Hill, Jiang, Patel & McDuff 2023, "EfficientPhys: enabling simple, fast and accurate
camera-based cardiac measurement", arXiv 2110.04447, as released with `open-rppg`.
"""

from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.models.efficientphys.config import GROUP_FRAMES, EfficientPhysConfig
from physkit.nn.clip_network import ClipNetwork, attention_mask
from physkit.nn.temporal_shift import temporal_shift

WIDTHS = (32, 64)
"""Filters of the two stages."""
HIDDEN = 128


class Stage(nn.Module):
    """Two 3x3 convolutions over shifted frames, and a mask of positions for each channel."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3)
        self.attention = nn.Conv2d(channels, channels, 1)
        self.drop = nn.Dropout(0.25)

    def forward(self, x: Float[Tensor, "bt i h w"]) -> Float[Tensor, "bt o h2 w2"]:
        """Features of every frame at half the size."""
        for conv in (self.conv1, self.conv2):
            x = conv(temporal_shift(x, group_frames=GROUP_FRAMES)).tanh()
        masked = x * attention_mask(self.attention(x).sigmoid(), -2, -1)
        return self.drop(F.avg_pool2d(masked, 2))  # type: ignore[no-any-return]


class EfficientPhys(ClipNetwork):
    """The change between frames, normalised for each position, through two stages.

    It answers with the pulse's change from frame to frame.
    """

    config_class = EfficientPhysConfig

    def __init__(self, config: EfficientPhysConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or EfficientPhysConfig()
        self.norm = nn.BatchNorm1d(config.size**2, eps=1e-3)
        first, second = WIDTHS
        self.stages = nn.Sequential(Stage(3, first), Stage(first, second))
        side = ((config.size - 2) // 2 - 2) // 2
        self.hidden = nn.Linear(side * side * second, HIDDEN)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(HIDDEN, 1)

    @property
    def label_form(self) -> Literal["standardised", "diff"]:
        """It is trained on the label's change."""
        return "diff"

    def answer(self, clip: Float[Tensor, "b t h w 3"]) -> Float[Tensor, "b t"]:
        """The pulse's change at each frame; the last frame's own change counts as 0."""
        batch, _, height = clip.shape[:3]
        change = torch.cat([clip[:, 1:] - clip[:, :-1], torch.zeros_like(clip[:, :1])], dim=1)
        normed = self.norm(rearrange(change, "b t h w c -> (b t) (h w) c"))
        x = self.stages(rearrange(normed, "bt (h w) c -> bt c h w", h=height))
        hidden = self.hidden(rearrange(x, "bt c h w -> bt (h w c)")).tanh()
        out: Tensor = rearrange(self.head(self.drop(hidden)), "(b t) 1 -> b t", b=batch)
        return out
