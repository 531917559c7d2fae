"""Mean squared error of the standardised pulse."""

from jaxtyping import Float
from torch import Tensor

from physkit.losses.standardise import standardised


def mse(
    prediction: Float[Tensor, "b t"],
    label: Float[Tensor, "b t"],
    *,
    fps: Float[Tensor, "b"],  # noqa: ARG001  all losses have the same arguments
) -> Float[Tensor, "b"]:
    """Mean over time of the squared difference, both sides standardised over time; 0 to 4.

    It is 2 (1 - r) with r Pearson's correlation. ME-rPPG and FacePhys train with it.
    """
    return (standardised(prediction) - standardised(label)).square().mean(dim=1)
