"""A pulse without its offset and amplitude, which no label can tell."""

from jaxtyping import Float
from torch import Tensor

EPS = 1e-8
"""Added to a variance, so that a pulse without any change gives zeros and a finite gradient."""


def standardised(pulse: Float[Tensor, "b t"]) -> Float[Tensor, "b t"]:
    """Each clip less its mean and over its standard deviation, both over time."""
    centred = pulse - pulse.mean(dim=1, keepdim=True)
    variance = centred.square().mean(dim=1, keepdim=True)
    return centred * (variance + EPS).rsqrt()
