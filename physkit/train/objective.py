"""What training lowers: a weighted sum of losses."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from physkit.losses import LOSSES


class Objective:
    """Losses by name, each with its weight. Raises UnknownNameError for another name."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.terms = tuple((LOSSES[name], weight) for name, weight in weights.items())

    def __call__(
        self,
        prediction: Float[Tensor, "b t"],
        label: Float[Tensor, "b t"],
        *,
        fps: Float[Tensor, "b"],
    ) -> Float[Tensor, "b"]:
        """One value a clip."""
        total = prediction.new_zeros(prediction.shape[0])
        for loss, weight in self.terms:
            total = total + weight * loss(prediction, label, fps=fps)
        return total
