"""The deployed step in the operators that ONNX runtimes run fastest: the same function again.

Each pass over a map costs more than all operators on a head's values, and ONNX Runtime keeps maps
in blocked order from one convolution, batch normalisation or pooling to the next. Every method here
replaces the one of `FacePhysStream` and its parts, and says what ONNX Runtime gains.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.models.facephys.blocks import SSConv
from physkit.models.facephys.network import FacePhys
from physkit.models.facephys.stream import (
    TURN,
    Affine,
    FacePhysStream,
    Halve,
    StreamConv,
    StreamSSM,
)
from physkit.nn.ssm import SSM
from physkit.ops.ssm_mixer.composed import NORM_EPS
from physkit.ops.temporal_norm.reference import EPS


class OnnxSSM(StreamSSM):
    """An SSM whose phase is (1 1 m)."""

    def __init__(
        self, ssm: SSM, *, before: Affine | None = None, after: Affine | None = None
    ) -> None:
        super().__init__(ssm, before=before, after=after)
        self.norm_ones = nn.Parameter(torch.ones_like(self.read_out[0]))

    def advanced(
        self, x: Tensor, b_in: Tensor, c_out: Tensor, delta: Tensor, phase: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the poles turn is a rotary embedding, and a product of matrices adds to something
        at no cost: to what is kept, and to what goes past the state."""
        cos, sin = phase.cos(), phase.sin()
        turned_back = torch.cat([x * cos, x * -sin], dim=-1).reshape(1, -1)
        delta = torch.cat([delta, delta], dim=1)
        decay = (delta * torch.cat([self.a_real, self.a_real])).exp()
        state = torch.addmm(state * decay, b_in.T, delta * turned_back)
        y = torch.addmm(turned_back * torch.cat([self.skip, self.skip]), c_out, state)
        y = torch.onnx.ops.rotary_embedding(y[None], cos, sin, num_heads=1)
        return y.reshape(1, -1), state

    def normed(self, y: Float[Tensor, "1 q"]) -> Tensor:
        """So written, ONNX Runtime sees a root-mean-square norm, and makes it one operator."""
        return y / torch.sqrt(y.pow(2).mean(dim=-1, keepdim=True) + NORM_EPS) * self.norm_ones


class OnnxConv(StreamConv):
    """An SSConv whose statistics are (c h w), and whose norm leaves gamma to what reads it."""

    ssm_class = OnnxSSM
    zeros: Tensor
    ones: Tensor

    def __init__(self, conv: SSConv) -> None:
        super().__init__(conv)
        gamma, beta = conv.norm.gamma, conv.norm.beta
        self.gamma, self.beta = nn.Parameter(gamma), nn.Parameter(beta)
        self.wide = nn.Parameter(conv.expand.weight[..., None, None])
        self.register_buffer("zeros", torch.zeros_like(gamma), persistent=False)
        self.register_buffer("ones", torch.ones_like(gamma), persistent=False)

    def norm(
        self,
        x: Float[Tensor, "1 c h w"],
        shares: Sequence[Tensor],
        mean: Float[Tensor, "c h w"],
        var: Float[Tensor, "c h w"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """In few passes: by the distance from the new mean, and gamma enters in `shifted`."""
        new, old = shares
        x = x.reshape(mean.shape)
        centred = old * (x - mean)
        mean = x - centred
        var = new * (centred * centred) + old * var
        return (centred / torch.sqrt(var + EPS)).unsqueeze(0), mean, var

    def shifted(self, normed: Float[Tensor, "1 c h w"], shift: Tensor) -> Tensor:
        """Scale and shift of a batch normalisation, in the convolution's blocked order."""
        shift = shift.reshape(-1)
        return F.batch_norm(normed, self.zeros, self.ones, self.gamma, shift, eps=0.0)

    def pooled(self, narrow: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 d"]:
        """A 1x1 convolution that a pooling follows, both in blocked order."""
        wide = F.relu6(F.conv2d(narrow, self.wide, self.expand.bias))
        return F.avg_pool2d(wide, wide.shape[2:]).reshape(1, -1)


class OnnxHalve(Halve):
    """The stride-2 convolution between two blocks."""

    def padded(self, x: Float[Tensor, "1 c h w"]) -> Tensor:
        """Without transpositions, as channels come first here."""
        _, _, _, right, _, bottom = self.padding
        return F.pad(x, (0, right, 0, bottom))


class OnnxStep(FacePhysStream):
    """One frame of `net`: tensors in, tensors out, as files have them.

    Statistics are (c h w), the order in which ONNX Runtime adds a value a channel in long runs, and
    which its blocked convolutions read and write.

    fixed_dt_s: seconds between frames where `dt_s` is no input.
    """

    conv_class, halve_class = OnnxConv, OnnxHalve

    def __init__(self, net: FacePhys, *, fixed_dt_s: float | None = None) -> None:
        super().__init__(net, order="chw")
        self.fixed_dt_s = fixed_dt_s
        self.rates = nn.Parameter(self.rate.reshape(-1, 1, 1))

    def forward(self, frames: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """`dt_s` unless it is fixed, then the states; the pulse and the new states."""
        if self.fixed_dt_s is None:
            dt_s, *states = rest
        else:
            dt_s, states = frames.new_full((1,), self.fixed_dt_s), list(rest)
        state = dict(zip(self.state_names(), states, strict=True))
        pulse, state = self.step(frames, state, dt_s=dt_s)
        return pulse, *state.values()

    def shares(self, dt_s: Float[Tensor, "1"]) -> Sequence[Sequence[Tensor]]:
        """(c 1 1) each: what the statistics take of the new frame, and what they keep."""
        new = torch.clamp(self.rates * dt_s, max=1)
        sizes = [self.rate.shape[1]] * len(self.rate)
        return list(zip(*(x.split_with_sizes(sizes) for x in (new, 1 - new)), strict=True))

    def planes(self, statistic: Float[Tensor, "c h w"]) -> Tensor:
        """As it is: an axis more would be two operators a statistic."""
        return statistic

    def statistic(self, planes: Float[Tensor, "c h w"]) -> Tensor:
        """As it is."""
        return planes

    def phases(self, phase: Float[Tensor, "1 m"]) -> Sequence[Float[Tensor, "1 1 _"]]:
        """Of three axes, as a rotary embedding takes them."""
        return torch.fmod(phase, TURN)[None].split_with_sizes(self.phase_sizes, dim=2)

    def side_by_side(self, parts: Sequence[Tensor]) -> Float[Tensor, "1 n"]:
        """Phases have three axes here."""
        return torch.cat(list(parts), dim=-1).flatten(0, -2)
