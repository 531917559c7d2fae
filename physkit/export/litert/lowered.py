"""FacePhys' one-frame step as LiteRT runs it fastest: channels last, and few passes over memory.

The same function as `FacePhysStream.step`, of whose weights it is made, and with the same states.
What is written otherwise, because XNNPACK (which runs LiteRT's graphs on a CPU) calls one kernel an
operator and fuses nothing but a clamp:

- Activations are (1 h w c) throughout, so that no convolution meets a transposition.
- TemporalNorm takes few passes over a picture: the variance is var = old (var + (spread off)^2),
  and what is left of its scales is one with gamma.
- Shares are as wide as a row of pixels: broadcasting 32 numbers costs a call for every pixel.
- An SSM's four sines and cosines are one sine of four phases, and both products with the state's
  parts are one product and one sum.
- The phase is brought back by floor, which XNNPACK knows, where fmod would cut the graph.
"""

import math
from collections.abc import Iterable
from typing import cast

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.export.target import ExportRequest
from physkit.models.facephys.blocks import CONVS_A_BLOCK
from physkit.models.facephys.stream import (
    PARTS,
    STRIDE,
    TURN,
    FacePhysStream,
    Halve,
    StreamConv,
    StreamSSM,
)
from physkit.nn.ssm import NOMINAL_FPS
from physkit.nn.streaming import State
from physkit.ops.ssm_mixer.composed import MAX_STEP, NORM_EPS
from physkit.ops.temporal_norm.reference import EPS

MOST_JOINED = 4
"""Tensors that one concatenation may join and still be XNNPACK's."""
PHASES = ((math.pi / 2, math.pi), (0.0, math.pi / 2))
"""Added to a phase, the sines are cos, -sin; sin, cos: the rows of a turn."""


def _conv(
    x: Float[Tensor, "1 h w c"], layer: nn.Conv2d | Halve, *, stride: int, padding: int
) -> Float[Tensor, "1 h2 w2 d"]:
    """A convolution of a channels-last picture; the converter drops both permutations."""
    y = F.conv2d(x.permute(0, 3, 1, 2), layer.weight, layer.bias, stride, padding)
    return y.permute(0, 2, 3, 1)


def _side_by_side(parts: list[Float[Tensor, "1 _"]]) -> Float[Tensor, "1 n"]:
    """Columns joined, few at a time: by turns as columns and as rows, or they are joined again."""
    axis = 1
    while len(parts) > 1:
        groups = [parts[k : k + MOST_JOINED] for k in range(0, len(parts), MOST_JOINED)]
        parts = [torch.cat(group, dim=axis) for group in groups]
        axis = 1 - axis
        shape = (1, -1) if axis else (-1, 1)
        parts = [part.reshape(shape) for part in parts]
    return parts[0].reshape(1, -1)


