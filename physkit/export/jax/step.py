"""The deployed step in JAX: the parts of `FacePhysTemplate` as XLA runs them fastest on a CPU.

Weights, states and the order of the parts are those of the torch `FacePhysStream`, channels last.

- 3x3 convolutions go by way of `winograd.Tiling`, and both of an SSConv share the tiles of what
  TemporalNorm gives: what the second one adds to it, the same at every position, is added to its
  results instead, where it differs along the borders only.
- The stride-2 convolutions are products of matrices, the projection of a pixel is three
  multiplications, and TemporalNorm is written so that its statistics are overwritten in place.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import DTypeLike
from jaxtyping import Float
from torch import Tensor

from physkit.export.jax.winograd import Tiling
from physkit.models.facephys import stream
from physkit.models.facephys.template import FacePhysTemplate, SSConvTemplate, SSMTemplate
from physkit.ops.ssm_mixer.composed import MAX_STEP, NORM_EPS
from physkit.ops.temporal_norm.reference import EPS

State = dict[str, Array]
LAYOUT = ("NHWC", "HWIO", "NHWC")
"""Of a convolution's input, weight and output; torch's weights are OIHW."""


class Dtypes(NamedTuple):
    """How weights are kept."""

    vectors: DTypeLike
    """As what is computed, too."""
    matrices: DTypeLike

    def vector(self, x: Any) -> Array:
        """A small weight, of torch or NumPy."""
        return jnp.asarray(_array(x), self.vectors)

    def matrix(self, x: Any) -> Array:
        """One of the large weights."""
        return jnp.asarray(_array(x), self.matrices)


TAP_IS_INSIDE = np.array([[0, 1, 1], [1, 1, 1], [1, 1, 0]], float)
"""For the first, any middle and the last row of a plane: which of three taps meet the plane."""


class JaxSSM(SSMTemplate):
    """An SSM whose state only decays."""

    def __init__(self, ssm: stream.StreamSSM, dtypes: Dtypes) -> None:
        self.project, self.read_out = dtypes.matrix(ssm.project.T), dtypes.matrix(ssm.read_out.T)
        biases = (ssm.project_bias, ssm.read_out_bias)
        self.project_bias, self.read_out_bias = map(dtypes.vector, biases)
        of_rows = (ssm.new_tap, ssm.a_real, ssm.a_imag, ssm.skip)
        self.new_tap, self.a_real, self.a_imag, self.skip = map(dtypes.vector, of_rows)
        self.sizes, self.mixed_sizes = ssm.sizes, ssm.mixed_sizes

    def projected(self, u: Float[Array, "1 d"]) -> Sequence[Array]:
        return _split(u @ self.project + self.project_bias, self.sizes)

    def mixed(self, row: Float[Array, "1 c"], earlier: Float[Array, "1 c"]) -> Sequence[Array]:
        return _split(self.relu6(row * self.new_tap + earlier), self.mixed_sizes)

    def duration(self, dt: Float[Array, "1 m"], frames: Float[Array, "1"]) -> Array:
        return jnp.minimum(jnp.exp(dt), MAX_STEP) * frames

    def advanced(
        self, x: Array, b_in: Array, c_out: Array, delta: Array, phase: Array, state: Array
    ) -> tuple[Array, Array]:
        decay = jnp.exp(delta * self.a_real)
        cos, sin, drive = jnp.cos(phase), jnp.sin(phase), delta * x
        enters = jnp.concatenate([drive * cos, -drive * sin], axis=1)
        state = state * jnp.concatenate([decay, decay], axis=1) + b_in.T * enters
        real, imag = jnp.split(c_out @ state, 2, axis=1)
        turned = [cos * real - sin * imag + self.skip * x, sin * real + cos * imag]
        return jnp.concatenate(turned, axis=1), state

    def relu6(self, x: Array) -> Array:
        return _relu6(x)

    def normed(self, y: Float[Array, "1 q"]) -> Array:
        return y * lax.rsqrt((y * y).mean(axis=1, keepdims=True) + NORM_EPS)

    def read_by_next(self, y: Float[Array, "1 q"]) -> Array:
        return y @ self.read_out + self.read_out_bias


class DirectPair:
    """The two 3x3 convolutions of an SSConv, each as the sum over its taps."""

    def __init__(self, conv: stream.StreamConv, dtypes: Dtypes) -> None:
        self.beta = dtypes.vector(conv.beta)
        self.conv_in, self.conv_out = (dtypes.matrix(kernel) for kernel in _kernels(conv))
        self.conv_in_bias = dtypes.vector(conv.conv_in.bias)
        self.conv_out_bias = dtypes.vector(conv.conv_out.bias)

    def first(self, normed: Float[Array, "b h w c"]) -> tuple[Array, Array]:
        """The first convolution of `normed` and beta, and what `second` takes."""
        y = _convolved(normed + self.beta, self.conv_in) + self.conv_in_bias
        return y, normed

    def second(self, normed: Array, steer: Float[Array, "b c"]) -> Float[Array, "b h w c"]:
        """The second one, of `normed` and, at every position, `steer`."""
        steered = normed + steer[:, None, None]
        return _convolved(steered, self.conv_out) + self.conv_out_bias


class TiledPair:
    """The same of larger planes, by tiles that both convolutions share."""

    def __init__(self, conv: stream.StreamConv, tiling: Tiling, dtypes: Dtypes) -> None:
        self.tiling = tiling
        first, second = _kernels(conv)
        self.conv_in = dtypes.matrix(tiling.kernel(first))
        self.conv_out = dtypes.matrix(tiling.kernel(second))
        beta = _array(conv.beta) @ _of_constant(first)
        bias = beta.reshape(3, 3, -1) + _array(conv.conv_in.bias)
        rows, columns = (_borders(n) for n in (tiling.height, tiling.width))
        self.conv_in_bias = dtypes.vector(bias[rows][:, columns])
        self.border = dtypes.matrix(_of_constant(second))
        self.conv_out_bias = dtypes.vector(conv.conv_out.bias)

    def first(self, normed: Float[Array, "b h w c"]) -> tuple[Array, Array]:
        """As of DirectPair."""
        planes = self.tiling.split(normed)
        wide, later = (
            self.tiling.join(jnp.einsum("qnc,qco->qno", planes, kernel))
            for kernel in (self.conv_in, self.conv_out)
        )
        return wide + self.conv_in_bias, later

    def second(self, later: Array, steer: Float[Array, "b c"]) -> Float[Array, "b h w c"]:
        """As of DirectPair."""
        _, height, width, n_out = later.shape
        added = (steer @ self.border).reshape(-1, 3, 3, n_out) + self.conv_out_bias
        inner = jnp.broadcast_to(added[:, :, 1:2], (len(added), 3, width - 2, n_out))
        added = jnp.concatenate([added[:, :, :1], inner, added[:, :, 2:]], axis=2)
        row = lax.broadcasted_iota(jnp.int32, (1, height, 1, 1), 1)
        top, middle, bottom = (added[:, i : i + 1] for i in range(3))
        return later + jnp.where(row == 0, top, jnp.where(row == height - 1, bottom, middle))


class JaxConv(SSConvTemplate):
    """An SSConv whose TemporalNorm is given its shares; planes are (h w c)."""

    def __init__(self, conv: stream.StreamConv, tiling: Tiling, dtypes: Dtypes) -> None:
        pair = TiledPair(conv, tiling, dtypes) if tiling.pays else DirectPair(conv, dtypes)
        self.pair: DirectPair | TiledPair = pair
        self.expand = dtypes.matrix(conv.expand.weight.T)
        self.expand_bias = dtypes.vector(conv.expand.bias)
        self.ssm = JaxSSM(conv.ssm, dtypes)

    def norm(
        self,
        x: Float[Array, "h w c"],
        shares: tuple[Array, Array],
        mean: Float[Array, "h w c"],
        var: Float[Array, "h w c"],
    ) -> tuple[Array, Array, Array]:
        """By the new mean alone, or the old one would have to be copied before it is overwritten;
        and without an axis for the batch, for which XLA would compute the mean once again."""
        new, gamma = shares
        mean = mean + new * (x - mean)
        off = x - mean
        var = var + new * (off * off - var)
        return (gamma * off * lax.rsqrt(var + EPS))[None], mean, var

    def first(self, normed: Float[Array, "1 h w c"]) -> tuple[Array, Array]:
        return self.pair.first(normed)

    def pooled(self, narrow: Float[Array, "1 h w c"]) -> Float[Array, "1 d"]:
        wide = narrow.reshape(-1, narrow.shape[-1]) @ self.expand + self.expand_bias
        return _relu6(wide).mean(axis=0, keepdims=True)

    def second(self, normed: Array, steer: Float[Array, "1 c"]) -> Float[Array, "h w c"]:
        return _relu6(self.pair.second(normed, steer))[0]


class JaxHalve:
    """The stride-2 convolution between two blocks, with the projection of the second."""

    def __init__(self, halve: stream.Halve, dtypes: Dtypes) -> None:
        kernel = _kernel(halve)  # (2 2 c o)
        self.weight = dtypes.matrix(kernel.reshape(stream.STRIDE, -1, kernel.shape[-1]))
        self.bias = dtypes.vector(halve.bias)

    def __call__(self, x: Float[Array, "h w c"]) -> Float[Array, "h2 w2 c"]:
        """Half the rows and columns, rounded up: even rows times weights, and odd ones."""
        stride = stream.STRIDE
        height, width, channels = x.shape
        rows, columns = -(-height // stride), -(-width // stride)
        below, right = rows * stride - height, columns * stride - width
        x = jnp.pad(x, ((0, below), (0, right), (0, 0))) if below or right else x
        x = x.reshape(rows, stride, columns, stride * channels)
        return sum((x[:, i] @ self.weight[i] for i in range(stride)), start=self.bias)


class JaxStep(FacePhysTemplate):
    """The one-frame step of `deployed`, whose order must be "hwc"; weights are constants of it.

    deployed: in float64, for the exactest constants.
    dtype: of what is computed.
    weight_dtype: how matrices are kept; None: as `dtype`.
    """

    def __init__(
        self,
        deployed: stream.FacePhysStream,
        *,
        dtype: DTypeLike = jnp.float32,
        weight_dtype: DTypeLike | None = None,
    ) -> None:
        dtypes = Dtypes(dtype, weight_dtype or dtype)
        states = deployed.init_state()
        self.convs = [
            JaxConv(conv, Tiling(*states[f"mean_{k}"].shape[:2]), dtypes)
            for k, conv in enumerate(deployed.convs)
        ]
        self.halves = [JaxHalve(halve, dtypes) for halve in deployed.halves]
        self.head = [JaxSSM(ssm, dtypes) for ssm in deployed.head]
        self.row_sizes, self.phase_sizes = deployed.row_sizes, deployed.phase_sizes
        self.project = dtypes.vector(deployed.project[:, :, 0, 0].T)
        self.taps = dtypes.vector(deployed.taps.T)
        self.rate, self.gamma = dtypes.vector(deployed.rate), dtypes.vector(deployed.gamma)
        self.old_taps = dtypes.vector(deployed.old_taps)
        self.taps_bias = dtypes.vector(deployed.taps_bias)

    def __call__(
        self, clip: Float[Array, "t h w 3"], state: State, *, dt_s: Float[Array, "t"]
    ) -> tuple[Float[Array, "t"], State]:
        """A clip, frame by frame."""

        def step(before: State, now: tuple[Array, Array]) -> tuple[State, Array]:
            pulse, after = self.step(now[0][None], before, dt_s=now[1][None])
            return after, pulse[0]

        after, pulse = lax.scan(step, state, (clip, dt_s))
        return pulse, after

    def shares(self, dt_s: Float[Array, "1"]) -> Sequence[tuple[Array, Array]]:
        """(c) each: what the statistics take of the new frame, and gamma."""
        new = jnp.minimum(self.rate * dt_s, 1)
        return list(zip(new, self.gamma, strict=True))

    def enter(self, frame: Float[Array, "1 h w 3"]) -> Float[Array, "h w c"]:
        """Three multiplications: no product of matrices so small pays."""
        return sum(frame[0, ..., i : i + 1] * row for i, row in enumerate(self.project))

    def planes(self, statistic: Float[Array, "h w c"]) -> Array:
        return statistic

    def statistic(self, planes: Float[Array, "h w c"]) -> Array:
        return planes

    def pool(self, x: Float[Array, "h w c"]) -> Float[Array, "1 d"]:
        x = x.reshape(-1, x.shape[-1])
        y = jnp.stack([(x * tap[:, None]).sum(axis=0) for tap in self.taps], axis=1)
        return y.reshape(1, -1)

    def earlier(self, rows: Float[Array, "3 c"]) -> Sequence[Array]:
        earlier = self.taps_bias
        for tap, row in zip(self.old_taps, rows, strict=True):
            earlier = earlier + tap * row
        return _split(earlier, self.row_sizes)

    def phases(self, phase: Float[Array, "1 m"]) -> Sequence[Array]:
        """A remainder is dear on a CPU."""
        return _split(phase - stream.TURN * jnp.trunc(phase / stream.TURN), self.phase_sizes)

    def side_by_side(self, parts: Sequence[Float[Array, "1 _"]]) -> Float[Array, "1 n"]:
        return jnp.concatenate(parts, axis=1)

    def newest_last(self, rows: Float[Array, "3 c"], row: Float[Array, "1 c"]) -> Array:
        return jnp.concatenate([rows[1:], row])


def _array(x: Any) -> np.ndarray:
    return x.detach().numpy() if isinstance(x, Tensor) else np.asarray(x)


def _kernel(layer: Any) -> Float[np.ndarray, "k l c o"]:
    return _array(layer.weight).transpose(2, 3, 1, 0)


def _kernels(conv: stream.StreamConv) -> tuple[np.ndarray, np.ndarray]:
    return _kernel(conv.conv_in), _kernel(conv.conv_out)


def _relu6(x: Array) -> Array:
    return jnp.clip(x, 0, 6)


def _split(x: Float[Array, "1 n"], sizes: Iterable[int]) -> list[Array]:
    return jnp.split(x, list(accumulate(sizes))[:-1], axis=1)


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
