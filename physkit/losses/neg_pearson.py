"""One minus Pearson's correlation."""

from jaxtyping import Float
from torch import Tensor

from physkit.losses.standardise import standardised


def neg_pearson(
    prediction: Float[Tensor, "b t"],
    label: Float[Tensor, "b t"],
    *,
    fps: Float[Tensor, "b"],  # noqa: ARG001  all losses have the same arguments
) -> Float[Tensor, "b"]:
    """1 - r over time, 0 to 2; 1 where either side is constant. PhysNet: Yu et al. 2019."""
    return 1 - (standardised(prediction) * standardised(label)).mean(dim=1)