class LoweredSSM(nn.Module):
    """`StreamSSM`, its projection cut into what is read apart."""

    def __init__(self, ssm: StreamSSM) -> None:
        super().__init__()
        self.d_inner, self.d_state = ssm.d_inner, ssm.d_state
        sizes = [PARTS * ssm.d_inner, ssm.n_mixed, ssm.d_inner]
        self.weights = nn.ParameterList(ssm.project.split_with_sizes(sizes))
        self.biases = nn.ParameterList(ssm.project_bias.split_with_sizes(sizes))
        self.new_tap, self.a_imag = ssm.new_tap, ssm.a_imag
        self.a_real = nn.Parameter(torch.stack([ssm.a_real, ssm.a_real]))  # of both parts
        self.skip = nn.Parameter(torch.stack([ssm.skip, torch.zeros_like(ssm.skip)]))
        self.phases = nn.Parameter(self.skip.new_tensor(PHASES)[..., None])
        self.read_out, self.read_out_bias = ssm.read_out, ssm.read_out_bias

    def forward(
        self,
        u: Float[Tensor, "1 d"],
        frames: Float[Tensor, "1"],
        earlier: Float[Tensor, "1 c"],
        phase: Float[Tensor, "1 m"],
        state: Float[Tensor, "n q"],
    ) -> tuple[Float[Tensor, "1 e"], Tensor, Tensor, Tensor]:
        """As `StreamSSM.forward`."""
        affine = zip(self.weights, self.biases, strict=True)
        gate, row, dt = (F.linear(u, weight, bias) for weight, bias in affine)
        gate = F.relu6(gate)
        mixed = F.relu6(row * self.new_tap + earlier)
        x, columns = mixed[:, : self.d_inner], mixed.reshape(-1, 1)
        b_in = columns[self.d_inner : self.d_inner + self.d_state]
        c_out = columns[self.d_inner + self.d_state :]
        delta = dt.exp().clamp(max=MAX_STEP) * frames
        decay = (delta * self.a_real).exp()
        phase = phase + delta * self.a_imag
        turn = torch.sin(phase + self.phases)
        enters = (delta * x) * turn[:1]
        state = state * decay.reshape(1, -1) + b_in * enters.reshape(1, -1)
        parts = (state * c_out).sum(dim=0).reshape(1, PARTS, -1)
        y = (turn * parts).sum(dim=1) + self.skip * x
        y = y.reshape(1, -1) * gate
        y = y * torch.rsqrt((y * y).mean(dim=1, keepdim=True) + NORM_EPS)
        return F.linear(y, self.read_out, self.read_out_bias), row, phase, state


