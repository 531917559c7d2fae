"""Divergence of a pulse's power spectrum from the heart rate of its label."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from physkit.losses.standardise import standardised
from physkit.signal.heart_rate import HIGH_HZ

SLOWEST_HZ = 0.4
"""24 bpm: below the slowest heart that time scaling makes (30 bpm), whose second harmonic would be
taken for its rate."""
SPACING_HZ = 0.5 / 60
"""Spacing of the frequencies: half a beat a minute."""
HANN_WIDTH = 0.61
"""Standard deviation of the power of a sinusoid under a Hann window, times its duration."""
EPS = 1e-12


def spectral(
    prediction: Float[Tensor, "b t"], label: Float[Tensor, "b t"], *, fps: Float[Tensor, "b"]
) -> Float[Tensor, "b"]:
    """Kullback-Leibler divergence, in nats, of the prediction's power from the label's heart rate.

    The prediction: its power under a Hann window from 0.4 to 3.3 Hz, normalised to a distribution.
    The label: a Gaussian around its strongest frequency, as wide as the peak of a sinusoid of that
    duration. So the loss of a clean sinusoid at the right rate is about 0, whatever its phase: a
    lag of the label, which harms the other losses, has no effect. fps: true rate of each clip, Hz.
    A heart rate as a label distribution over the power spectrum: PhysFormer, Yu et al. 2022
    (arXiv 2111.12082); cross-entropy of the spectrum with the rate: Niu et al. 2020.
    """
    n = prediction.shape[1]
    grid_hz = torch.arange(SLOWEST_HZ, HIGH_HZ, SPACING_HZ, dtype=label.dtype, device=label.device)
    share = _power(standardised(prediction), grid_hz, fps)
    share = (share + EPS) / (share + EPS).sum(dim=1, keepdim=True)
    with torch.no_grad():
        rate_hz = grid_hz[_power(standardised(label), grid_hz, fps).argmax(dim=1)]
        width_hz = HANN_WIDTH * fps / n
        target = torch.softmax(
            -0.5 * ((grid_hz - rate_hz[:, None]) / width_hz[:, None]).square(), dim=1
        )
    return (torch.xlogy(target, target) - target * share.log()).sum(dim=1)


def _power(
    x: Float[Tensor, "b t"], frequency_hz: Float[Tensor, "f"], fps: Float[Tensor, "b"]
) -> Float[Tensor, "b f"]:
    """Power of each clip at any frequencies, under a Hann window."""
    n = x.shape[1]
    window = torch.hann_window(n + 2, periodic=False, dtype=x.dtype, device=x.device)[1:-1]
    times_s = torch.arange(n, dtype=x.dtype, device=x.device) / fps[:, None]
    phase = 2 * math.pi * times_s[:, :, None] * frequency_hz
    windowed = (x * window)[:, None, :]
    real, imag = (windowed @ wave for wave in (phase.cos(), phase.sin()))
    return (real.square() + imag.square()).squeeze(1) / n
