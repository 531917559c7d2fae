"""The deployed form of FacePhys in JAX: the twin of `physkit/models/facephys/stream.py`.

That one says what is rewritten, and its states and weights have the same names here. For XLA's CPU
compiler, moreover:

- 3x3 convolutions go by way of `winograd.Tiling`, and both of an SSConv share the tiles of what
  TemporalNorm gives: what the second one adds to it, the same at every position, is added to its
  results instead, where it differs along the borders only.
- The stride-2 convolutions are products of matrices, the projection of a pixel is three
  multiplications, and TemporalNorm is written so that its statistics are overwritten in place.
"""

from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array, lax
from jax.typing import DTypeLike
from jaxtyping import Float

from physkit.export.jax.layers import LAYOUT, relu6
from physkit.export.jax.winograd import Tiling
from physkit.models.facephys.blocks import CONVS_A_BLOCK
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import N_HEAD_SSMS
from physkit.models.facephys.stream import STRIDE, TURN
from physkit.nn.ssm import NOMINAL_FPS
from physkit.ops.ssm_mixer.composed import MAX_STEP, NORM_EPS
from physkit.ops.temporal_norm.reference import EPS

Weights = Mapping[str, np.ndarray]
State = dict[str, Array]


class Dtypes(NamedTuple):
    """How parameters are kept."""

    vectors: DTypeLike
    """As what is computed, too."""
    matrices: DTypeLike


TAP_IS_INSIDE = np.array([[0, 1, 1], [1, 1, 1], [1, 1, 0]], float)
"""For the first, any middle and the last row of a plane: which of three taps meet the plane."""


class StreamSSM(nnx.Module):
    """An SSM whose state only decays; see `physkit.models.facephys.stream.StreamSSM`."""

    def __init__(self, weights: Weights, dtypes: Dtypes) -> None:
        for name in ("project_bias", "new_tap", "a_real", "a_imag", "skip", "read_out_bias"):
            setattr(self, name, _parameter(weights[name], dtypes))
        self.project = _matrix(weights["project"].T, dtypes)
        self.read_out = _matrix(weights["read_out"].T, dtypes)
        self.d_inner = weights["a_real"].shape[0]

    def __call__(
        self,
        u: Float[Array, "1 d"],
        frames: Float[Array, "1"],
        earlier: Float[Array, "1 c"],
        phase: Float[Array, "1 m"],
        state: Float[Array, "n q"],
    ) -> tuple[Float[Array, "1 e"], Array, Array, Array]:
        """One frame, `frames` nominal frames long: the answer, then new row, phase and state."""
        m, n = self.d_inner, state.shape[0]
        projected = u @ self.project[...] + self.project_bias[...]
        gate, row, dt = jnp.split(projected, [2 * m, 3 * m + 2 * n], axis=1)
        x, b_in, c_out = jnp.split(relu6(row * self.new_tap[...] + earlier), [m, m + n], axis=1)
        delta = jnp.minimum(jnp.exp(dt), MAX_STEP) * frames
        decay = jnp.exp(delta * self.a_real[...])
        phase = phase + delta * self.a_imag[...]
        cos, sin, drive = jnp.cos(phase), jnp.sin(phase), delta * x
        enters = jnp.concatenate([drive * cos, -drive * sin], axis=1)
        state = state * jnp.concatenate([decay, decay], axis=1) + b_in.T * enters
        real, imag = jnp.split(c_out @ state, 2, axis=1)
        y = jnp.concatenate(
            [cos * real - sin * imag + self.skip[...] * x, sin * real + cos * imag], axis=1
        )
        y = y * relu6(gate)
        y = y * lax.rsqrt((y * y).mean(axis=1, keepdims=True) + NORM_EPS)
        return y @ self.read_out[...] + self.read_out_bias[...], row, phase, state


