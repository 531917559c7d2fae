"""PhysMamba: a slow and a fast stream of temporal-difference convolutions and Mamba.

Luo, Xie & Yu 2024, "PhysMamba: efficient remote physiological measurement with SlowFast temporal
difference Mamba", arXiv 2409.12031, as released with `open-rppg`.
"""

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.models.physmamba.config import SLOW_STRIDE, PhysMambaConfig
from physkit.nn.clip_network import ClipNetwork, doubled, standardised, standardised_change
from physkit.nn.mamba import Mamba
from physkit.nn.temporal_difference import TemporalDifferenceConv

D_STATE = 16
SLOW, FAST, JOINED = 64, 32, 48
"""Channels of the two streams, and of what joins them."""
FAST_STRIDE = 2
NORM_EPS, ANSWER_EPS = 1e-3, 1e-5


class Conv(nn.Sequential):
    """A convolution, batch normalisation, and an activation."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: tuple[int, int, int],
        *,
        stride: int = 1,
        padding: tuple[int, int, int] = (0, 0, 0),
        elu: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv3d(in_channels, channels, kernel, stride=(stride, 1, 1), padding=padding)
        self.norm = nn.BatchNorm3d(channels, eps=NORM_EPS)
        self.activation = nn.ELU() if elu else nn.ReLU()


class ChannelAttention(nn.Module):
    """Channels weighed by their mean and their largest value."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(channels, channels // 2, bias=False)
        self.widen = nn.Linear(channels // 2, channels, bias=False)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Features of the same size."""
        told = torch.stack([x.mean(dim=(2, 3, 4)), x.amax(dim=(2, 3, 4))])
        weight = self.widen(self.narrow(told).relu()).sum(dim=0).sigmoid()
        out: Tensor = x * weight[:, :, None, None, None]
        return out


class Block(nn.Module):
    """A temporal-difference convolution, Mamba over all places in order, channel attention."""

    def __init__(self, channels: int, theta: float) -> None:
        super().__init__()
        self.conv = TemporalDifferenceConv(channels, channels, theta=theta)
        self.norm = nn.BatchNorm3d(channels, eps=NORM_EPS)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.mamba = Mamba(channels, D_STATE, direction="both")
        self.attention = nn.Sequential(ChannelAttention(channels), ChannelAttention(channels))

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Features of the same size."""
        t, h, w = x.shape[2:]
        steps = rearrange(self.norm(self.conv(x)).relu(), "b c t h w -> b (t h w) c")
        steps = self.norm2(steps + self.mamba(self.norm1(steps)))
        out: Tensor = self.attention(
            rearrange(steps, "b (t h w) c -> b c t h w", t=t, h=h, w=w).contiguous()
        )
        return out


def halved(x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h2 w2"]:
    """The largest of two rows and two columns."""
    return F.max_pool3d(x, (1, 2, 2))


class PhysMamba(ClipNetwork):
    """A stem, three blocks for each of two streams, the fast one told to the slow one, a head.

    It reads the change of frames, standardised over each picture.
    """

    config_class = PhysMambaConfig

    def __init__(self, config: PhysMambaConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PhysMambaConfig()
        same = (1, 1, 1)
        self.stem = nn.ModuleList(
            (
                Conv(3, 16, (1, 5, 5), padding=(0, 2, 2)),
                Conv(16, 32, (3, 3, 3), padding=same),
                Conv(32, SLOW, (3, 3, 3), padding=same),
            )
        )
        self.slow_in = Conv(SLOW, SLOW, (SLOW_STRIDE, 1, 1), stride=SLOW_STRIDE)
        self.fast_in = Conv(SLOW, FAST, (FAST_STRIDE, 1, 1), stride=FAST_STRIDE)
        self.slow = nn.ModuleList(Block(SLOW, config.theta) for _ in range(3))
        self.fast = nn.ModuleList(Block(FAST, config.theta) for _ in range(3))
        self.tell = nn.ModuleList(Conv(FAST, SLOW, (3, 1, 1), stride=2) for _ in range(2))
        over_time = (1, 0, 0)
        self.fast_out = Conv(FAST, FAST, (3, 1, 1), padding=over_time, elu=True)
        self.slow_out = Conv(SLOW, SLOW, (3, 1, 1), padding=over_time, elu=True)
        self.join = Conv(SLOW + FAST, JOINED, (3, 1, 1), padding=over_time, elu=True)
        self.head = nn.Linear(JOINED, 1)

    def answer(self, clip: Float[Tensor, "b t h w 3"]) -> Float[Tensor, "b t"]:
        """The standardised pulse."""
        x = rearrange(standardised_change(clip), "b t h w c -> b c t h w")
        widen, *rest = self.stem
        x = halved(widen(x))
        for part in rest:
            x = part(x)
        x = halved(x)
        slow, fast = self.slow_in(x), self.fast_in(x)
        for number, tell in enumerate(self.tell):
            slow, fast = halved(self.slow[number](slow)), halved(self.fast[number](fast))
            slow = slow + tell(F.pad(fast, (0, 0, 0, 0, 0, 1)))  # a frame more after the last
        slow, fast = self.slow_out(doubled(self.slow[2](slow))), self.fast_out(self.fast[2](fast))
        joined = self.join(doubled(torch.cat([fast, slow], dim=1)))
        answer = self.head(reduce(joined, "b c t h w -> b t c", "mean"))[..., 0]
        return standardised(answer, 1, eps=ANSWER_EPS)
