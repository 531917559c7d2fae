"""One less Pearson's correlation."""

from jaxtyping import Float
from torch import Tensor

from physkit.losses.standardise import standardised


def neg_pearson(
    prediction: Float[Tensor, "b t"],
    label: Float[Tensor, "b t"],
    *,
    fps: Float[Tensor, "b"],  # noqa: ARG001  every loss is called alike
) -> Float[Tensor, "b"]:
    """1 - r over time, 0 to 2; 1 where either side has no change. PhysNet: Yu et al. 2019."""
    return 1 - (standardised(prediction) * standardised(label)).mean(dim=1)
