"""A linear layer over channels, relu6, and the mean over space: the definition, in torch."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def expand_pool(
    x: Float[Tensor, "*b i h w"], weight: Float[Tensor, "o i"], bias: Float[Tensor, "o"]
) -> Float[Tensor, "*b o"]:
    """The mean over positions of relu6(weight x + bias)."""
    wide = F.linear(x.movedim(-3, -1), weight, bias)
    # nothing else reads this product, so relu6 may overwrite it
    return F.relu6(wide, inplace=True).mean(dim=(-3, -2))
