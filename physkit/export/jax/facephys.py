"""FacePhys in flax: the twin of `models/facephys/network.py`, which says what it computes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from physkit.export.jax.layers import Conv2d, Linear, relu6
from physkit.export.jax.ssm import SSM, SSMState
from physkit.export.jax.temporal_norm import TemporalNorm, TemporalNormState
from physkit.models.facephys.blocks import CONVS_A_BLOCK
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import N_HEAD_SSMS


class SSConvState(NamedTuple):
    """What one SSConv remembers."""

    ssm: SSMState
    norm: TemporalNormState


class FacePhysState(NamedTuple):
    """What FacePhys remembers: one entry for each SSConv in order, one for each SSM of the head."""

    convs: tuple[SSConvState, ...]
    head: tuple[SSMState, ...]


class SSConv(nnx.Module):
    """Two 3x3 convolutions, joined by an SSM that reads the spatial mean and steers the second."""

    def __init__(self, height: int, width: int, channels: int, d_state: int) -> None:
        self.norm = TemporalNorm(height, width, channels)
        self.conv_in = Conv2d(channels, 3, padding=1)
        self.expand = Linear(channels, 2 * channels)
        self.ssm = SSM(2 * channels, d_state, channels // 8)
        self.steer = Linear(2 * channels, channels, bias=False)
        self.conv_out = Conv2d(channels, 3, padding=1)

    def init_state(self, batch_size: int) -> SSConvState:
        """The learned state before the first frame."""
        return SSConvState(self.ssm.init_state(batch_size), self.norm.init_state(batch_size))

    def step(
        self, x: Float[Array, "b h w c"], dt_s: Float[Array, "b"], state: SSConvState
    ) -> tuple[Float[Array, "b h w c"], SSConvState]:
        """One frame."""
        return self._run(x, dt_s, state, self.norm.step, self.ssm.step)

    def __call__(
        self, x: Float[Array, "b t h w c"], dt_s: Float[Array, "b t"], state: SSConvState
    ) -> tuple[Float[Array, "b t h w c"], SSConvState]:
        """A clip."""
        return self._run(x, dt_s, state, self.norm, self.ssm)

    def _run(
        self,
        x: Float[Array, "*b h w c"],
        dt_s: Float[Array, "*b"],
        state: SSConvState,
        norm: Callable[..., tuple[Array, TemporalNormState]],
        ssm: Callable[..., tuple[Array, SSMState]],
    ) -> tuple[Array, SSConvState]:
        normed, norm_state = norm(x, dt_s, state.norm)
        wide = relu6(self.expand(over_frames(self.conv_in, normed)))
        steer, ssm_state = ssm(wide.mean(axis=(-3, -2)), dt_s, state.ssm)
        steered = normed + self.steer(steer)[..., None, None, :]
        y = relu6(over_frames(self.conv_out, steered))
        return y, SSConvState(ssm_state, norm_state)


class Block(nnx.Module):
    """A residual pair of SSConvs between a 1x1 projection and a stride-2 convolution."""

    def __init__(self, height: int, width: int, in_channels: int, config: FacePhysConfig) -> None:
        channels = config.channels
        self.project = Linear(in_channels, channels, bias=False)
        convs = (SSConv(height, width, channels, config.d_state) for _ in range(CONVS_A_BLOCK))
        self.convs = nnx.List(convs)
        self.padding = (height % 2, width % 2)
        self.downsample = Conv2d(channels, 2, stride=2)

    def halve(self, x: Float[Array, "*b h w c"]) -> Float[Array, "*b h2 w2 c"]:
        """Half the rows and columns, rounded up."""
        below, right = self.padding
        no_axis = [(0, 0)] * (x.ndim - 3)
        padded = jnp.pad(x, [*no_axis, (0, below), (0, right), (0, 0)])
        return over_frames(self.downsample, padded)


class FacePhys(nnx.Module):
    """Face crops in, pulse out: frame by frame by `step`, clip by clip when called.

    Its parameters are zeros until `layers.load_arrays` gives them those of a torch FacePhys.
    """

    def __init__(self, config: FacePhysConfig | None = None) -> None:
        self.config = config = config or FacePhysConfig()
        height, width, in_channels = config.height, config.width, 3
        blocks = []
        for _ in range(config.n_blocks):
            blocks.append(Block(height, width, in_channels, config))
            height, width, in_channels = -(-height // 2), -(-width // 2), config.channels
        self.blocks = nnx.List(blocks)
        self.head_in = Linear(config.channels, config.channels, bias=False)
        sizes = (config.channels, config.head_d_state, config.channels // 4)
        self.head = nnx.List(SSM(*sizes) for _ in range(N_HEAD_SSMS))
        self.head_out = Linear(config.channels, 1)

    def init_state(self, batch_size: int = 1) -> FacePhysState:
        """The learned state before the first frame."""
        return FacePhysState(
            tuple(conv.init_state(batch_size) for block in self.blocks for conv in block.convs),
            tuple(ssm.init_state(batch_size) for ssm in self.head),
        )

    def step(
        self, frame: Float[Array, "b h w 3"], state: FacePhysState, *, dt_s: Float[Array, "b"]
    ) -> tuple[Float[Array, "b"], FacePhysState]:
        """One frame (RGB in [0, 1]), `dt_s` seconds after the one before: one pulse sample each."""
        return self._run(frame, dt_s, state, SSConv.step, SSM.step)

    def __call__(
        self,
        clip: Float[Array, "b t h w 3"],
        dt_s: Float[Array, "b t"],
        state: FacePhysState | None = None,
    ) -> tuple[Float[Array, "b t"], FacePhysState]:
        """A clip (RGB in [0, 1]), with the time since the previous frame for each frame."""
        state = self.init_state(clip.shape[0]) if state is None else state
        return self._run(clip, dt_s, state, SSConv.__call__, SSM.__call__)

    def _run(
        self,
        x: Float[Array, "*b h w 3"],
        dt_s: Float[Array, "*b"],
        state: FacePhysState,
        run_conv: Callable[..., tuple[Array, SSConvState]],
        run_ssm: Callable[..., tuple[Array, SSMState]],
    ) -> tuple[Float[Array, "*b"], FacePhysState]:
        states, convs, head = iter(state.convs), [], []
        for block in self.blocks:
            x = residual = block.project(x)
            for conv in block.convs:
                x, conv_state = run_conv(conv, x, dt_s, next(states))
                convs.append(conv_state)
            x = block.halve(x + residual)
        y = self.head_in(x.mean(axis=(-3, -2)))
        for ssm, before in zip(self.head, state.head, strict=True):
            y, ssm_state = run_ssm(ssm, y, dt_s, before)
            head.append(ssm_state)
        return self.head_out(y)[..., 0], FacePhysState(tuple(convs), tuple(head))


def over_frames(conv: Conv2d, x: Float[Array, "*b h w c"]) -> Any:
    """A convolution of frames with any leading axes."""
    y = conv(x.reshape(-1, *x.shape[-3:]))
    return y.reshape(*x.shape[:-3], *y.shape[1:])
