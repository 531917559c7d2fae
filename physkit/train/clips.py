"""Clips through a network: as it takes them, with gradients in little memory, and in chunks."""

from collections.abc import Mapping
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

Extras = Mapping[str, Tensor]
"""What a network reads beside frames, by name: (b t ...)."""

CHUNK_FRAMES = 256
"""Frames that are read at once where no gradient is wanted."""
WHITE = 255.0


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
    extras: Extras | None = None,
    *,
    checkpoint_frames: int | None = None,
) -> Float[Tensor, "b t"]:
    """Pulse of a whole clip, for its gradient.

    checkpoint_frames: let the backward pass compute blocks of so many frames anew, each from the
      state before it. The gradient stays exact; memory holds one block and the states between.
    """
    if checkpoint_frames is None:
        pulse, _ = net(*inputs(net, clip, dt_s, None, extras))
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
        arguments = inputs(net, clip[:, block], dt_s[:, block], state, _rows(extras, block))
        pulse, state = checkpoint(run, *arguments, use_reentrant=False)
        pulses.append(pulse)
    return _one_a_frame(net, torch.cat(pulses, dim=1), clip)


def stream_pulse(
    net: PulseModel[Any],
    frames: Shaped[Tensor, "b t h w 3"],
    dt_s: Float[Tensor, "b t"],
    extras: Extras | None = None,
) -> Float[Tensor, "b t"]:
    """Pulse of frames of any length, read in chunks; without a gradient."""
    size, pulses, state = net.crop_size, [], None
    for start in range(0, frames.shape[1], CHUNK_FRAMES):
        part = slice(start, start + CHUNK_FRAMES)
        clip = as_input(frames[:, part], size)
        pulse, state = net(*inputs(net, clip, dt_s[:, part], state, _rows(extras, part)))
        pulses.append(pulse)
    pulses.append(net.finish(state))
    return torch.cat(pulses, dim=1)


def inputs(
    net: PulseModel[Any], clip: Tensor, dt_s: Tensor, state: Any, extras: Extras | None
) -> tuple[Any, ...]:
    """Arguments of `forward`; only a network that asks for extras is given any."""
    return (clip, dt_s, state, extras or {}) if net.extras else (clip, dt_s, state)


def _rows(extras: Extras | None, part: slice) -> Extras | None:
    return {name: rows[:, part] for name, rows in extras.items()} if extras else None


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
