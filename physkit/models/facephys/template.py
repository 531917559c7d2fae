"""The deployed step's order of parts: one file for torch, ONNX, LiteRT and JAX.

`FacePhysStream` in torch, its subclasses for ONNX and LiteRT, and the form in JAX inherit the
methods called `step`, and write the parts that these call: each in the operators, and in the layout
of tensors, that its runtime runs fastest. Another block, order of parts or head is a change here,
and of the weights in `stream.py`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from jaxtyping import Float

from physkit.models.facephys.blocks import CONVS_A_BLOCK
from physkit.nn.ssm import NOMINAL_FPS

Array = Any
"""A tensor of the form's library. Shapes below are those of torch; a form may have others."""
Arrays = Sequence[Array]


class SSMTemplate(ABC):
    """One frame through an SSM whose state only decays."""

    a_imag: Array
    """(m), the frequency of every row of every head."""

    def step(
        self, u: Array, frames: Array, earlier: Array, phase: Array, state: Array
    ) -> tuple[Array, Array, Array, Array]:
        """One frame, `frames` (1) nominal frames long: the answer (1 e), new row, phase and state.

        u: (1 d), what is read.
        earlier: (1 c), what the rows before this one, and the bias, give to the short convolution.
        phase: (1 m).
        state: (n q), the real part of every row of every head, then the imaginary one: q = 2 m.
        """
        gate, row, dt = self.projected(u)
        x, b_in, c_out = self.mixed(row, earlier)
        delta = self.duration(dt, frames)
        phase = phase + delta * self.a_imag
        y, state = self.advanced(x, b_in, c_out, delta, phase, state)
        y = self.normed(y * self.relu6(gate))
        return self.read_by_next(y), row, phase, state

    @abstractmethod
    def projected(self, u: Array) -> Arrays:
        """Gate (1 q), row of the short convolution (1 c) and logarithm of the duration (1 m)."""

    @abstractmethod
    def mixed(self, row: Array, earlier: Array) -> Arrays:
        """The short convolution, cut into x (1 m), what enters (1 n) and what is read (1 n)."""

    @abstractmethod
    def duration(self, dt: Array, frames: Array) -> Array:
        """How long the frame is for every row of every head (1 m)."""

    @abstractmethod
    def advanced(
        self, x: Array, b_in: Array, c_out: Array, delta: Array, phase: Array, state: Array
    ) -> tuple[Array, Array]:
        """What the new state gives, and x past it (1 q), and the new state (n q)."""

    @abstractmethod
    def relu6(self, x: Array) -> Array:
        """x, cut at 0 and at 6."""

    @abstractmethod
    def normed(self, y: Array) -> Array:
        """y over the root of its mean square; the norm's weight is in what reads it."""

    @abstractmethod
    def read_by_next(self, y: Array) -> Array:
        """The SSM's output, and all that is linear after it (1 e)."""


class SSConvTemplate(ABC):
    """One frame through an SSConv whose TemporalNorm is given its shares."""

    ssm: SSMTemplate

    def step(
        self, x: Array, shares: Any, mean: Array, var: Array, *ssm_inputs: Array
    ) -> tuple[Array, ...]:
        """One frame: what comes out, the new mean and variance, and what the SSM keeps.

        x, mean, var: (1 c h w). shares: as of `FacePhysTemplate.shares`.
        """
        normed, mean, var = self.norm(x, shares, mean, var)
        narrow, normed = self.first(normed)
        steer, *kept = self.ssm.step(self.pooled(narrow), *ssm_inputs)
        return self.second(normed, steer), mean, var, *kept

    @abstractmethod
    def norm(self, x: Array, shares: Any, mean: Array, var: Array) -> tuple[Array, Array, Array]:
        """TemporalNorm without beta, then the new mean and variance."""

    @abstractmethod
    def first(self, normed: Array) -> tuple[Array, Array]:
        """The first convolution, of `normed` and beta, and what `second` takes."""

    @abstractmethod
    def pooled(self, narrow: Array) -> Array:
        """The mean over space of the widened channels (1 d)."""

    @abstractmethod
    def second(self, normed: Array, steer: Array) -> Array:
        """The second convolution, of `normed` and, at every position, `steer` (1 c)."""


