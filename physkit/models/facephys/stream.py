"""FacePhys' one-frame step in the form that is deployed: the same function, in far fewer operators.

Exact rewritings of `FacePhys.step`, which stays the definition:

- An SSM's state h turns and decays, and all entries of a head turn alike. So g = exp(-i T) h is
  kept, T being how far the head has turned so far: g only decays, by a real factor, and what enters
  and what is read is turned instead, 4 values a head in place of 1,024 (a complex pole as a rotary
  embedding).
- Affine maps with nothing between them are one: a block's projection and the stride-2 convolution
  before it; an SSM's norm weight, its output, and what reads it; and, at the end, the last
  convolution, the mean over space, the head's input and its first projection.
- What depends on the past alone is computed for all layers at once: the shares of TemporalNorm, and
  what earlier rows give to the short convolutions of the SSMs, of which three rows have to be kept.

`template.py` has the order of the parts. The forms for ONNX and LiteRT are subclasses of these.
"""

from collections.abc import Sequence
from itertools import pairwise, starmap
from typing import ClassVar

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.core.artifact import Order
from physkit.models.facephys.blocks import Block, SSConv, SSConvState
from physkit.models.facephys.network import FacePhys, FacePhysState
from physkit.models.facephys.template import FacePhysTemplate, SSConvTemplate, SSMTemplate
from physkit.nn.ssm import SSM, SSMState
from physkit.nn.streaming import State
from physkit.nn.temporal_norm import TemporalNormState
from physkit.ops.expand_pool.reference import expand_pool
from physkit.ops.ssm_mixer.composed import MAX_STEP, NORM_EPS
from physkit.ops.temporal_norm.reference import EPS, LN2

TURN = 2 * torch.pi
PARTS = 2
"""Real and imaginary part of a state."""
STRIDE = 2

Affine = tuple[Tensor, Tensor]
"""Weight and bias."""