class LoweredConv(nn.Module):
    """`StreamConv`, given what its TemporalNorm takes of a frame."""

    def __init__(self, conv: StreamConv, rate: Tensor, gamma: Tensor, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(gamma)
        self.rate = nn.Parameter(repeat(rate, "c -> w c", w=width))
        self.beta = nn.Parameter(repeat(conv.beta[:, 0, 0], "c -> 1 1 w c", w=width))
        self.conv_in, self.expand, self.conv_out = conv.conv_in, conv.expand, conv.conv_out
        self.ssm = LoweredSSM(conv.ssm)

    def shares(self, dt_s: Float[Tensor, "1"]) -> tuple[Tensor, ...]:
        """(w c) each: what the mean takes, what the variance keeps, how a distance from the old
        mean is scaled before its square is added to the variance, and for the answer."""
        new = (self.rate * dt_s).clamp(max=1)
        old = 1 - new
        return new, old, (new * old).sqrt(), self.gamma * old

    def forward(
        self,
        x: Float[Tensor, "h w c"],
        shares: tuple[Tensor, ...],
        mean: Float[Tensor, "h w c"],
        var: Float[Tensor, "h w c"],
        *ssm_inputs: Tensor,
    ) -> tuple[Tensor, ...]:
        """One frame: what comes out, the new mean and variance, and what the SSM keeps."""
        new, old, spread, scale = shares
        off = x - mean
        mean = mean + new * off
        spread = spread * off
        var = old * (var + spread * spread)
        normed = scale * (off * torch.rsqrt(var + EPS))
        narrow = _conv(normed + self.beta, self.conv_in, stride=1, padding=1)
        wide = F.relu6(F.linear(narrow, self.expand.weight, self.expand.bias))
        steer, *kept = self.ssm(wide.mean(dim=(1, 2)), *ssm_inputs)
        y = F.relu6(_conv(normed + steer[:, None, None], self.conv_out, stride=1, padding=1))
        return y[0], mean, var, *kept


class LoweredStep(nn.Module):
    """One frame, states by name in and out, for `litert_torch`.

    request: whether the frame's duration is an input, and how states are kept between calls.
    """

    def __init__(self, net: FacePhysStream, request: ExportRequest) -> None:
        super().__init__()
        self.net = net
        self.state_dtype = getattr(torch, request.state_dtype)
        width = net.config.width
        convs = []
        for k, layer in enumerate(cast(Iterable[StreamConv], net.convs)):
            convs.append(LoweredConv(layer, net.rate[k], net.gamma[k], width))
            width = -(-width // STRIDE) if k % CONVS_A_BLOCK else width
        head = [LoweredSSM(ssm) for ssm in cast(Iterable[StreamSSM], net.head)]
        self.convs: Iterable[LoweredConv] = nn.ModuleList(convs)  # type: ignore[assignment]
        self.head: Iterable[LoweredSSM] = nn.ModuleList(head)  # type: ignore[assignment]
        self.halves = cast(list[Halve], list(net.halves))
        self.taps = nn.Parameter(net.pool.taps.T[..., None])
        for weight in head[0].weights:  # it reads tap by tap here, not channel by channel
            weight.data = rearrange(weight.data, "o (c taps) -> o (taps c)", taps=STRIDE**2)
        fixed_dt_s = request.fixed_dt_s
        self.dt_s = None if fixed_dt_s is None else net.rate.new_tensor([fixed_dt_s])
        self.fixed_shares = [] if self.dt_s is None else [_constants(c, self.dt_s) for c in convs]

    def forward(
        self,
        frames: Float[Tensor, "1 h w 3"],
        dt_s: Float[Tensor, "1"] | None = None,
        **kept: Tensor,
    ) -> State:
        """Pulse (1) and the new states, in the order of the artifact's outputs."""
        net = self.net
        state = {name: x.to(frames.dtype) for name, x in kept.items()}
        after: State = {}
        rows, phases = [], []

        def keep(k: int, row: Tensor, phase: Tensor, ssm: Tensor) -> None:
            after[f"ssm_{k}"] = ssm
            rows.append(row)
            phases.append(phase)

        dt_s = self.dt_s if dt_s is None else dt_s
        assert dt_s is not None  # of the artifact's inputs, or of the request
        ssm_inputs = self._ssm_inputs(dt_s * NOMINAL_FPS, state)
        x = F.linear(frames[0], net.project[:, :, 0, 0])
        for k, layer in enumerate(self.convs):
            if k % CONVS_A_BLOCK == 0:
                residual = x = self._halve(self.halves[k // CONVS_A_BLOCK - 1], x) if k else x
            shares = self.fixed_shares[k] if self.fixed_shares else layer.shares(dt_s)
            statistics = (state[f"mean_{k}"], state[f"var_{k}"])
            x, after[f"mean_{k}"], after[f"var_{k}"], *ssm = layer(
                x, shares, *statistics, *ssm_inputs[k]
            )
            keep(k, *ssm)
            if k % CONVS_A_BLOCK == CONVS_A_BLOCK - 1:
                x = x + residual
        y = (self.taps * x.reshape(1, -1, x.shape[-1])).sum(dim=1).reshape(1, -1)
        for k, head in enumerate(self.head, start=len(net.convs)):
            y, *ssm = head(y, *ssm_inputs[k])
            keep(k, *ssm)
        after["rows"] = torch.cat([state["rows"][1:], _side_by_side(rows)])
        after["phase"] = _side_by_side(phases)
        new = {f"new_{name}": after[name].to(self.state_dtype) for name in net.state_names()}
        return {"pulse": y[:, 0], **new}

    def _halve(self, halve: Halve, x: Float[Tensor, "h w c"]) -> Float[Tensor, "h2 w2 c"]:
        x = F.pad(x, halve.padding) if any(halve.padding) else x
        return _conv(x[None], halve, stride=STRIDE, padding=0)[0]

    def _ssm_inputs(self, frames: Tensor, state: State) -> list[tuple[Tensor, ...]]:
        """What `LoweredSSM` takes, for each of them."""
        net = self.net
        phase = state["phase"] - TURN * torch.floor(state["phase"] * (1 / TURN))
        by_ssm = zip(
            net.earlier_rows(state["rows"]),
            phase.split_with_sizes(net.phase_sizes, dim=1),
            (state[f"ssm_{k}"] for k in range(len(net.row_sizes))),
            strict=True,
        )
        return [(frames, *inputs) for inputs in by_ssm]


def _constants(layer: LoweredConv, dt_s: Tensor) -> tuple[Tensor, ...]:
    return tuple(x.detach() for x in layer.shares(dt_s))
