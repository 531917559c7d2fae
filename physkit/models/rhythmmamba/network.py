"""RhythmMamba: Mamba over several lengths of a clip, and a feed-forward part on frequencies.

Zou, Guo, Hu & Ma 2024, "RhythmMamba: fast remote physiological measurement with arbitrary length
videos", arXiv 2404.06483, as released with `open-rppg`.
"""

import math
from itertools import pairwise

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn

from physkit.models.rhythmmamba.config import N_STARTS, RhythmMambaConfig
from physkit.nn.clip_network import ClipNetwork, attention_mask, standardised
from physkit.nn.mamba import Mamba

WIDTH, D_STATE, MLP_RATIO = 96, 48, 2
NORM_EPS = 1e-3
FUSED = 0.5
"""Weight of either of two branches."""
DROP_PATH = 0.1
"""How often the last block is left out in training; the first never is."""


class Stem(nn.Sequential):
    """A 7x7 convolution, batch normalisation, ReLU, and half the size."""

    def __init__(self, in_channels: int, channels: int, *, stride: int, eps: float) -> None:
        super().__init__()
        # an even size halved: one row and column more after than before
        pad = (2, 3, 2, 3) if stride == 2 else (3, 3, 3, 3)
        self.pad = nn.ZeroPad2d(pad)
        self.conv = nn.Conv2d(in_channels, channels, 7, stride=stride)
        self.norm = nn.BatchNorm2d(channels, eps=eps)
        self.activation = nn.ReLU()
        self.pool = nn.MaxPool2d(2)


