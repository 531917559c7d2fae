"""Weights for crops of one size converted to another, to start large crops from small ones.

Networks are convolutional, so only tensors with one value a pixel depend on the crop size.
"""

from collections.abc import Mapping

from einops import rearrange
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def at_size(tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a network, those with a value a pixel (h w c) interpolated as in `like`.

    Other tensors are returned as they are, whether or not they fit.
    """
    return {
        name: _resized(tensor, like[name])
        if name in like and _is_other_size(tensor, like[name])
        else tensor
        for name, tensor in tensors.items()
    }


def _is_other_size(a: Tensor, b: Tensor) -> bool:
    return a.dim() == b.dim() == 3 and a.shape != b.shape and a.shape[-1] == b.shape[-1]


def _resized(picture: Tensor, like: Tensor) -> Tensor:
    planes = rearrange(picture, "h w c -> 1 c h w")
    planes = F.interpolate(planes, size=like.shape[:2], mode="bilinear", align_corners=False)
    return rearrange(planes, "1 c h w -> h w c")
