"""FacePhys' one-frame step as LiteRT runs it fastest: channels last, and few passes over memory.

XNNPACK, which runs LiteRT's graphs on a CPU, calls one kernel an operator and fuses nothing but a
clamp. Activations are (h w c) throughout, so that no convolution meets a transposition. Every
method here replaces the one of `FacePhysStream` and its parts, and says what XNNPACK gains.
"""

import math
from collections.abc import Sequence

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.export.target import ExportRequest
from physkit.models.facephys.blocks import SSConv
from physkit.models.facephys.network import FacePhys
from physkit.models.facephys.stream import (
    PARTS,
    STRIDE,
    TURN,
    Affine,
    FacePhysStream,
    Halve,
    StreamConv,
    StreamSSM,
)
from physkit.nn.ssm import SSM
from physkit.nn.streaming import State
from physkit.ops.temporal_norm.reference import EPS

MOST_JOINED = 4
"""Tensors that one concatenation may join and still be XNNPACK's."""
PHASES = ((math.pi / 2, math.pi), (0.0, math.pi / 2))
"""Added to a phase, the sines are cos, -sin; sin, cos: the rows of a turn."""


class LoweredSSM(StreamSSM):
    """An SSM whose projection is cut into what is read apart."""

    def __init__(
        self, ssm: SSM, *, before: Affine | None = None, after: Affine | None = None
    ) -> None:
        super().__init__(ssm, before=before, after=after)
        self.weights = nn.ParameterList(self.project.split_with_sizes(self.sizes))
        self.biases = nn.ParameterList(self.project_bias.split_with_sizes(self.sizes))
        self.decays = nn.Parameter(torch.stack([self.a_real, self.a_real]))  # of both parts
        self.skips = nn.Parameter(torch.stack([self.skip, torch.zeros_like(self.skip)]))
        self.turns = nn.Parameter(self.skip.new_tensor(PHASES)[..., None])

    def projected(self, u: Float[Tensor, "1 d"]) -> Sequence[Tensor]:
        """A product for each, where cutting one would be copies."""
        affine = zip(self.weights, self.biases, strict=True)
        return [F.linear(u, weight, bias) for weight, bias in affine]

    def mixed(self, row: Float[Tensor, "1 c"], earlier: Float[Tensor, "1 c"]) -> Sequence[Tensor]:
        """What enters and what is read as columns (n 1), cut after one reshape."""
        mixed = self.relu6(row * self.new_tap + earlier)
        d_inner, d_state, _ = self.mixed_sizes
        x, columns = mixed[:, :d_inner], mixed.reshape(-1, 1)
        return x, columns[d_inner : d_inner + d_state], columns[d_inner + d_state :]

    def advanced(
        self, x: Tensor, b_in: Tensor, c_out: Tensor, delta: Tensor, phase: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The four sines and cosines are one sine of four phases, and both products with the
        state's parts are one product and one sum."""
        decay = (delta * self.decays).exp()
        turn = torch.sin(phase + self.turns)
        enters = (delta * x) * turn[:1]
        state = state * decay.reshape(1, -1) + b_in * enters.reshape(1, -1)
        parts = (state * c_out).sum(dim=0).reshape(1, PARTS, -1)
        y = (turn * parts).sum(dim=1) + self.skips * x
        return y.reshape(1, -1), state


class LoweredConv(StreamConv):
    """An SSConv of channels-last planes; mean and variance are (h w c)."""

    ssm_class = LoweredSSM

    def __init__(self, conv: SSConv) -> None:
        super().__init__(conv)
        width = conv.norm.mean0.shape[1]
        self.beta = nn.Parameter(repeat(conv.norm.beta, "c -> 1 1 w c", w=width))

    def norm(
        self,
        x: Float[Tensor, "h w c"],
        shares: Sequence[Tensor],
        mean: Float[Tensor, "h w c"],
        var: Float[Tensor, "h w c"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """In few passes over a plane: the variance is old (var + (spread off)^2), and what is left
        of its scales is one with gamma."""
        new, old, spread, scale = shares
        off = x - mean
        mean = mean + new * off
        spread = spread * off
        var = old * (var + spread * spread)
        return scale * (off * torch.rsqrt(var + EPS)), mean, var

    def first(self, normed: Float[Tensor, "h w c"]) -> tuple[Tensor, Tensor]:
        """Channels last; beta is as wide as a row of pixels, as shares are."""
        return _convolved(normed + self.beta, self.conv_in, stride=1, padding=1), normed

    def pooled(self, narrow: Float[Tensor, "1 h w c"]) -> Float[Tensor, "1 d"]:
        """In operators that XNNPACK has."""
        return F.relu6(F.linear(narrow, self.expand.weight, self.expand.bias)).mean(dim=(1, 2))

    def second(self, normed: Float[Tensor, "h w c"], steer: Float[Tensor, "1 c"]) -> Tensor:
        """Channels last."""
        steered = normed + steer[:, None, None]
        return F.relu6(_convolved(steered, self.conv_out, stride=1, padding=1))[0]


class LoweredHalve(Halve):
    """The stride-2 convolution between two blocks, channels last."""

    def forward(self, x: Float[Tensor, "h w c"]) -> Float[Tensor, "h2 w2 c"]:
        x = F.pad(x, self.padding) if any(self.padding) else x
        return _convolved(x[None], self, stride=STRIDE, padding=0)[0]


class LoweredStep(FacePhysStream):
    """One frame, states by name in and out, for `litert_torch`.

    request: whether the frame's duration is an input, and how states are kept between calls.
    """

    conv_class, halve_class = LoweredConv, LoweredHalve

    def __init__(self, net: FacePhys, request: ExportRequest) -> None:
        super().__init__(net, order="hwc")
        self.state_dtype = getattr(torch, request.state_dtype)
        widths = [conv.norm.mean0.shape[1] for block in net.blocks for conv in block.convs]
        rates = zip(self.rate, widths, strict=True)
        self.rates = nn.ParameterList(repeat(rate, "c -> w c", w=width) for rate, width in rates)
        self.gammas = nn.ParameterList(self.gamma.unbind(0))
        self.columns = nn.Parameter(self.taps.T[..., None])
        for weight in self.head[0].weights:  # it reads tap by tap here, not channel by channel
            weight.data = rearrange(weight.data, "o (c taps) -> o (taps c)", taps=STRIDE**2)
        fixed_dt_s, self.dt_s, self.fixed_shares = request.fixed_dt_s, None, None
        if fixed_dt_s is not None:
            dt_s = self.rate.new_tensor([fixed_dt_s])
            fixed_shares = [tuple(x.detach() for x in each) for each in self.shares(dt_s)]
            self.dt_s, self.fixed_shares = dt_s, fixed_shares

    def forward(
        self,
        frames: Float[Tensor, "1 h w 3"],
        dt_s: Float[Tensor, "1"] | None = None,
        **kept: Tensor,
    ) -> State:
        """Pulse (1) and the new states, in the order of the artifact's outputs."""
        state = {name: x.to(frames.dtype) for name, x in kept.items()}
        dt_s = self.dt_s if dt_s is None else dt_s
        assert dt_s is not None  # of the artifact's inputs, or of the request
        pulse, after = self.step(frames, state, dt_s=dt_s)
        return {"pulse": pulse} | {f"new_{k}": x.to(self.state_dtype) for k, x in after.items()}

    def shares(self, dt_s: Float[Tensor, "1"]) -> Sequence[Sequence[Tensor]]:
        """(w c) each: what the mean takes, what the variance keeps, how a distance from the old
        mean is scaled before its square is added to the variance, and for the answer.

        As wide as a row of pixels: broadcasting 32 numbers costs a call for every pixel.
        """
        return self.fixed_shares or [
            _shares(rate, gamma, dt_s) for rate, gamma in zip(self.rates, self.gammas, strict=True)
        ]

    def enter(self, frame: Float[Tensor, "1 h w 3"]) -> Float[Tensor, "h w c"]:
        """Channels last, so a linear layer."""
        return F.linear(frame[0], self.project[:, :, 0, 0])

    def planes(self, statistic: Float[Tensor, "h w c"]) -> Tensor:
        """As it is: channels are last here too."""
        return statistic

    def statistic(self, planes: Float[Tensor, "h w c"]) -> Tensor:
        """As it is."""
        return planes

    def pool(self, x: Float[Tensor, "h w c"]) -> Float[Tensor, "1 d"]:
        """Tap by tap, then channel by channel: a product and a sum, without a transposition."""
        return (self.columns * x.reshape(1, -1, x.shape[-1])).sum(dim=1).reshape(1, -1)

    def phases(self, phase: Float[Tensor, "1 m"]) -> Sequence[Tensor]:
        """By floor, which XNNPACK knows, where fmod would cut the graph."""
        phase = phase - TURN * torch.floor(phase * (1 / TURN))
        return phase.split_with_sizes(self.phase_sizes, dim=1)

    def side_by_side(self, parts: Sequence[Float[Tensor, "1 _"]]) -> Float[Tensor, "1 n"]:
        """Few at a time: by turns as columns and as rows, or they are joined again."""
        axis = 1
        while len(parts) > 1:
            groups = [parts[k : k + MOST_JOINED] for k in range(0, len(parts), MOST_JOINED)]
            joined = [torch.cat(list(group), dim=axis) for group in groups]
            axis = 1 - axis
            parts = [part.reshape((1, -1) if axis else (-1, 1)) for part in joined]
        return parts[0].reshape(1, -1)


def _shares(rate: Tensor, gamma: Tensor, dt_s: Tensor) -> tuple[Tensor, ...]:
    new = (rate * dt_s).clamp(max=1)
    old = 1 - new
    return new, old, (new * old).sqrt(), gamma * old


def _convolved(
    x: Float[Tensor, "1 h w c"], layer: nn.Conv2d | Halve, *, stride: int, padding: int
) -> Float[Tensor, "1 h2 w2 d"]:
    """A convolution of a channels-last picture; the converter drops both permutations."""
    y = F.conv2d(x.permute(0, 3, 1, 2), layer.weight, layer.bias, stride, padding)
    return y.permute(0, 2, 3, 1)
