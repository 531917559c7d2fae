"""What FacePhys is built of: convolutions joined by an SSM, in residual blocks."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.models.facephys.config import FacePhysConfig
from physkit.nn.ssm import SSM, SSMState
from physkit.nn.temporal_norm import TemporalNorm, TemporalNormState
from physkit.ops import expand_pool
from physkit.ops.expand_pool.reference import expand_pool as expand_pool_in_torch

CONVS_A_BLOCK = 2


FORMS = {
    "reference": ("reference", "reference", "reference"),
    "chunked": ("scan", "chunked", "reference"),
    "native": ("native", "native", "native"),
    "triton": ("triton", "triton", "reference"),
}
"""Backend to the forms of temporal_norm, ssm_mixer and expand_pool that `forward` runs."""


class SSConvState(NamedTuple):
    """What one SSConv remembers."""

    ssm: SSMState
    norm: TemporalNormState


class Conv2d(nn.Conv2d):
    """A convolution over the last three dimensions of frames with any leading ones.

    Frames are (.. c h w) everywhere in the network, and channels last in memory, which is the
    fast order on CPUs and the one in which a linear layer over channels needs no copy.
    """

    def __init__(
        self, channels: int, kernel_size: int, *, stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__(channels, channels, kernel_size, stride=stride, padding=padding)
        self.weight.data = self.weight.data.contiguous(memory_format=torch.channels_last)

    def forward(
        self, x: Float[Tensor, "*b c h w"], *, relu6: bool = False
    ) -> Float[Tensor, "*b c h2 w2"]:
        y = super().forward(x if x.dim() == 4 else x.flatten(0, -4))
        if relu6:  # of a fresh result that nothing else reads, so it may be overwritten
            y = F.relu6(y, inplace=True)
        return y if x.dim() == 4 else y.view(*x.shape[:-3], *y.shape[1:])


class SSConv(nn.Module):
    """Two 3x3 convolutions, joined by an SSM that reads the spatial mean and steers the second."""

    def __init__(self, height: int, width: int, channels: int, d_state: int) -> None:
        super().__init__()
        self.norm = TemporalNorm(height, width, channels)
        self.conv_in = Conv2d(channels, 3, padding=1)
        self.expand = nn.Linear(channels, 2 * channels)
        self.ssm = SSM(2 * channels, d_state, channels // 8)
        self.steer = nn.Linear(2 * channels, channels, bias=False)
        self.conv_out = Conv2d(channels, 3, padding=1)

    def use_backend(self, backend: str) -> None:
        """Choose the forms that `forward` runs; see FORMS."""
        norm, ssm, pool = FORMS[backend]
        self.norm.use_backend(norm)
        self.ssm.use_backend(ssm)
        self.pool = expand_pool.BACKENDS[pool]

    def init_state(self, batch_size: int) -> SSConvState:
        """The learned state before the first frame."""
        return SSConvState(self.ssm.init_state(batch_size), self.norm.init_state(batch_size))

    def step(
        self, x: Float[Tensor, "b c h w"], dt_s: Float[Tensor, "b"], state: SSConvState
    ) -> tuple[Float[Tensor, "b c h w"], SSConvState]:
        """One frame."""
        return self._run(x, dt_s, state, self.norm.step, self.ssm.step, expand_pool_in_torch)

    def forward(
        self, x: Float[Tensor, "b t c h w"], dt_s: Float[Tensor, "b t"], state: SSConvState
    ) -> tuple[Float[Tensor, "b t c h w"], SSConvState]:
        """A clip."""
        return self._run(x, dt_s, state, self.norm, self.ssm, self.pool)

    def _run(
        self,
        x: Float[Tensor, "*b c h w"],
        dt_s: Float[Tensor, "*b"],
        state: SSConvState,
        norm: Callable[..., tuple[Tensor, TemporalNormState]],
        ssm: Callable[..., tuple[Tensor, SSMState]],
        pool: Callable[..., Tensor],
    ) -> tuple[Tensor, SSConvState]:
        normed, norm_state = norm(x, dt_s, state.norm)
        summary = pool(self.conv_in(normed), self.expand.weight, self.expand.bias)
        steer, ssm_state = ssm(summary, dt_s, state.ssm)
        steered = normed + self.steer(steer)[..., None, None]
        return self.conv_out(steered, relu6=True), SSConvState(ssm_state, norm_state)


class Block(nn.Module):
    """A residual pair of SSConvs between a 1x1 projection and a stride-2 convolution."""

    def __init__(self, height: int, width: int, in_channels: int, config: FacePhysConfig) -> None:
        super().__init__()
        channels = config.channels
        self.project = nn.Linear(in_channels, channels, bias=False)
        self.convs: Iterable[SSConv] = nn.ModuleList(  # type: ignore[assignment]
            SSConv(height, width, channels, config.d_state) for _ in range(CONVS_A_BLOCK)
        )
        self.downsample = Conv2d(channels, 2, stride=2)
        self.padding = (0, 0, 0, width % 2, 0, height % 2)  # right and bottom, where odd

    def halve(self, x: Float[Tensor, "*b c h w"]) -> Float[Tensor, "*b c h2 w2"]:
        """Half the rows and columns, rounded up."""
        if any(self.padding):  # of the channels-last view: padding keeps no other memory order
            x = F.pad(x.movedim(-3, -1), self.padding).movedim(-1, -3)
        out: Tensor = self.downsample(x)
        return out
