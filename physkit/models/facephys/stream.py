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
"""

from itertools import pairwise

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.core.artifact import Order
from physkit.models.facephys.blocks import CONVS_A_BLOCK, Block, SSConv, SSConvState
from physkit.models.facephys.network import FacePhys, FacePhysState
from physkit.nn.ssm import NOMINAL_FPS, SSM, SSMState
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


class StreamSSM(nn.Module):
    """An SSM whose state only decays; a head's values are repeated for each row of its state.

    before, after: affine maps around it, folded into the layer's own.
    """

    def __init__(
        self, ssm: SSM, *, before: Affine | None = None, after: Affine | None = None
    ) -> None:
        super().__init__()
        self.d_inner, self.d_state, self.head_dim = ssm.d_inner, ssm.d_state, ssm.head_dim
        self.n_mixed = ssm.d_inner + 2 * ssm.d_state
        gate, mixed, dt = ssm.in_proj.weight.split_with_sizes(
            [PARTS * ssm.d_inner, self.n_mixed, ssm.n_heads]
        )
        project = torch.cat([self._parts_first(gate), mixed, self._by_row(dt)])
        zeros = project.new_zeros(PARTS * ssm.d_inner + self.n_mixed)
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

    def forward(
        self,
        u: Float[Tensor, "1 d"],
        frames: Float[Tensor, "1"],
        earlier: Float[Tensor, "1 c"],
        phase: Float[Tensor, "1 m"],
        state: Float[Tensor, "n q"],
    ) -> tuple[Float[Tensor, "1 e"], Tensor, Tensor, Tensor]:
        """One frame, `frames` nominal frames long: the answer, then new row, phase and state.

        earlier: what the rows before this one, and the bias, give to the short convolution.
        state: the real part of every row of every head, then the imaginary one (q = 2 m).
        """
        sizes = [PARTS * self.d_inner, self.n_mixed, self.d_inner]
        gate, row, dt = F.linear(u, self.project, self.project_bias).split_with_sizes(sizes, dim=1)
        mixed = torch.clamp(row * self.new_tap + earlier, 0, 6)
        x, b_in, c_out = mixed.split_with_sizes([self.d_inner, self.d_state, self.d_state], dim=1)
        delta = dt.exp().clamp(max=MAX_STEP) * frames
        decay = (delta * self.a_real).exp()
        phase = phase + delta * self.a_imag
        cos, sin, drive = phase.cos(), phase.sin(), delta * x
        enters = torch.cat([drive * cos, -drive * sin], dim=1)
        state = state * torch.cat([decay, decay], dim=1) + b_in.T * enters
        real, imag = (c_out @ state).chunk(PARTS, dim=1)
        y = torch.cat([cos * real - sin * imag + self.skip * x, sin * real + cos * imag], dim=1)
        y = y * gate.clamp(0, 6)
        y = y * torch.rsqrt((y * y).mean(dim=1, keepdim=True) + NORM_EPS)
        return F.linear(y, self.read_out, self.read_out_bias), row, phase, state


class StreamConv(nn.Module):
    """An SSConv whose TemporalNorm is given its shares, and adds beta where that is cheap."""

    def __init__(self, conv: SSConv) -> None:
        super().__init__()
        self.beta = nn.Parameter(conv.norm.beta[:, None, None])
        self.conv_in, self.expand, self.conv_out = conv.conv_in, conv.expand, conv.conv_out
        self.ssm = StreamSSM(conv.ssm, after=(conv.steer.weight, conv.norm.beta))

    def forward(
        self,
        x: Float[Tensor, "1 c h w"],
        shares: Float[Tensor, "4 c 1 1"],
        mean: Float[Tensor, "1 c h w"],
        var: Float[Tensor, "1 c h w"],
        *ssm_inputs: Tensor,
    ) -> tuple[Tensor, ...]:
        """One frame: what comes out, the new mean and variance, and what the SSM keeps.

        shares: what the mean takes of the new frame, what the variance keeps and what it takes of
        the squared distance from the old mean, and how that distance is scaled, gamma included.
        """
        new, old, new_square, scale = shares.unbind(0)
        off = x - mean
        mean = mean + new * off
        var = old * var + new_square * (off * off)
        normed = scale * off / torch.sqrt(var + EPS)
        wide = self.conv_in(normed + self.beta)
        pooled = expand_pool(wide, self.expand.weight, self.expand.bias)
        steer, *kept = self.ssm(pooled, *ssm_inputs)
        y = self.conv_out(normed + steer[..., None, None], relu6=True)
        return y, mean, var, *kept


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
        if any(self.padding):  # of the channels-last view: padding keeps no other memory order
            x = F.pad(x.movedim(-3, -1), self.padding).movedim(-1, -3)
        return F.conv2d(x, self.weight, self.bias, stride=STRIDE)


class Pool(nn.Module):
    """Means over the positions that each tap of the last stride-2 convolution meets."""

    def __init__(self, mean: Float[Tensor, "h w c"]) -> None:
        super().__init__()
        height, width, _ = mean.shape
        taps = mean.new_zeros(height, width, STRIDE, STRIDE)
        for y in range(height):
            for x in range(width):
                taps[y, x, y % STRIDE, x % STRIDE] = 1
        n_out = -(-height // STRIDE) * -(-width // STRIDE)
        self.taps = nn.Parameter(rearrange(taps, "h w k l -> (h w) (k l)") / n_out)

    def forward(self, x: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 d"]:
        """Channel by channel, then tap by tap: d = 4 c."""
        return (x.flatten(2) @ self.taps).flatten(1)


class FacePhysStream(nn.Module):
    """The one-frame step of a FacePhys for one stream, with the weights that `net` has now.

    order: of the axes of the running statistics, "hwc" or "chw", whichever the convolutions of the
      runtime take.

    States by name, float32 or as `net` is; k counts the SSConvs from the input, and for `ssm_k` on
    through the SSMs of the head: `mean_k` and `var_k`, (h w c) or (c h w); `ssm_k`,
    (d_state, 2 d_inner); `rows`, (3, channels of every short convolution, side by side), the oldest
    first; `phase` in radians, (1, rows of every SSM's state, side by side).
    """

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
            self.convs = nn.ModuleList(StreamConv(conv) for conv in convs)
            pairs = pairwise(blocks)
            self.halves = nn.ModuleList(Halve(block, after) for block, after in pairs)
            self.pool = Pool(convs[-1].norm.mean0)
            self.head = nn.ModuleList(_head(net))
            half_life_s = torch.stack([conv.norm.log_half_life for conv in convs]).exp()
            self.rate = nn.Parameter(LN2 / half_life_s)
            self.gamma = nn.Parameter(torch.stack([conv.norm.gamma for conv in convs]))
            self.old_taps = nn.Parameter(torch.cat([ssm.conv_weight[:-1] for ssm in ssms], dim=1))
            self.taps_bias = nn.Parameter(torch.cat([ssm.conv_bias for ssm in ssms])[None])
            first = self.from_canonical(net.init_state(1))
        for name, x in first.items():
            self.register_buffer(f"first_{name}", x.detach().clone(), persistent=False)

    def state_names(self) -> list[str]:
        """Every state's name, in the order of the deployed files."""
        norms = [f"{kind}_{k}" for k in range(len(self.convs)) for kind in ("mean", "var")]
        return [*norms, *(f"ssm_{k}" for k in range(len(self.row_sizes))), "rows", "phase"]

    def init_state(self, batch_size: int = 1) -> State:
        """The learned state before the first frame."""
        if batch_size != 1:
            raise ValueError(f"batch_size {batch_size}: a deployed step carries one stream")
        return {name: getattr(self, f"first_{name}").clone() for name in self.state_names()}

    def step(
        self, frame: Float[Tensor, "1 h w 3"], state: State, *, dt_s: Float[Tensor, "1"]
    ) -> tuple[Float[Tensor, "1"], State]:
        """One frame (RGB in [0, 1]), `dt_s` seconds after the one before: a sample of pulse."""
        shares = self._shares(dt_s)
        ssm_inputs = self._ssm_inputs(dt_s * NOMINAL_FPS, state)
        after: State = {}
        rows, phases = [], []

        def keep(k: int, row: Tensor, phase: Tensor, ssm: Tensor) -> None:
            after[f"ssm_{k}"] = ssm
            rows.append(row)
            phases.append(phase)

        x = F.conv2d(frame.movedim(-1, -3), self.project)
        for i, convs in enumerate(self._by_block()):
            residual = x = self.halves[i - 1](x) if i else x
            for k, conv in convs:
                statistics = (self._chw(state[f"{kind}_{k}"]) for kind in ("mean", "var"))
                x, mean, var, *kept = conv(x, shares[:, k], *statistics, *ssm_inputs[k])
                after[f"mean_{k}"], after[f"var_{k}"] = self._kept(mean), self._kept(var)
                keep(k, *kept)
            x = x + residual
        y = self.pool(x)
        for k, ssm in enumerate(self.head, start=len(self.convs)):
            y, *kept = ssm(y, *ssm_inputs[k])
            keep(k, *kept)
        after["rows"] = torch.cat([state["rows"][1:], torch.cat(rows, dim=1)])
        after["phase"] = torch.cat(phases, dim=1)
        return y[:, 0], {name: after[name] for name in self.state_names()}

    def _by_block(self) -> list[list[tuple[int, nn.Module]]]:
        numbered = list(enumerate(self.convs))
        return [numbered[k : k + CONVS_A_BLOCK] for k in range(0, len(numbered), CONVS_A_BLOCK)]

    def _shares(self, dt_s: Float[Tensor, "1"]) -> Float[Tensor, "4 k c 1 1"]:
        """What `StreamConv` takes, for all of them."""
        new = (self.rate * dt_s).clamp(max=1)
        old = 1 - new
        return torch.stack([new, old, new * old * old, self.gamma * old])[..., None, None]

    def earlier_rows(self, rows: Float[Tensor, "3 c"]) -> tuple[Tensor, ...]:
        """What the rows before this frame's, and the bias, give to each short convolution."""
        earlier = (self.old_taps * rows).sum(dim=0, keepdim=True) + self.taps_bias
        return tuple(earlier.split_with_sizes(self.row_sizes, dim=1))

    def _ssm_inputs(self, frames: Tensor, state: State) -> list[tuple[Tensor, ...]]:
        """What `StreamSSM` takes, for each of them."""
        phase = torch.fmod(state["phase"], TURN)  # or its digits are spent on whole turns
        by_ssm = zip(
            self.earlier_rows(state["rows"]),
            phase.split_with_sizes(self.phase_sizes, dim=1),
            (state[f"ssm_{k}"] for k in range(len(self.row_sizes))),
            strict=True,
        )
        return [(frames, *inputs) for inputs in by_ssm]

    def _chw(self, statistic: Tensor) -> Float[Tensor, "1 c h w"]:
        return (statistic.movedim(-1, 0) if self.order == "hwc" else statistic)[None]

    def _kept(self, statistic: Float[Tensor, "1 c h w"]) -> Tensor:
        return statistic[0].movedim(0, -1) if self.order == "hwc" else statistic[0]

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
        norms = [
            TemporalNormState(
                *(self._chw(state[f"{kind}_{k}"]).movedim(1, -1) for kind in ("mean", "var"))
            )
            for k in range(len(self.convs))
        ]
        convs = tuple(map(SSConvState, ssms, norms))
        return FacePhysState(convs, tuple(ssms[len(convs) :]))


def _head(net: FacePhys) -> list[StreamSSM]:
    """The SSMs of the head, with all that is linear before and after them."""
    last, (first, second) = list(net.blocks)[-1].downsample, net.head
    into = net.head_in.weight
    per_tap = rearrange(torch.einsum("po,oikl->pikl", into, last.weight), "p i k l -> p (i k l)")
    return [
        StreamSSM(first, before=(per_tap, F.linear(_bias(last), into))),
        StreamSSM(second, after=(net.head_out.weight, net.head_out.bias)),
    ]


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None  # ours all have one
    return conv.bias
