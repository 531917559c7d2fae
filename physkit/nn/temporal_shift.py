"""Channels that look one frame ahead or back. Lin, Gan & Han 2019, arXiv 1811.08383."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

N_PARTS = 3
"""A third of the channels looks ahead, a third back, and the rest stays."""


def temporal_shift(x: Float[Tensor, "bt c h w"], *, group_frames: int) -> Float[Tensor, "bt c h w"]:
    """Neighbouring frames' channels in each frame, within groups of frames.

    A group's first and last frame, which have no neighbour there, keep their own.
    """
    part = x.shape[1] // N_PARTS
    x = rearrange(x, "(g n) c h w -> g n c h w", n=group_frames)
    ahead, back, same = x[:, :, :part], x[:, :, part : 2 * part], x[:, :, 2 * part :]
    ahead = torch.cat([ahead[:, 1:], ahead[:, -1:]], dim=1)
    back = torch.cat([back[:, :1], back[:, :-1]], dim=1)
    return torch.cat([ahead, back, same], dim=2).flatten(0, 1)