class DirectPair(nnx.Module):
    """The two 3x3 convolutions of an SSConv, each as the sum over its taps."""

    def __init__(self, weights: Weights, dtypes: Dtypes) -> None:
        self.beta = _parameter(weights["beta"][:, 0, 0], dtypes)
        for name in ("conv_in", "conv_out"):
            kernel = weights[f"{name}.weight"].transpose(2, 3, 1, 0)
            setattr(self, name, _matrix(kernel, dtypes))
            setattr(self, f"{name}_bias", _parameter(weights[f"{name}.bias"], dtypes))

    def first(self, normed: Float[Array, "b h w c"]) -> tuple[Array, Array]:
        """The first convolution of `normed` and beta, and what `second` takes."""
        y = _convolved(normed + self.beta[...], self.conv_in[...]) + self.conv_in_bias[...]
        return y, normed

    def second(self, normed: Array, steer: Float[Array, "b c"]) -> Float[Array, "b h w c"]:
        """The second one, of `normed` and, at every position, `steer`."""
        steered = normed + steer[:, None, None]
        return _convolved(steered, self.conv_out[...]) + self.conv_out_bias[...]


class TiledPair(nnx.Module):
    """The same of larger planes, by tiles that both convolutions share."""

    def __init__(self, weights: Weights, tiling: Tiling, dtypes: Dtypes) -> None:
        self.tiling = tiling
        first, second = (
            weights[f"{name}.weight"].transpose(2, 3, 1, 0) for name in ("conv_in", "conv_out")
        )
        self.conv_in = _matrix(tiling.kernel(first), dtypes)
        self.conv_out = _matrix(tiling.kernel(second), dtypes)
        beta = weights["beta"][:, 0, 0] @ _of_constant(first)
        bias = beta.reshape(3, 3, -1) + weights["conv_in.bias"]
        rows, columns = (_borders(n) for n in (tiling.height, tiling.width))
        self.conv_in_bias = _parameter(bias[rows][:, columns], dtypes)
        self.border = _matrix(_of_constant(second), dtypes)
        self.conv_out_bias = _parameter(weights["conv_out.bias"], dtypes)

    def first(self, normed: Float[Array, "b h w c"]) -> tuple[Array, Array]:
        """As of DirectPair."""
        planes = self.tiling.split(normed)
        wide, later = (
            self.tiling.join(jnp.einsum("qnc,qco->qno", planes, kernel[...]))
            for kernel in (self.conv_in, self.conv_out)
        )
        return wide + self.conv_in_bias[...], later

    def second(self, later: Array, steer: Float[Array, "b c"]) -> Float[Array, "b h w c"]:
        """As of DirectPair."""
        _, height, width, n_out = later.shape
        added = (steer @ self.border[...]).reshape(-1, 3, 3, n_out) + self.conv_out_bias[...]
        inner = jnp.broadcast_to(added[:, :, 1:2], (len(added), 3, width - 2, n_out))
        added = jnp.concatenate([added[:, :, :1], inner, added[:, :, 2:]], axis=2)
        row = lax.broadcasted_iota(jnp.int32, (1, height, 1, 1), 1)
        top, middle, bottom = (added[:, i : i + 1] for i in range(3))
        return later + jnp.where(row == 0, top, jnp.where(row == height - 1, bottom, middle))


class StreamConv(nnx.Module):
    """An SSConv whose TemporalNorm is given its shares."""

    def __init__(self, weights: Weights, height: int, width: int, dtypes: Dtypes) -> None:
        tiling = Tiling(height, width)
        pair = TiledPair(weights, tiling, dtypes) if tiling.pays else DirectPair(weights, dtypes)
        self.pair: DirectPair | TiledPair = pair
        self.expand = _matrix(weights["expand.weight"].T, dtypes)
        self.expand_bias = _parameter(weights["expand.bias"], dtypes)
        self.ssm = StreamSSM(_below("ssm.", weights), dtypes)

    def __call__(
        self,
        x: Float[Array, "h w c"],
        new: Float[Array, "c"],
        gamma: Float[Array, "c"],
        mean: Float[Array, "h w c"],
        var: Float[Array, "h w c"],
        *ssm_inputs: Array,
    ) -> tuple[Array, ...]:
        """One frame: what comes out, the new mean and variance, and what the SSM keeps.

        new: what the statistics take of this frame.
        """
        # By the new mean alone, or the old one would have to be copied before it is overwritten;
        # and without an axis for the batch, for which XLA would compute the mean once again.
        mean = mean + new * (x - mean)
        off = x - mean
        var = var + new * (off * off - var)
        wide, later = self.pair.first((gamma * off * lax.rsqrt(var + EPS))[None])
        pooled = relu6(wide.reshape(-1, wide.shape[-1]) @ self.expand[...] + self.expand_bias[...])
        steer, *kept = self.ssm(pooled.mean(axis=0, keepdims=True), *ssm_inputs)
        return relu6(self.pair.second(later, steer))[0], mean, var, *kept


