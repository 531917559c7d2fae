"""ME-rPPG: the forerunner of FacePhys, with real poles and a squashed running norm.

Wang et al. 2025, "Memory-efficient low-latency remote photoplethysmography through temporal-spatial
state space duality", arXiv 2504.01774, as released with `open-rppg`.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.core.units import NOMINAL_DT_S
from physkit.models.merppg.config import MERPPGConfig
from physkit.nn.clip_network import ClipNetwork
from physkit.nn.mamba2 import Mamba2, Mamba2State
from physkit.nn.overlap_add import OverlapState
from physkit.ops.linear_scan import linear_scan

WIDTH, D_STATE, HEAD_DIM = 32, 128, 32
N_BLOCKS, N_CONVS, N_HEAD = 4, 2, 2
CONV_WIDTH, HEAD_CONV_WIDTH = 12, 4
HALF_LIFE_S = 160 * NOMINAL_DT_S / 2
SETTLED_AFTER_S = 4.0
SQUASHED_BEYOND = 3.0
NORM_EPS = 2e-6


class NormState(NamedTuple):
    """Running statistics of each place and channel."""

    mean: Float[Tensor, "b c h w"]
    square: Float[Tensor, "b c h w"]
    """Of the distance to the mean before."""


class ConvState(NamedTuple):
    """What an SSConv remembers."""

    ssm: Mamba2State
    norm: NormState


class MERPPGState(NamedTuple):
    """What ME-rPPG remembers: one entry for each SSConv in order, one for each SSM of the head."""

    convs: tuple[ConvState, ...]
    head: tuple[Mamba2State, ...]


def noisy(x: Tensor, *, training: bool) -> Tensor:
    """Each value times 1, give or take 1 in training: Gaussian dropout of one half."""
    return x * (1 + torch.randn_like(x)) if training else x


def without_trend(x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t c h w"]:
    """Each place and channel of a clip less its straight trend, over what then deviates."""
    at = torch.linspace(-0.5, 0.5, x.shape[1], device=x.device, dtype=x.dtype).view(-1, 1, 1, 1)
    slope = (at * x).sum(dim=1, keepdim=True) / at.square().sum().clamp(min=1e-12)
    left = x - x.mean(dim=1, keepdim=True) - slope * at
    return left * (left.square().mean(dim=1, keepdim=True) + NORM_EPS).rsqrt()


class RunningNorm(nn.Module):
    """Each place and channel less its running mean, over its running deviation, within 3."""

    mean0: Tensor
    square0: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean0", torch.zeros(WIDTH, size, size))
        self.register_buffer("square0", torch.full((WIDTH, size, size), 1e-5))

    def init_state(self, batch_size: int) -> NormState:
        """The statistics before the first frame."""
        first = (self.mean0, self.square0)
        return NormState(*(z.expand(batch_size, *z.shape).clone() for z in first))

    def forward(
        self, x: Float[Tensor, "b t c h w"], dt_s: Float[Tensor, "b t"], state: NormState
    ) -> tuple[Tensor, NormState]:
        """A clip, by scans."""
        rate = math.log(2) / HALF_LIFE_S * dt_s[:, :, None, None]
        values = rearrange(x, "b t c h w -> b t (h w) c")
        mean0, square0 = (rearrange(z, "b c h w -> b (h w) c") for z in state)
        # Counted from the first frame: a mean far from 0 costs the digits that a pulse has.
        level = values[:, :1]
        values, mean0 = values - level, mean0 - level[:, 0]
        kept, taken = (-rate).exp().expand(-1, -1, 1, WIDTH).contiguous(), -torch.expm1(-rate)
        mean = linear_scan(kept, taken * values, mean0)
        earlier = torch.cat([mean0[:, None], mean[:, :-1]], dim=1)
        square = linear_scan(kept, taken * (values - earlier).square(), square0)
        z = (values - mean) * (square + NORM_EPS).rsqrt()
        squashed = SQUASHED_BEYOND * torch.tanh(z / SQUASHED_BEYOND)
        side = {"h": x.shape[3]}
        ends = (mean[:, -1] + level[:, 0], square[:, -1])
        last = NormState(*(rearrange(end, "b (h w) c -> b c h w", **side) for end in ends))
        return rearrange(squashed, "b t (h w) c -> b t c h w", **side), last


class SSConv(nn.Module):
    """Two 3x3 convolutions, joined by an SSM that reads the spatial mean and steers the second."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm = RunningNorm(size)
        self.conv_in = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.expand = nn.Linear(WIDTH, 2 * WIDTH)
        self.ssm = Mamba2(2 * WIDTH, D_STATE, head_dim=HEAD_DIM, conv_width=CONV_WIDTH)
        self.steer = nn.Linear(2 * WIDTH, WIDTH, bias=False)
        self.conv_out = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)

    def init_state(self, batch_size: int) -> ConvState:
        """The state before the first frame."""
        return ConvState(self.ssm.init_state(batch_size), self.norm.init_state(batch_size))

    def forward(
        self,
        x: Float[Tensor, "b t c h w"],
        dt_s: Float[Tensor, "b t"],
        state: ConvState,
        *,
        is_chunk: bool,
    ) -> tuple[Tensor, ConvState]:
        """A clip, or one frame; a chunk is normalised as a whole and leaves no statistics."""
        if is_chunk:
            normed, norm_state = without_trend(x), state.norm
        else:
            normed, norm_state = self.norm(x, dt_s, state.norm)
        batch, t = x.shape[:2]
        seen = rearrange(self.conv_in(normed.flatten(0, 1)), "n c h w -> n (h w) c")
        told = rearrange(self.expand(seen).relu().mean(dim=1), "(b t) c -> b t c", b=batch)
        told = noisy(told, training=self.training)
        if t == 1 and not is_chunk:
            steer, ssm_state = self.ssm.step(told[:, 0], state.ssm)
        else:
            steer, ssm_state = self.ssm(told, state.ssm)
        steered = normed + self.steer(steer).view(batch, t, WIDTH, 1, 1)
        out = self.conv_out(steered.flatten(0, 1)).relu()
        return out.unflatten(0, (batch, t)), ConvState(ssm_state, norm_state)


