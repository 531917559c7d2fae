"""Losses: what they are, and what they do not mind."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from physkit.losses.mse import mse
from physkit.losses.neg_pearson import neg_pearson
from physkit.losses.spectral import spectral
from physkit.signal.heart_rate import heart_rate_bpm


def pulse(bpm: float, *, fps: float = 30.0, n: int = 300, lag_s: float = 0.0) -> Tensor:
    times_s = torch.arange(n, dtype=torch.float64) / fps
    return torch.sin(2 * math.pi * bpm / 60 * (times_s - lag_s))[None]


def rate(fps: float) -> Tensor:
    return torch.tensor([fps], dtype=torch.float64)


def test_errors_are_the_correlation_in_other_words() -> None:
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 1, 200, generator=g, dtype=torch.float64)
    r = np.corrcoef(a[0].numpy(), b[0].numpy())[0, 1]
    assert float(neg_pearson(a, b, fps=rate(30))) == pytest.approx(1 - r, abs=1e-6)
    assert float(mse(a, b, fps=rate(30))) == pytest.approx(2 * (1 - r), abs=1e-6)
    assert float(mse(3 * a + 7, b, fps=rate(30))) == pytest.approx(2 * (1 - r), abs=1e-6)


def test_a_flat_prediction_costs_as_much_as_an_unrelated_one() -> None:
    flat, label = torch.full((1, 300), 5.0, dtype=torch.float64), pulse(72)
    assert float(neg_pearson(flat, label, fps=rate(30))) == pytest.approx(1)
    assert float(mse(flat, label, fps=rate(30))) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("fps", [15.0, 30.0, 61.5])
def test_the_spectral_loss_knows_the_rate_by_the_true_clock_and_no_phase(fps: float) -> None:
    label = pulse(72, fps=fps)

    def loss(prediction: Tensor) -> float:
        return float(spectral(prediction, label, fps=rate(fps)))

    assert loss(pulse(72, fps=fps)) < 0.02
    assert loss(pulse(72, fps=fps, lag_s=0.3)) == pytest.approx(loss(pulse(72, fps=fps)), abs=0.01)
    errors = [loss(pulse(72 + off, fps=fps)) for off in (0, 6, 15, 40)]
    assert errors == sorted(errors)
    assert errors[-1] > 5


def test_the_spectral_loss_knows_hearts_as_slow_as_time_scaling_makes() -> None:
    label = pulse(31) + 0.6 * pulse(62)  # 62 bpm is its second harmonic
    at, double = (float(spectral(pulse(bpm), label, fps=rate(30))) for bpm in (31, 62))
    assert at < 0.1
    assert double > 5


def test_the_spectral_loss_leads_to_the_heart_rate() -> None:
    g = torch.Generator().manual_seed(1)
    prediction = (pulse(80) + 2 * torch.randn(1, 300, generator=g)).requires_grad_()
    label = pulse(110)
    for _ in range(100):
        (gradient,) = torch.autograd.grad(
            spectral(prediction, label, fps=rate(30)).sum(), prediction
        )
        prediction = (prediction - 30 * gradient).detach().requires_grad_()
    read = heart_rate_bpm(prediction[0].detach().numpy(), fps=30)
    assert read == pytest.approx(110, abs=2)
