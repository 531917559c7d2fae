"""Clips through a network: as it takes them, with gradients in little memory, and in chunks."""

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.utils._pytree import tree_map_only
from torch.utils.checkpoint import checkpoint

from physkit.core.errors import InputError
from physkit.nn.streaming import PulseModel

CHUNK_FRAMES = 256
"""Frames that are read at once where no gradient is wanted."""
WHITE = 255.0


def input_size(net: PulseModel[Any]) -> tuple[int, int] | None:
    """Rows and columns of the crops that a network reads; None where it takes any."""
    config = getattr(net, "config", None)
    height, width = getattr(config, "height", None), getattr(config, "width", None)
    return None if height is None or width is None else (int(height), int(width))


def as_input(
    frames: Shaped[Tensor, "b t h w 3"], size: tuple[int, int] | None
) -> Float[Tensor, "b t h2 w2 3"]:
    """Frames as a network takes them: grey levels scaled to [0, 1], averaged down to its size."""
    clip = frames * (1 / WHITE) if frames.dtype == torch.uint8 else frames
    if size is None or clip.shape[2:4] == size:
        return clip
    pictures = rearrange(clip, "b t h w c -> (b t) c h w")
    smaller = F.interpolate(pictures, size=size, mode="area")
    return rearrange(smaller, "(b t) c h w -> b t h w c", b=clip.shape[0])


def clip_pulse(
    net: PulseModel[Any],
    clip: Float[Tensor, "b t h w 3"],
    dt_s: Float[Tensor, "b t"],
    *,
    checkpoint_frames: int | None = None,
) -> Float[Tensor, "b t"]:
    """Pulse of a whole clip, for its gradient.

    checkpoint_frames: let the backward pass compute blocks of so many frames anew, each from the
      state before it. The gradient stays exact; memory holds one block and the states between.
    """
    if checkpoint_frames is None:
        pulse, _ = net(clip, dt_s)
        return _one_a_frame(net, pulse, clip)
    if not net.can_stream:
        raise InputError(
            f"{type(net).__name__} reads clips whole, so it cannot recompute parts of them; "
            "leave --trainer.checkpoint_frames out"
        )

    def run(*block: Any) -> tuple[Tensor, Any]:
        pulse, state = net(*block)
        return pulse, tree_map_only(Tensor, _own, state)

    state, pulses = None, []
    for start in range(0, clip.shape[1], checkpoint_frames):
        block = slice(start, start + checkpoint_frames)
        pulse, state = checkpoint(run, clip[:, block], dt_s[:, block], state, use_reentrant=False)
        pulses.append(pulse)
    return _one_a_frame(net, torch.cat(pulses, dim=1), clip)


def stream_pulse(
    net: PulseModel[Any],
    frames: Shaped[Tensor, "b t h w 3"],
    dt_s: Float[Tensor, "b t"],
) -> Float[Tensor, "b t"]:
    """Pulse of frames of any length, read in chunks; without a gradient."""
    size, pulses, state = input_size(net), [], None
    for start in range(0, frames.shape[1], CHUNK_FRAMES):
        part = slice(start, start + CHUNK_FRAMES)
        pulse, state = net(as_input(frames[:, part], size), dt_s[:, part], state)
        pulses.append(pulse)
    pulses.append(net.finish(state))
    return torch.cat(pulses, dim=1)


def _own(part: Tensor) -> Tensor:
    """The tensor in a memory of its own: the last of many would keep them all."""
    return part.clone() if part.untyped_storage().nbytes() > part.nbytes else part


def _one_a_frame(net: PulseModel[Any], pulse: Tensor, clip: Tensor) -> Tensor:
    if pulse.shape != clip.shape[:2]:
        raise InputError(
            f"{type(net).__name__} answers {pulse.shape[1]} of {clip.shape[1]} frames at once, and "
            "training needs one sample a frame; train another model"
        )
    return pulse