class Halve(nnx.Module):
    """The stride-2 convolution between two blocks, with the projection of the second."""

    def __init__(self, weights: Weights, dtypes: Dtypes) -> None:
        kernel = weights["weight"].transpose(2, 3, 1, 0)  # (2 2 c o)
        self.weight = _matrix(kernel.reshape(STRIDE, -1, kernel.shape[-1]), dtypes)
        self.bias = _parameter(weights["bias"], dtypes)

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
        """Half the rows and columns, rounded up: even rows times weights, and odd ones."""
        batch, height, width, channels = x.shape
        rows, columns = -(-height // STRIDE), -(-width // STRIDE)
        below, right = rows * STRIDE - height, columns * STRIDE - width
        x = jnp.pad(x, ((0, 0), (0, below), (0, right), (0, 0))) if below or right else x
        x = x.reshape(batch, rows, STRIDE, columns, STRIDE * channels)
        weight = self.weight[...]
        return sum((x[:, :, i] @ weight[i] for i in range(STRIDE)), start=self.bias[...])


class FacePhysStream(nnx.Module):
    """The one-frame step of a FacePhys for one stream, with weights that are constants of it.

    weights: `state_dict()` of a torch FacePhysStream, as float64 for the exactest constants.
    dtype: of what is computed.
    weight_dtype: how matrices are kept; None: as `dtype`.

    States by name: as those of the torch FacePhysStream in the order "hwc".
    """

    def __init__(
        self,
        config: FacePhysConfig,
        weights: Weights,
        *,
        dtype: DTypeLike = jnp.float32,
        weight_dtype: DTypeLike | None = None,
    ) -> None:
        self.config = config
        dtypes = Dtypes(dtype, weight_dtype or dtype)
        sides = _sides(config)
        self.convs = nnx.List(
            StreamConv(_below(f"convs.{k}.", weights), *sides[k // CONVS_A_BLOCK], dtypes)
            for k in range(CONVS_A_BLOCK * config.n_blocks)
        )
        self.halves = nnx.List(
            Halve(_below(f"halves.{k}.", weights), dtypes) for k in range(config.n_blocks - 1)
        )
        self.head = nnx.List(
            StreamSSM(_below(f"head.{k}.", weights), dtypes) for k in range(N_HEAD_SSMS)
        )
        self.project = _parameter(weights["project"][:, :, 0, 0].T, dtypes)
        self.taps = _parameter(weights["pool.taps"].T, dtypes)
        for name in ("rate", "gamma", "old_taps", "taps_bias"):
            setattr(self, name, _parameter(weights[name], dtypes))

    def state_names(self) -> list[str]:
        """Every state's name, in the order of the deployed files."""
        norms = [f"{kind}_{k}" for k in range(len(self.convs)) for kind in ("mean", "var")]
        n_ssms = len(self.convs) + len(self.head)
        return [*norms, *(f"ssm_{k}" for k in range(n_ssms)), "rows", "phase"]

    def step(
        self, frame: Float[Array, "1 h w 3"], state: State, *, dt_s: Float[Array, "1"]
    ) -> tuple[Float[Array, "1"], State]:
        """One frame (RGB in [0, 1]), `dt_s` seconds after the one before: a sample of pulse."""
        new = jnp.minimum(self.rate[...] * dt_s, 1)
        ssm_inputs = self._ssm_inputs(dt_s * NOMINAL_FPS, state)
        after: State = {}
        kept = []
        project = self.project[...]  # three multiplications: no product of matrices so small pays
        x = residual = sum(frame[0, ..., i : i + 1] * project[i] for i in range(len(project)))
        for k, conv in enumerate(self.convs):
            if k and k % CONVS_A_BLOCK == 0:
                x = residual = self.halves[k // CONVS_A_BLOCK - 1]((x + residual)[None])[0]
            statistics = (state[f"{kind}_{k}"] for kind in ("mean", "var"))
            gamma = self.gamma[...][k]
            x, mean, var, *rest = conv(x, new[k], gamma, *statistics, *ssm_inputs[k])
            after[f"mean_{k}"], after[f"var_{k}"] = mean, var
            kept.append(rest)
        x = (x + residual).reshape(-1, x.shape[-1])
        y = jnp.stack([(x * tap[:, None]).sum(axis=0) for tap in self.taps[...]], axis=1)
        y = y.reshape(1, -1)
        for k, ssm in enumerate(self.head, start=len(self.convs)):
            y, *rest = ssm(y, *ssm_inputs[k])
            kept.append(rest)
        rows, phases, ssms = zip(*kept, strict=True)
        after |= {f"ssm_{k}": x for k, x in enumerate(ssms)}
        after["rows"] = jnp.concatenate([state["rows"][1:], jnp.concatenate(rows, axis=1)])
        after["phase"] = jnp.concatenate(phases, axis=1)
        return y[:, 0], {name: after[name] for name in self.state_names()}

    def __call__(
        self, clip: Float[Array, "t h w 3"], state: State, *, dt_s: Float[Array, "t"]
    ) -> tuple[Float[Array, "t"], State]:
        """A clip, frame by frame."""

        def step(before: State, now: tuple[Array, Array]) -> tuple[State, Array]:
            pulse, after = self.step(now[0][None], before, dt_s=now[1][None])
            return after, pulse[0]

        after, pulse = lax.scan(step, state, (clip, dt_s))
        return pulse, after

    def _ssm_inputs(self, frames: Array, state: State) -> list[tuple[Array, ...]]:
        """What `StreamSSM` takes, for each of them."""
        ssms = [*(conv.ssm for conv in self.convs), *self.head]
        earlier = self.taps_bias[...]
        for tap, row in zip(self.old_taps[...], state["rows"], strict=True):
            earlier = earlier + tap * row
        # Whole turns off, or the digits are spent on them; a remainder is dear on a CPU.
        phase = state["phase"]
        phase = phase - TURN * jnp.trunc(phase / TURN)
        ends = [list(accumulate(sizes))[:-1] for sizes in _sizes(ssms)]
        split = (jnp.split(x, end, axis=1) for x, end in zip((earlier, phase), ends, strict=True))
        states = [state[f"ssm_{k}"] for k in range(len(ssms))]
        return [(frames, *inputs) for inputs in zip(*split, states, strict=True)]


def _parameter(x: np.ndarray, dtypes: Dtypes) -> nnx.Param:
    return nnx.Param(jnp.asarray(x, dtypes.vectors))


def _matrix(x: np.ndarray, dtypes: Dtypes) -> nnx.Param:
    return nnx.Param(jnp.asarray(x, dtypes.matrices))


def _below(prefix: str, weights: Weights) -> dict[str, np.ndarray]:
    """The weights whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): x for k, x in weights.items() if k.startswith(prefix)}


def _sides(config: FacePhysConfig) -> list[tuple[int, int]]:
    """Rows and columns of each block's planes."""
    sides = [(config.height, config.width)]
    for _ in range(1, config.n_blocks):
        height, width = sides[-1]
        sides.append((-(-height // STRIDE), -(-width // STRIDE)))
    return sides


def _sizes(ssms: list[StreamSSM]) -> tuple[list[int], list[int]]:
    """How many rows, and how many phases, each SSM has."""
    return [ssm.new_tap.shape[0] for ssm in ssms], [ssm.d_inner for ssm in ssms]


def _convolved(x: Float[Array, "b h w c"], kernel: Array) -> Float[Array, "b h w o"]:
    padding, kernel = [(1, 1), (1, 1)], kernel.astype(x.dtype)
    return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=LAYOUT)


def _of_constant(kernel: Float[np.ndarray, "3 3 c o"]) -> Float[np.ndarray, "c q"]:
    """What makes of a plane's one value the convolution at each kind of row and column."""
    kinds = np.einsum("yi,xj,ijco->cyxo", TAP_IS_INSIDE, TAP_IS_INSIDE, kernel)
    return kinds.reshape(kernel.shape[2], -1)


def _borders(n: int) -> list[int]:
    """The kind of each of `n` rows or columns, as of TAP_IS_INSIDE."""
    return [0, *[1] * (n - 2), 2]
