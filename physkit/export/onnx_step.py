"""The deployed step in the operators that ONNX runtimes run fastest: the same function again.

Statistics are (c h w), the order in which ONNX Runtime adds a value a channel in long runs, and
which its blocked convolutions read and write. Each pass over a map costs more than all operators on
a head's values, so TemporalNorm is written for few passes: gamma, beta and the SSM's steer enter
with the scale and shift of a batch normalisation, and the expansion is a 1x1 convolution that a
pooling follows, all in blocked order. What an SSM's poles turn is a rotary embedding.
"""

from collections.abc import Iterator
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

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
from physkit.ops.ssm_mixer.composed import MAX_STEP, NORM_EPS
from physkit.ops.temporal_norm.reference import EPS


class SSMInputs(NamedTuple):
    """What one SSM is given beside what it reads: (1, ..), but phase (1 1 m) and state (n q)."""

    frames: Tensor
    earlier: Tensor
    phase: Tensor
    state: Tensor


class OnnxStep(nn.Module):
    """One frame of `stream`, whose order must be chw: tensors in, tensors out, as files have them.

    fixed_dt_s: seconds between frames where `dt_s` is no input.
    """

    zeros: Tensor
    ones: Tensor

    def __init__(self, stream: FacePhysStream, *, fixed_dt_s: float | None = None) -> None:
        super().__init__()
        self.stream, self.fixed_dt_s = stream, fixed_dt_s
        self.names = stream.state_names()
        convs, rate = self._convs(), stream.rate
        self.channels = rate.shape[1]
        with torch.no_grad():
            self.rate = nn.Parameter(rate.reshape(-1, 1, 1))
            self.register_buffer("zeros", rate.new_zeros(self.channels), persistent=False)
            self.register_buffer("ones", rate.new_ones(self.channels), persistent=False)
            self.betas = nn.ParameterList(conv.beta.flatten() for conv in convs)
            self.gammas = nn.ParameterList(stream.gamma.unbind(0))
            self.expands = nn.ParameterList(conv.expand.weight[..., None, None] for conv in convs)
            sizes = [PARTS * n for n in stream.phase_sizes]
            self.norm_ones = nn.ParameterList(rate.new_ones(n) for n in sizes)

    def forward(self, frames: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """`dt_s` unless it is fixed, then the states; the pulse and the new states."""
        if self.fixed_dt_s is None:
            dt_s, *states = rest
        else:
            dt_s, states = frames.new_full((1,), self.fixed_dt_s), list(rest)
        state = dict(zip(self.names, states, strict=True))
        new = torch.clamp(self.rate * dt_s, max=1)
        sizes = [self.channels] * len(self.betas)
        shares = list(zip(*(x.split_with_sizes(sizes) for x in (new, 1 - new)), strict=True))
        inputs = self._ssm_inputs(dt_s * NOMINAL_FPS, state)
        after: dict[str, Tensor] = {}
        kept: list[tuple[Tensor, ...]] = []
        x = F.conv2d(frames.movedim(-1, -3), self.stream.project)
        for k, conv in enumerate(self._convs()):
            if k % CONVS_A_BLOCK == 0:
                x = residual = self._halved(k // CONVS_A_BLOCK - 1, x) if k else x
            statistics = state[f"mean_{k}"], state[f"var_{k}"]
            x, after[f"mean_{k}"], after[f"var_{k}"], *of_ssm = self._conv(
                conv, k, x, shares[k], *statistics, next(inputs)
            )
            kept.append(tuple(of_ssm))
            if k % CONVS_A_BLOCK == CONVS_A_BLOCK - 1:
                x = x + residual
        y = self.stream.pool(x)
        for k, ssm in enumerate(self._head(), start=len(self.betas)):
            y, *of_ssm = self._ssm(ssm, k, y, next(inputs))
            kept.append(tuple(of_ssm))
        rows, phases, ssms = zip(*kept, strict=True)
        after |= {f"ssm_{k}": x for k, x in enumerate(ssms)}
        after["rows"] = torch.cat([state["rows"][1:], torch.cat(rows, dim=1)])
        after["phase"] = torch.cat(phases, dim=2).reshape(1, -1)
        return y[:, 0], *(after[name] for name in self.names)

    def _convs(self) -> list[StreamConv]:
        return cast("list[StreamConv]", list(self.stream.convs))

    def _head(self) -> list[StreamSSM]:
        return cast("list[StreamSSM]", list(self.stream.head))

    def _halved(self, i: int, x: Tensor) -> Tensor:
        halve = cast("Halve", self.stream.halves[i])
        _, _, _, right, _, bottom = halve.padding
        return F.conv2d(F.pad(x, (0, right, 0, bottom)), halve.weight, halve.bias, stride=STRIDE)

    def _ssm_inputs(self, frames: Tensor, state: dict[str, Tensor]) -> Iterator[SSMInputs]:
        stream = self.stream
        phase = torch.fmod(state["phase"], TURN)[None]
        by_ssm = zip(
            stream.earlier_rows(state["rows"]),
            phase.split_with_sizes(stream.phase_sizes, dim=2),
            strict=True,
        )
        return (SSMInputs(frames, *inputs, state[f"ssm_{k}"]) for k, inputs in enumerate(by_ssm))

    def _conv(
        self,
        conv: StreamConv,
        k: int,
        x: Tensor,
        shares: tuple[Tensor, Tensor],
        mean: Tensor,
        var: Tensor,
        inputs: SSMInputs,
    ) -> tuple[Tensor, ...]:
        new, old = shares
        x = x.reshape(mean.shape)
        centred = old * (x - mean)
        mean = x - centred
        var = new * (centred * centred) + old * var
        normed = (centred / torch.sqrt(var + EPS)).unsqueeze(0)
        wide = conv.conv_in(self._affine(normed, k, self.betas[k]))
        wide = F.conv2d(wide, self.expands[k], conv.expand.bias)
        pooled = F.avg_pool2d(torch.clamp(wide, 0, 6), mean.shape[1:]).reshape(1, -1)
        steer, *of_ssm = self._ssm(conv.ssm, k, pooled, inputs)
        out = conv.conv_out(self._affine(normed, k, steer.reshape(-1)))
        return torch.clamp(out, 0, 6), mean, var, *of_ssm

    def _affine(self, normed: Tensor, k: int, shift: Tensor) -> Tensor:
        return F.batch_norm(normed, self.zeros, self.ones, self.gammas[k], shift, eps=0.0)

    def _ssm(self, ssm: StreamSSM, k: int, u: Tensor, inputs: SSMInputs) -> tuple[Tensor, ...]:
        sizes = [PARTS * ssm.d_inner, ssm.n_mixed, ssm.d_inner]
        gate, row, dt = F.linear(u, ssm.project, ssm.project_bias).split_with_sizes(sizes, dim=1)
        mixed = torch.clamp(row * ssm.new_tap + inputs.earlier, 0, 6)
        x, b_in, c_out = mixed.split_with_sizes([ssm.d_inner, ssm.d_state, ssm.d_state], dim=1)
        delta = torch.clamp(dt.exp(), max=MAX_STEP) * inputs.frames
        phase = inputs.phase + delta * ssm.a_imag
        cos, sin = phase.cos(), phase.sin()
        turned_back = torch.cat([x * cos, x * -sin], dim=-1).reshape(1, -1)
        delta = torch.cat([delta, delta], dim=1)
        decay = (delta * torch.cat([ssm.a_real, ssm.a_real])).exp()
        # A product of matrices adds to something at no cost: to what is kept, and to the skip.
        state = torch.addmm(inputs.state * decay, b_in.T, delta * turned_back)
        y = torch.addmm(turned_back * torch.cat([ssm.skip, ssm.skip]), c_out, state)
        y = torch.onnx.ops.rotary_embedding(y[None], cos, sin, num_heads=1).reshape(1, -1)
        y = y * torch.clamp(gate, 0, 6)
        # So written, ONNX Runtime sees a root-mean-square norm, and makes it one operator.
        y = y / torch.sqrt(y.pow(2).mean(dim=-1, keepdim=True) + NORM_EPS) * self.norm_ones[k]
        return F.linear(y, ssm.read_out, ssm.read_out_bias), row, phase, state
