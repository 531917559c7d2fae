"""A pulse without its offset and amplitude, which a contact label does not determine."""

from jaxtyping import Float
from torch import Tensor

EPS = 1e-8
"""Added to a variance, so that a constant pulse gives zeros and a finite gradient."""


def standardised(pulse: Float[Tensor, "b t"]) -> Float[Tensor, "b t"]:
    """Each clip minus its mean, divided by its standard deviation, both over time."""
    centred = pulse - pulse.mean(dim=1, keepdim=True)
    variance = centred.square().mean(dim=1, keepdim=True)
    return centred * (variance + EPS).rsqrt()
