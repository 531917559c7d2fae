"""Convolutions that also see how fast their input changes. Yu et al. 2020, arXiv 2004.12943."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class TemporalDifferenceConv(nn.Conv3d):
    """A 3x3x3 convolution, less `theta` times the sum of its first and last frames' weights.

    It keeps the input's size. That difference is of the middle value alone, so it is one kernel.
    """

    def __init__(self, in_channels: int, channels: int, *, theta: float) -> None:
        super().__init__(in_channels, channels, 3, padding=1, bias=False)
        self.theta = theta

    def forward(self, x: Float[Tensor, "b i t h w"]) -> Float[Tensor, "b o t h w"]:
        """The change of the input, as far as theta is near 1."""
        neighbours = self.weight[:, :, ::2].sum(dim=(2, 3, 4))[:, :, None, None, None]
        kernel = self.weight - F.pad(self.theta * neighbours, (1,) * 6)
        return F.conv3d(x, kernel, padding=1)