class Block(nn.Module):
    """A residual pair of SSConvs between a projection and a convolution that halves the size."""

    def __init__(self, size: int, in_channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(in_channels, WIDTH, bias=False)
        self.convs: Iterable[SSConv] = nn.ModuleList(  # type: ignore[assignment]
            SSConv(size) for _ in range(N_CONVS)
        )
        self.downsample = nn.Conv2d(WIDTH, WIDTH, 2, stride=2)

    def halve(self, x: Float[Tensor, "b t c h w"]) -> Float[Tensor, "b t c h2 w2"]:
        """Half the rows and columns, rounded up."""
        odd = x.shape[-1] % 2
        out = self.downsample(F.pad(x.flatten(0, 1), (0, odd, 0, odd)))
        return rearrange(out, "(b t) c h w -> b t c h w", b=x.shape[0])  # type: ignore[no-any-return]


class MERPPG(ClipNetwork):
    """Face crops in, pulse out: by default frame by frame, as FacePhys does.

    config.form: "stream" keeps running statistics; "chunk" reads clips as it was trained on them,
    each from the initial state, overlap-added. Training mode takes clips, as chunks.
    """

    config_class = MERPPGConfig

    def __init__(self, config: MERPPGConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MERPPGConfig()
        blocks, size, in_channels = [], config.size, 3
        for _ in range(N_BLOCKS):
            blocks.append(Block(size, in_channels))
            size, in_channels = -(-size // 2), WIDTH
        self.blocks: Iterable[Block] = nn.ModuleList(blocks)  # type: ignore[assignment]
        self.head_in = nn.Linear(WIDTH, WIDTH, bias=False)
        self.head: Iterable[Mamba2] = nn.ModuleList(  # type: ignore[assignment]
            Mamba2(WIDTH, D_STATE, head_dim=HEAD_DIM, conv_width=HEAD_CONV_WIDTH)
            for _ in range(N_HEAD)
        )
        self.head_out = nn.Linear(WIDTH, 1)

    @property
    def warmup_s(self) -> float:  # type: ignore[override]
        """The released statistics suit no one face: a 10 s clip reads nothing by those of PURE."""
        return SETTLED_AFTER_S if self.config.form == "stream" else 0.0

    @property
    def least_frames(self) -> int | None:
        """A stream may have any length."""
        return self.config.frames if self.config.form == "chunk" else None

    def first_state(self, batch_size: int) -> MERPPGState:
        """The network's state before the first frame."""
        convs = (conv for block in self.blocks for conv in block.convs)
        return MERPPGState(
            tuple(conv.init_state(batch_size) for conv in convs),
            tuple(ssm.init_state(batch_size) for ssm in self.head),
        )

    def answer(self, clip: Float[Tensor, "b t h w 3"]) -> Float[Tensor, "b t"]:
        """The pulse of chunks, each from the initial state."""
        state, dt_s = self.first_state(clip.shape[0]), clip.new_zeros(clip.shape[:2])
        return self._run(clip, dt_s, state, is_chunk=True)[0]

    @property
    def _streams(self) -> bool:
        return self.config.form == "stream" and not self.training

    def init_state(self, batch_size: int = 1) -> OverlapState | MERPPGState:  # type: ignore[override]
        """The state before the first frame, of the form that it reads in."""
        return self.first_state(batch_size) if self._streams else super().init_state(batch_size)

    def forward(  # type: ignore[override]
        self,
        clip: Float[Tensor, "b t h w 3"],
        dt_s: Float[Tensor, "b t"],
        state: OverlapState | MERPPGState | None = None,
        extras: None = None,
    ) -> tuple[Float[Tensor, "b k"], OverlapState | MERPPGState]:
        """Pulse of a clip, and the state after it; see `PulseModel.forward`."""
        if not self._streams:
            return super().forward(clip, dt_s, state, extras)  # type: ignore[arg-type]
        self.check_size(clip)
        state = self.first_state(clip.shape[0]) if state is None else state
        if not isinstance(state, MERPPGState):
            raise TypeError("a state of chunks, in a stream")
        return self._run(clip, dt_s, state, is_chunk=False)

    def finish(self, state: OverlapState | MERPPGState) -> Float[Tensor, "b k"]:
        """In a stream nothing: every frame was answered when it came."""
        if isinstance(state, MERPPGState):
            return state.head[0].values.new_zeros(state.head[0].values.shape[0], 0)
        return super().finish(state)

    def _run(
        self, clip: Tensor, dt_s: Tensor, state: MERPPGState, *, is_chunk: bool
    ) -> tuple[Tensor, MERPPGState]:
        x, states, convs, head = (
            rearrange(clip, "b t h w c -> b t c h w"),
            iter(state.convs),
            [],
            [],
        )
        for block in self.blocks:
            x = residual = block.project(x.movedim(2, -1)).movedim(-1, 2)
            for conv in block.convs:
                x, conv_state = conv(x, dt_s, next(states), is_chunk=is_chunk)
                convs.append(conv_state)
            x = block.halve(x + residual)
        y = noisy(self.head_in(x.mean(dim=(-2, -1))), training=self.training)
        for ssm, before in zip(self.head, state.head, strict=True):
            y, after = ssm(y, before)
            head.append(after)
        return self.head_out(y)[..., 0], MERPPGState(tuple(convs), tuple(head))