class FusionStem(nn.Module):
    """Frames, and the changes between five neighbouring ones, fused twice."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.frame = Stem(3, width // 2, stride=2, eps=1e-5)
        self.change = Stem(12, width // 2, stride=2, eps=NORM_EPS)
        self.fused = Stem(width // 2, width, stride=1, eps=NORM_EPS)
        self.changed = Stem(width // 2, width, stride=1, eps=NORM_EPS)

    def forward(self, x: Float[Tensor, "b t h w 3"]) -> Float[Tensor, "b t o h2 w2"]:
        """Features at an eighth of the size."""
        batch, t, height, width = x.shape[:4]
        at = torch.arange(t, device=x.device)
        near = [x[:, (at + offset).clamp(0, t - 1)] for offset in range(-2, 3)]
        # The release puts the four changes below each other, and reads the numbers in that order
        # as twelve channels of one picture: a place sees pixels of four others.
        below = torch.cat([b - a for a, b in pairwise(near)], dim=2)
        mixed = below.reshape(batch * t, height, width, 12)
        change = self.change(rearrange(mixed, "n h w c -> n c h w"))
        frame = self.frame(rearrange(x, "b t h w c -> (b t) c h w"))
        fused = self.fused(FUSED * frame + FUSED * change)
        both = FUSED * fused + FUSED * self.changed(change)
        out: Tensor = rearrange(both, "(b t) c h w -> b t c h w", b=batch)
        return out


class FrequencyForward(nn.Module):
    """A complex linear layer and ReLU on the channels of each frequency, between two projections.

    The transforms are matrix products: a clip has few frames.
    """

    def __init__(self) -> None:
        super().__init__()
        hidden = MLP_RATIO * WIDTH
        self.widen = nn.Conv1d(WIDTH, hidden, 1, bias=False)
        self.norm1 = nn.BatchNorm1d(hidden, eps=1e-5)
        self.real, self.imag = (nn.Parameter(0.02 * torch.randn(hidden, hidden)) for _ in range(2))
        self.bias_real, self.bias_imag = (
            nn.Parameter(0.02 * torch.randn(hidden)) for _ in range(2)
        )
        self.narrow = nn.Conv1d(hidden, WIDTH, 1, bias=False)
        self.norm2 = nn.BatchNorm1d(WIDTH, eps=1e-5)

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        """Steps of the same number, which is even."""
        x = rearrange(self.norm1(self.widen(rearrange(x, "b t c -> b c t"))), "b c t -> b t c")
        cos, sin, weight = transform(x)
        x = x.relu()
        real, imag = cos @ x, -(sin @ x)
        new_real = (real @ self.real - imag @ self.imag + self.bias_real).relu()
        new_imag = (imag @ self.real + real @ self.imag + self.bias_imag).relu()
        x = cos.mT @ (weight * new_real) - sin.mT @ (weight * new_imag)
        x = self.norm2(self.narrow(rearrange(x, "b t c -> b c t")))
        out: Tensor = rearrange(x, "b c t -> b t c")
        return out


def transform(x: Float[Tensor, "b t c"]) -> tuple[Tensor, Tensor, Tensor]:
    """Cosines and sines (f t) of the unitary Fourier transform, and how often (f 1) each counts."""
    t = x.shape[1]
    frequency = torch.arange(t // 2 + 1, device=x.device, dtype=torch.float64)
    # whole turns are taken off while they are integers: a large angle has fewer digits
    turn = (frequency[:, None] * torch.arange(t, device=x.device)) % t
    angle = turn * (2 * math.pi / t)
    weight = 2 - ((frequency == 0) | (frequency == t // 2)).to(x.dtype)[:, None]
    scale = 1 / math.sqrt(t)
    return (scale * angle.cos()).to(x.dtype), (scale * angle.sin()).to(x.dtype), weight


class Block(nn.Module):
    """Mamba from several starts of the clip, then the feed-forward part, each added."""

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.norm_in, self.norm1, self.norm2 = (nn.LayerNorm(WIDTH, eps=NORM_EPS) for _ in range(3))
        self.mamba = Mamba(WIDTH, D_STATE)
        self.frequencies = FrequencyForward()
        self.drop = drop

    def forward(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        """Steps of the same number."""
        x = x + self._kept(self.norm1(self.from_starts(x)))
        return x + self._kept(self.frequencies(self.norm2(x)))

    def from_starts(self, x: Float[Tensor, "b t c"]) -> Float[Tensor, "b t c"]:
        """The mean of what is read from the start of each part of the clip that lies before.

        A sequence that starts late is filled up by the clip's own end, as in the release.
        """
        batch, t = x.shape[:2]
        part = t // N_STARTS
        shifted = [
            torch.cat([x[:, i * part :], x[:, t - i * part :]], dim=1) for i in range(N_STARTS)
        ]
        found = self.mamba(self.norm_in(torch.cat(shifted))).unflatten(0, (N_STARTS, batch))
        parts = [
            torch.stack(
                [
                    found[i, :, (number - i) * part : (number - i + 1) * part]
                    for i in range(number + 1)
                ]
            ).mean(dim=0)
            for number in range(N_STARTS)
        ]
        return torch.cat(parts, dim=1)

    def _kept(self, x: Tensor) -> Tensor:
        """Left out at random in training, clip by clip; else weighed by how often it is not."""
        kept = 1 - self.drop
        if not self.training:
            return x * kept
        return x * x.new_empty((x.shape[0], 1, 1)).bernoulli_(kept)


class RhythmMamba(ClipNetwork):
    """A stem that fuses frames and changes, a mask of positions, and blocks over time.

    It reads the clip standardised over time and place for each channel.
    """

    config_class = RhythmMambaConfig

    def __init__(self, config: RhythmMambaConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RhythmMambaConfig()
        self.stem = FusionStem(WIDTH // 4)
        self.embed = nn.Conv3d(WIDTH // 4, WIDTH, (2, 5, 5), stride=(2, 1, 1), padding=(0, 2, 2))
        self.norm = nn.BatchNorm3d(WIDTH, eps=NORM_EPS)
        drops = torch.linspace(0, DROP_PATH, config.layers).tolist()
        self.blocks = nn.Sequential(*(Block(drop) for drop in [0.0, *drops[:-1]]))
        self.head = nn.Linear(WIDTH, 1)

    def answer(self, clip: Float[Tensor, "b t h w 3"]) -> Float[Tensor, "b t"]:
        """The standardised pulse; two frames have the same."""
        x = self.stem(standardised(clip, 1, 2, 3))
        x = self.norm(self.embed(rearrange(x, "b t c h w -> b c t h w")))
        # the paper's mask has mean 0.5 over each picture; the release's, over frames and rows
        x = reduce(x * attention_mask(x.sigmoid(), 2, 3), "b c t h w -> b t c", "mean")
        pulse = self.head(self.blocks(x))[..., 0]
        return standardised(pulse.repeat_interleave(2, dim=1), 1)