class FacePhysTemplate(ABC):
    """One frame through the network.

    convs: `SSConvTemplate`s in order. halves: what is between two blocks. head: `SSMTemplate`s.
    pool: what is between the last block and the head.
    """

    convs: Any
    halves: Any
    head: Any

    def state_names(self) -> list[str]:
        """Every state's name, in the order of the deployed files."""
        norms = [f"{kind}_{k}" for k in range(len(self.convs)) for kind in ("mean", "var")]
        n_ssms = len(self.convs) + len(self.head)
        return [*norms, *(f"ssm_{k}" for k in range(n_ssms)), "rows", "phase"]

    def step(
        self, frame: Float[Any, "1 h w 3"], state: dict[str, Array], *, dt_s: Float[Any, "1"]
    ) -> tuple[Float[Any, "1"], dict[str, Array]]:
        """One frame (RGB in [0, 1]), `dt_s` seconds after the one before: a sample of pulse."""
        shares = self.shares(dt_s)
        ssm_inputs = self._ssm_inputs(dt_s * NOMINAL_FPS, state)
        after: dict[str, Array] = {}
        kept = []
        x = self.enter(frame)
        for k, conv in enumerate(self.convs):
            if k % CONVS_A_BLOCK == 0:
                x = residual = self.halves[k // CONVS_A_BLOCK - 1](x) if k else x
            statistics = (self.planes(state[f"{kind}_{k}"]) for kind in ("mean", "var"))
            x, mean, var, *of_ssm = conv.step(x, shares[k], *statistics, *ssm_inputs[k])
            after[f"mean_{k}"], after[f"var_{k}"] = self.statistic(mean), self.statistic(var)
            kept.append(of_ssm)
            if k % CONVS_A_BLOCK == CONVS_A_BLOCK - 1:
                x = x + residual
        y = self.pool(x)
        for k, ssm in enumerate(self.head, start=len(self.convs)):
            y, *of_ssm = ssm.step(y, *ssm_inputs[k])
            kept.append(of_ssm)
        rows, phases, ssms = zip(*kept, strict=True)
        after |= {f"ssm_{k}": x for k, x in enumerate(ssms)}
        after["rows"] = self.newest_last(state["rows"], self.side_by_side(rows))
        after["phase"] = self.side_by_side(phases)
        return y[:, 0], {name: after[name] for name in self.state_names()}

    def _ssm_inputs(self, frames: Array, state: dict[str, Array]) -> list[tuple[Array, ...]]:
        """What `SSMTemplate.step` takes beside what it reads, for each of them."""
        by_ssm = zip(self.earlier(state["rows"]), self.phases(state["phase"]), strict=True)
        return [(frames, *inputs, state[f"ssm_{k}"]) for k, inputs in enumerate(by_ssm)]

    @abstractmethod
    def shares(self, dt_s: Array) -> Sequence[Any]:
        """What each TemporalNorm takes of a frame that is `dt_s` (1) seconds long."""

    @abstractmethod
    def enter(self, frame: Array) -> Array:
        """The first block's projection of every pixel (1 c h w)."""

    @abstractmethod
    def planes(self, statistic: Array) -> Array:
        """A running statistic as the convolutions have it (1 c h w)."""

    @abstractmethod
    def statistic(self, planes: Array) -> Array:
        """The inverse: as the state has it."""

    @abstractmethod
    def pool(self, x: Array) -> Array:
        """Means over the positions that each tap of the last stride-2 convolution meets (1 d)."""

    @abstractmethod
    def earlier(self, rows: Array) -> Arrays:
        """What the rows (3 c) before this frame's, and the bias, give to each SSM (1 _)."""

    @abstractmethod
    def phases(self, phase: Array) -> Arrays:
        """The phase of each SSM (1 m), without whole turns, on which its digits would be spent."""

    @abstractmethod
    def side_by_side(self, parts: Arrays) -> Array:
        """Rows (1 _), joined to one."""

    @abstractmethod
    def newest_last(self, rows: Array, row: Array) -> Array:
        """The rows (3 c) without the oldest, and the new one after them."""
