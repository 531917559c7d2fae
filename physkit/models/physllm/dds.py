"""Dual-domain stabilisation of the rough pulse (DDS)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from physkit.models.physllm.config import DDSConfig
from physkit.ops.dwt import wavedec, waverec

SMALL = 1e-5
"""Added to a standard deviation."""
START = 0.5
"""Share of the frequency branch before training."""


class DDS(nn.Module):
    """A pulse smoothed over time and smoothed band by band, mixed by a learned share.

    z = (1 - share) z_time + share z_frequency, the share a sigmoid. Each branch is a running
    average of standardised values; the frequency branch has one for each band of a wavelet
    transform. Clip by clip: nothing is shared between the clips of a batch. PhysLLM, section 3.
    """

    def __init__(self, config: DDSConfig) -> None:
        super().__init__()
        self.config = config
        self.mix = nn.Parameter(torch.tensor(math.log(START / (1 - START))))

    def forward(self, x: Float[Tensor, "b t"]) -> Float[Tensor, "b t"]:
        """The stabilised pulse."""
        time = self._smoothed(_standardised(x)[0])
        frequency = self._by_bands(x)
        share = self.mix.sigmoid()
        return (1 - share) * time + share * frequency

    def _by_bands(self, x: Float[Tensor, "b t"]) -> Float[Tensor, "b t"]:
        config = self.config
        x, _, _ = _standardised(x)
        bands = wavedec(x, wavelet=config.wavelet, levels=config.levels, border=config.border)
        smooth = [self._band(band) for band in bands]
        return waverec(smooth, wavelet=config.wavelet, n=x.shape[-1])

    def _band(self, band: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        even, mean, deviation = _standardised(band)
        smooth = self._smoothed(even)
        return smooth * deviation + mean if self.config.restore_bands else smooth

    def _smoothed(self, x: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        return running_average(x, share=self.config.alpha)


def running_average(x: Float[Tensor, "*b k"], *, share: float) -> Float[Tensor, "*b k"]:
    """z_i = share x_i + (1 - share) z_(i-1), where z_0 = x_0, along the last axis."""
    k = x.shape[-1]
    steps = torch.arange(k, device=x.device, dtype=x.dtype)
    age = steps[:, None] - steps
    # one product with a triangle: clips are a few hundred samples long
    weights = share * torch.where(age >= 0, (1 - share) ** age.clamp(min=0), 0)
    weights[:, 0] = (1 - share) ** steps
    return x @ weights.T


def _standardised(x: Float[Tensor, "b k"]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean 0 and deviation 1 over the last axis, and what they were."""
    mean = x.mean(dim=-1, keepdim=True)
    deviation = x.std(dim=-1, keepdim=True, correction=0) + SMALL
    return (x - mean) / deviation, mean, deviation
