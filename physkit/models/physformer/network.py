"""PhysFormer: attention over tubes of frames, whose queries and keys see change in time.

Yu, Shen, Shi, Zhao, Torr & Zhao 2022, "PhysFormer: facial video-based physiological measurement
with temporal difference transformer", arXiv 2111.12082, as released with `open-rppg`.
"""

from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.models.physformer.config import TUBE, PhysFormerConfig
from physkit.nn.clip_network import ClipNetwork, doubled, standardised
from physkit.nn.temporal_difference import TemporalDifferenceConv

WIDTH, HIDDEN, N_HEADS = 96, 144, 12
DROPOUT = 0.1
NORM_EPS = 1e-3


def normed(conv: nn.Conv3d) -> nn.Sequential:
    """A convolution and batch normalisation."""
    return nn.Sequential(conv, nn.BatchNorm3d(conv.out_channels, eps=NORM_EPS))


class Attention(nn.Module):
    """Attention between all tokens; queries and keys by temporal-difference convolutions."""

    def __init__(self, config: PhysFormerConfig) -> None:
        super().__init__()
        self.query, self.key = (
            normed(TemporalDifferenceConv(WIDTH, WIDTH, theta=config.theta)) for _ in range(2)
        )
        self.value = nn.Conv3d(WIDTH, WIDTH, 1, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.scale = 1 / config.sharpness

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Tokens as sums of other tokens' values."""
        q, k, v = (
            rearrange(part(x), "b (m c) t h w -> b m (t h w) c", m=N_HEADS)
            for part in (self.query, self.key, self.value)
        )
        drop = DROPOUT if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=drop, scale=self.scale)
        t, h, w = x.shape[2:]
        mixed = self.out(rearrange(mixed, "b m n c -> b n (m c)"))
        out: Tensor = rearrange(mixed, "b (t h w) c -> b c t h w", t=t, h=h, w=w)
        return out


class FeedForward(nn.Sequential):
    """Two 1x1x1 convolutions around one 3x3x3 convolution of each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.widen = normed(nn.Conv3d(WIDTH, HIDDEN, 1, bias=False))
        self.activation1 = nn.ELU()
        self.mix = normed(nn.Conv3d(HIDDEN, HIDDEN, 3, padding=1, groups=HIDDEN, bias=False))
        self.activation2 = nn.ELU()
        self.narrow = normed(nn.Conv3d(HIDDEN, WIDTH, 1, bias=False))


class Layer(nn.Module):
    """Attention and a feed-forward part, each normalised before and added."""

    def __init__(self, config: PhysFormerConfig) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(WIDTH, eps=1e-6) for _ in range(2))
        self.attention = Attention(config)
        self.forward_part = FeedForward()
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t h w"]:
        """Tokens of the same number."""
        for norm, part in ((self.norm1, self.attention), (self.norm2, self.forward_part)):
            channels_last = norm(rearrange(x, "b c t h w -> b t h w c"))
            x = x + self.drop(part(rearrange(channels_last, "b t h w c -> b c t h w")))
        return x


class PhysFormer(ClipNetwork):
    """Three convolutional stems, tokens of 4x4x4 features, layers of attention, an upsampler.

    It reads the clip standardised over time and place for each channel.
    """

    config_class = PhysFormerConfig

    def __init__(self, config: PhysFormerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PhysFormerConfig()
        widths = (3, WIDTH // 4, WIDTH // 2, WIDTH)
        kernels = ((1, 5, 5), (3, 3, 3), (3, 3, 3))
        self.stems = nn.ModuleList(
            normed(nn.Conv3d(i, o, kernel, padding="same"))
            for i, o, kernel in zip(widths, widths[1:], kernels, strict=False)
        )
        self.embed = nn.Conv3d(WIDTH, WIDTH, TUBE, stride=TUBE)
        self.layers = nn.Sequential(*(Layer(config) for _ in range(config.layers)))
        self.upsample = nn.ModuleList(
            normed(nn.Conv3d(WIDTH, o, (3, 1, 1), padding="same")) for o in (WIDTH, WIDTH // 2)
        )
        self.head = nn.Linear(WIDTH // 2, 1)

    def answer(self, clip: Float[Tensor, "b t h w 3"]) -> Float[Tensor, "b t"]:
        """The standardised pulse."""
        x = rearrange(standardised(clip, 1, 2, 3), "b t h w c -> b c t h w")
        for stem in self.stems:
            x = F.max_pool3d(stem(x).relu(), (1, 2, 2))
        x = self.layers(self.embed(x))
        for part in self.upsample:
            x = F.elu(part(doubled(x)))
        return standardised(self.head(reduce(x, "b c t h w -> b t c", "mean"))[..., 0], 1)