class StreamSSM(SSMTemplate, nn.Module):
    """An SSM whose state only decays; a head's values are repeated for each row of its state.

    before, after: affine maps around it, folded into the layer's own.
    """

    def __init__(
        self, ssm: SSM, *, before: Affine | None = None, after: Affine | None = None
    ) -> None:
        super().__init__()
        self.head_dim = ssm.head_dim
        self.mixed_sizes = [ssm.d_inner, ssm.d_state, ssm.d_state]
        self.sizes = [PARTS * ssm.d_inner, sum(self.mixed_sizes), ssm.d_inner]
        gate, mixed, dt = ssm.in_proj.weight.split_with_sizes([*self.sizes[:2], ssm.n_heads])
        project = torch.cat([self._parts_first(gate), mixed, self._by_row(dt)])
        zeros = project.new_zeros(sum(self.sizes[:2]))
        bias = torch.cat([zeros, self._by_row(ssm.dt_bias)])
        if before is not None:
            project, bias = project @ before[0], bias + project @ before[1]
        self.project, self.project_bias = nn.Parameter(project), nn.Parameter(bias)
        self.new_tap = nn.Parameter(ssm.conv_weight[-1])
        self.a_real = nn.Parameter(self._by_row(-ssm.a_log_real.exp()))
        self.a_imag = nn.Parameter(self._by_row(ssm.a_imag))
        self.skip = nn.Parameter(self._by_row(ssm.skip[::PARTS]))
        read_out = self._parts_first((ssm.out_proj.weight * ssm.norm_weight).T).T
        zeros = read_out.new_zeros(read_out.shape[0])
        weight, bias = (read_out, zeros) if after is None else (after[0] @ read_out, after[1])
        self.read_out, self.read_out_bias = nn.Parameter(weight), nn.Parameter(bias)

    def _by_row(self, x: Tensor) -> Tensor:
        return repeat(x, "heads ... -> (heads p) ...", p=self.head_dim)

    def _parts_first(self, x: Tensor) -> Tensor:
        pattern = "(heads part p) ... -> (part heads p) ..."
        return rearrange(x, pattern, part=PARTS, p=self.head_dim)

    def projected(self, u: Float[Tensor, "1 d"]) -> Sequence[Tensor]:
        return F.linear(u, self.project, self.project_bias).split_with_sizes(self.sizes, dim=1)

    def mixed(self, row: Float[Tensor, "1 c"], earlier: Float[Tensor, "1 c"]) -> Sequence[Tensor]:
        mixed = self.relu6(row * self.new_tap + earlier)
        return mixed.split_with_sizes(self.mixed_sizes, dim=1)

    def duration(self, dt: Float[Tensor, "1 m"], frames: Float[Tensor, "1"]) -> Tensor:
        return dt.exp().clamp(max=MAX_STEP) * frames

    def advanced(
        self, x: Tensor, b_in: Tensor, c_out: Tensor, delta: Tensor, phase: Tensor, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        decay = (delta * self.a_real).exp()
        cos, sin, drive = phase.cos(), phase.sin(), delta * x
        enters = torch.cat([drive * cos, -drive * sin], dim=1)
        state = state * torch.cat([decay, decay], dim=1) + b_in.T * enters
        real, imag = (c_out @ state).chunk(PARTS, dim=1)
        turned = [cos * real - sin * imag + self.skip * x, sin * real + cos * imag]
        return torch.cat(turned, dim=1), state

    def relu6(self, x: Tensor) -> Tensor:
        return F.relu6(x)

    def normed(self, y: Float[Tensor, "1 q"]) -> Tensor:
        return y * torch.rsqrt((y * y).mean(dim=1, keepdim=True) + NORM_EPS)

    def read_by_next(self, y: Float[Tensor, "1 q"]) -> Tensor:
        return F.linear(y, self.read_out, self.read_out_bias)


class StreamConv(SSConvTemplate, nn.Module):
    """An SSConv whose TemporalNorm is given its shares, and adds beta where that is cheap."""

    ssm_class: ClassVar[type[StreamSSM]] = StreamSSM
    ssm: StreamSSM

    def __init__(self, conv: SSConv) -> None:
        super().__init__()
        self.beta = nn.Parameter(conv.norm.beta[None])
        self.conv_in, self.expand, self.conv_out = conv.conv_in, conv.expand, conv.conv_out
        self.ssm = self.ssm_class(conv.ssm, after=(conv.steer.weight, conv.norm.beta))

    def norm(
        self,
        x: Float[Tensor, "1 c h w"],
        shares: Sequence[Tensor],
        mean: Float[Tensor, "1 c h w"],
        var: Float[Tensor, "1 c h w"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        new, old, new_square, scale = shares
        off = x - mean
        mean = mean + new * off
        var = old * var + new_square * (off * off)
        return scale * off / torch.sqrt(var + EPS), mean, var

    def first(self, normed: Float[Tensor, "1 c h w"]) -> tuple[Tensor, Tensor]:
        return self.conv_in(self.shifted(normed, self.beta)), normed

    def pooled(self, narrow: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 d"]:
        return expand_pool(narrow, self.expand.weight, self.expand.bias)

    def second(self, normed: Float[Tensor, "1 c h w"], steer: Float[Tensor, "1 c"]) -> Tensor:
        out: Tensor = self.conv_out(self.shifted(normed, steer), relu6=True)
        return out

    def shifted(self, normed: Float[Tensor, "1 c h w"], shift: Float[Tensor, "1 c"]) -> Tensor:
        """`normed` and, at every position, `shift`."""
        return normed + shift[..., None, None]


class Halve(nn.Module):
    """The stride-2 convolution after `block`, with the projection of the block `after` it."""

    def __init__(self, block: Block, after: Block) -> None:
        super().__init__()
        self.padding = block.padding
        project = after.project.weight
        weight = torch.einsum("po,oikl->pikl", project, block.downsample.weight)
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
        self.bias = nn.Parameter(F.linear(_bias(block.downsample), project))

    def forward(self, x: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h2 w2"]:
        """Half the rows and columns, rounded up."""
        return F.conv2d(self.padded(x), self.weight, self.bias, stride=STRIDE)

    def padded(self, x: Float[Tensor, "1 c h w"]) -> Tensor:
        """With zeros right and below where rows or columns are odd."""
        if any(self.padding):  # of the channels-last view: padding keeps no other memory order
            x = F.pad(x.movedim(-3, -1), self.padding).movedim(-1, -3)
        return x


class FacePhysStream(FacePhysTemplate, nn.Module):
    """The one-frame step of a FacePhys for one stream, with the weights that `net` has now.

    order: of the axes of the running statistics, "hwc" or "chw", whichever the convolutions of the
      runtime take.

    States by name, float32 or as `net` is; k counts the SSConvs from the input, and for `ssm_k` on
    through the SSMs of the head: `mean_k` and `var_k`, (h w c) or (c h w); `ssm_k`,
    (d_state, 2 d_inner); `rows`, (3, channels of every short convolution, side by side), the oldest
    first; `phase` in radians, (1, rows of every SSM's state, side by side).
    """

    conv_class: ClassVar[type[StreamConv]] = StreamConv
    halve_class: ClassVar[type[Halve]] = Halve

    def __init__(self, net: FacePhys, *, order: Order = "hwc") -> None:
        super().__init__()
        self.config, self.order = net.config, order
        blocks = list(net.blocks)
        convs = [conv for block in blocks for conv in block.convs]
        ssms = [*(conv.ssm for conv in convs), *net.head]
        self.row_sizes = [ssm.conv_bias.shape[0] for ssm in ssms]
        self.phase_sizes = [ssm.d_inner for ssm in ssms]
        self.head_dims = [ssm.head_dim for ssm in ssms]
        with torch.no_grad():
            self.project = nn.Parameter(blocks[0].project.weight[..., None, None])
            self.convs = nn.ModuleList(self.conv_class(conv) for conv in convs)
            self.halves = nn.ModuleList(starmap(self.halve_class, pairwise(blocks)))
            self.taps = nn.Parameter(_taps(convs[-1].norm.mean0))
            self.head = nn.ModuleList(_head(net, self.conv_class.ssm_class))
            half_life_s = torch.stack([conv.norm.log_half_life for conv in convs]).exp()
            self.rate = nn.Parameter(LN2 / half_life_s)
            self.gamma = nn.Parameter(torch.stack([conv.norm.gamma for conv in convs]))
            self.old_taps = nn.Parameter(torch.cat([ssm.conv_weight[:-1] for ssm in ssms], dim=1))
            self.taps_bias = nn.Parameter(torch.cat([ssm.conv_bias for ssm in ssms])[None])
            first = self.from_canonical(net.init_state(1))
        for name, x in first.items():
            self.register_buffer(f"first_{name}", x.detach().clone(), persistent=False)

    def init_state(self, batch_size: int = 1) -> State:
        """The learned state before the first frame."""
        if batch_size != 1:
            raise ValueError(f"batch_size {batch_size}: a deployed step carries one stream")
        return {name: getattr(self, f"first_{name}").clone() for name in self.state_names()}

    def shares(self, dt_s: Float[Tensor, "1"]) -> Sequence[Sequence[Tensor]]:
        """(c 1 1) each: what the mean takes of the new frame, what the variance keeps and what it
        takes of the squared distance from the old mean, and that distance's scale with gamma."""
        new = (self.rate * dt_s).clamp(max=1)
        old = 1 - new
        shares = torch.stack([new, old, new * old * old, self.gamma * old])
        return [of_conv.unbind(0) for of_conv in shares[..., None, None].unbind(1)]

    def enter(self, frame: Float[Tensor, "1 h w 3"]) -> Tensor:
        return F.conv2d(frame.movedim(-1, -3), self.project)

    def planes(self, statistic: Tensor) -> Tensor:
        return (statistic.movedim(-1, 0) if self.order == "hwc" else statistic)[None]

    def statistic(self, planes: Tensor) -> Tensor:
        return planes[0].movedim(0, -1) if self.order == "hwc" else planes[0]

    def pool(self, x: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 d"]:
        """Channel by channel, then tap by tap: d = 4 c."""
        return (x.flatten(2) @ self.taps).flatten(1)

    def earlier(self, rows: Float[Tensor, "3 c"]) -> Sequence[Tensor]:
        earlier = (self.old_taps * rows).sum(dim=0, keepdim=True) + self.taps_bias
        return earlier.split_with_sizes(self.row_sizes, dim=1)

    def phases(self, phase: Float[Tensor, "1 m"]) -> Sequence[Tensor]:
        return torch.fmod(phase, TURN).split_with_sizes(self.phase_sizes, dim=1)

    def side_by_side(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts), dim=1)

    def newest_last(self, rows: Float[Tensor, "3 c"], row: Float[Tensor, "1 c"]) -> Tensor:
        return torch.cat([rows[1:], row])

    def from_canonical(self, state: FacePhysState) -> State:
        """The same moment of the same stream, from the state of `FacePhys`."""
        ssms = [*(conv.ssm for conv in state.convs), *state.head]
        own: State = {}
        for k, conv in enumerate(state.convs):
            for kind, x in zip(("mean", "var"), conv.norm, strict=True):
                own[f"{kind}_{k}"] = x[0] if self.order == "hwc" else x[0].movedim(-1, 0)
        for k, ssm in enumerate(ssms):
            parts = [rearrange(x[0], "heads p n -> n (heads p)") for x in (ssm.real, ssm.imag)]
            own[f"ssm_{k}"] = torch.cat(parts, dim=1)
        own["rows"] = torch.cat([ssm.rows[0, 1:] for ssm in ssms], dim=1)
        own["phase"] = own["rows"].new_zeros(1, sum(self.phase_sizes))  # not turned yet
        return own

    def to_canonical(self, state: State) -> FacePhysState:
        """The inverse: the state of `FacePhys`. The oldest row, which nothing reads, is 0."""
        phases = state["phase"].split_with_sizes(self.phase_sizes, dim=1)
        rows = F.pad(state["rows"], (0, 0, 1, 0)).split_with_sizes(self.row_sizes, dim=1)
        ssms = []
        for k, (phase, row, p) in enumerate(zip(phases, rows, self.head_dims, strict=True)):
            real, imag = state[f"ssm_{k}"].chunk(PARTS, dim=1)
            cos, sin = phase.cos(), phase.sin()
            turned = (cos * real - sin * imag, sin * real + cos * imag)
            parts = [rearrange(x, "n (heads p) -> 1 heads p n", p=p) for x in turned]
            ssms.append(SSMState(parts[0], parts[1], row[None]))
        norms = []
        for k in range(len(self.convs)):
            pair = (state[f"{kind}_{k}"][None] for kind in ("mean", "var"))
            norms.append(
                TemporalNormState(*(x if self.order == "hwc" else x.movedim(1, -1) for x in pair))
            )
        convs = tuple(map(SSConvState, ssms, norms))
        return FacePhysState(convs, tuple(ssms[len(convs) :]))


def _taps(mean: Float[Tensor, "h w c"]) -> Float[Tensor, "p 4"]:
    """Which positions each tap of the last stride-2 convolution meets, over how many they are."""
    height, width, _ = mean.shape
    taps = mean.new_zeros(height, width, STRIDE, STRIDE)
    for y in range(height):
        for x in range(width):
            taps[y, x, y % STRIDE, x % STRIDE] = 1
    n_out = -(-height // STRIDE) * -(-width // STRIDE)
    return rearrange(taps, "h w k l -> (h w) (k l)") / n_out


def _head(net: FacePhys, ssm_class: type[StreamSSM]) -> list[StreamSSM]:
    """The SSMs of the head, with all that is linear before and after them."""
    last, (first, second) = list(net.blocks)[-1].downsample, net.head
    into = net.head_in.weight
    per_tap = rearrange(torch.einsum("po,oikl->pikl", into, last.weight), "p i k l -> p (i k l)")
    return [
        ssm_class(first, before=(per_tap, F.linear(_bias(last), into))),
        ssm_class(second, after=(net.head_out.weight, net.head_out.bias)),
    ]


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None  # ours all have one
    return conv.bias
