"""TS-CAN: what changes between frames, weighed by where the face shows skin.

Liu, Fromm, Patel & McDuff 2020, "Multi-task temporal shift attention networks for on-device
contactless vitals measurement", arXiv 2006.03790, as released with `open-rppg`.
"""

from typing import Literal

from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.models.tscan.config import N_GROUPS, TSCANConfig
from physkit.nn.clip_network import ClipNetwork, attention_mask, standardised_change
from physkit.nn.temporal_shift import temporal_shift

WIDTHS = (32, 64)
"""Filters of the two stages."""
HIDDEN = 128


class Stage(nn.Module):
    """Two 3x3 convolutions, the second of which loses the border, with tanh.

    group_frames: both are shifted in time within such groups; None: neither is.
    """

    def __init__(self, in_channels: int, channels: int, *, group_frames: int | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3)
        self.group_frames = group_frames

    def forward(self, x: Float[Tensor, "bt i h w"]) -> Float[Tensor, "bt o h2 w2"]:
        """Features of every frame."""
        for conv in (self.conv1, self.conv2):
            if self.group_frames:
                x = temporal_shift(x, group_frames=self.group_frames)
            x = conv(x).tanh()
        return x


class TSCAN(ClipNetwork):
    """A motion branch of every frame, and an appearance branch of the clip's mean frame.

    It answers with the pulse's change from frame to frame.
    """

    config_class = TSCANConfig

    def __init__(self, config: TSCANConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TSCANConfig()
        group_frames = config.frames // N_GROUPS
        first, second = WIDTHS
        self.motion = nn.ModuleList(
            (
                Stage(3, first, group_frames=group_frames),
                Stage(first, second, group_frames=group_frames),
            )
        )
        self.appearance = nn.ModuleList(
            (Stage(3, first, group_frames=None), Stage(first, second, group_frames=None))
        )
        self.attention = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in WIDTHS)
        self.drop, self.drop_hidden = nn.Dropout(0.25), nn.Dropout(0.5)
        side = ((config.size - 2) // 2 - 2) // 2
        self.hidden = nn.Linear(side * side * second, HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)

    @property
    def label_form(self) -> Literal["standardised", "diff"]:
        """It is trained on the label's change."""
        return "diff"

    def answer(self, clip: Float[Tensor, "b t h w 3"]) -> Float[Tensor, "b t"]:
        """The pulse's change at each frame."""
        batch = clip.shape[0]
        motion = rearrange(standardised_change(clip), "b t h w c -> (b t) c h w")
        still = reduce(clip, "b t h w c -> b c h w", "mean")
        for see, look, weigh in zip(self.motion, self.appearance, self.attention, strict=True):
            motion, still = see(motion), look(still)
            mask = attention_mask(weigh(still).sigmoid(), -2, -1)
            motion = rearrange(motion, "(b t) c h w -> b t c h w", b=batch) * mask[:, None]
            motion = self.drop(F.avg_pool2d(motion.flatten(0, 1), 2))
            still = self.drop(F.avg_pool2d(still, 2))
        hidden = self.hidden(rearrange(motion, "bt c h w -> bt (h w c)")).tanh()
        out: Tensor = rearrange(self.head(self.drop_hidden(hidden)), "(b t) 1 -> b t", b=batch)
        return out
