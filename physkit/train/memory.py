"""How much memory training a network takes, counted before anything is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from physkit.core.causes import first_line
from physkit.core.errors import InputError
from physkit.nn.streaming import PulseModel
from physkit.train.clips import inputs

OVERHEAD, FIXED_BYTES = 1.5, 100_000_000
"""What a step takes beside what its forward pass saves: a factor, and a sum. FacePhys in float32
took 561, 1,018 and 2,046 MB more than before at 128, 256 and 512 frames, and 2,513 MB for four
clips of 160, where 599, 1,091, 2,076 and 2,570 MB are estimated; in bf16 263 of 371 MB."""
LOST = 0.15
"""Share of what a block saves that is not found again for the next: memory falls into pieces. With
blocks of 128 frames, 640 took 881 MB and 1,600 took 1,282 MB, of 814 and 1,206 MB estimated."""
COPIES = 4
"""Gradients, two moments of Adam, and an average, each as large as what is trained."""
AMP = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Clips:
    """What one process computes a gradient of at once."""

    batch: int
    """Clips."""
    frames: int
    """Frames of each."""
    size: tuple[int, int]
    """Rows and columns."""
    checkpoint_frames: int | None = None
    """Frames between which the backward pass computes anew."""
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    """What the network reads beside frames: one row of each, whatever its values."""


def training_bytes(net: PulseModel[Any], clips: Clips, *, precision: str) -> int:
    """Memory that a step takes beside the network itself, in bytes.

    Counts the tensors that a forward pass would save, on tensors without values; or takes the
    network's own `training_bytes_a_frame`. Raises InputError for a network that cannot be counted.
    """
    at_once = min(clips.frames, clips.checkpoint_frames or clips.frames)
    if net.training_bytes_a_frame is not None:
        saved, state = net.training_bytes_a_frame * clips.batch * at_once, 0
    else:
        saved, state = _saved_bytes(net, clips, frames=at_once, precision=precision)
    kept = round(state + LOST * saved) * (-(-clips.frames // at_once) - 1)
    weights = sum(p.numel() * p.element_size() for p in net.parameters() if p.requires_grad)
    height, width = clips.size
    pictures = clips.batch * clips.frames * height * width * 3 * 4
    return round(OVERHEAD * saved) + FIXED_BYTES + kept + COPIES * weights + pictures


def _saved_bytes(
    net: PulseModel[Any], clips: Clips, *, frames: int, precision: str
) -> tuple[int, int]:
    """Bytes that a forward pass saves for the backward pass, and those of a state."""
    saved: dict[int, tuple[int, Tensor]] = {}
    own = {tensor.untyped_storage()._cdata for tensor in net.state_dict().values()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = (storage.nbytes(), tensor)  # kept, so that no other has its place
        return tensor

    device = next(net.parameters()).device.type
    dtype = AMP.get(precision)
    try:
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            tensors: dict[str, Tensor] = {
                name: mode.from_tensor(tensor) for name, tensor in _all_tensors(net)
            }
            own |= {tensor.untyped_storage()._cdata for tensor in tensors.values()}
            clip = torch.empty(clips.batch, frames, *clips.size, 3, device=device)
            dt_s = torch.empty(clips.batch, frames, device=device)
            autocast = torch.autocast(device, dtype=dtype, enabled=dtype is not None)
            rows = {
                name: row.new_empty((clips.batch, frames, *row.shape), device=device)
                for name, row in clips.extras.items()
            }
            with saved_tensors_hooks(pack, lambda tensor: tensor), autocast:
                _, state = functional_call(net, tensors, inputs(net, clip, dt_s, None, rows))
    except (RuntimeError, NotImplementedError, TypeError) as error:
        reason = first_line(error)
        raise InputError(
            f"{type(net).__name__}: the memory of its training cannot be counted ({reason}); "
            "let it say its training_bytes_a_frame"
        ) from error
    n_bytes = sum(n for key, (n, _) in saved.items() if key not in own)
    return n_bytes, sum(
        t.numel() * t.element_size() for t in tree_leaves(state) if isinstance(t, Tensor)
    )


def _all_tensors(net: PulseModel[Any]) -> list[tuple[str, Tensor]]:
    return [*net.named_parameters(), *net.named_buffers()]


def clips_of(
    net: PulseModel[Any],
    *,
    batch: int,
    frames: int,
    size_px: int,
    checkpoint_frames: int | None,
    extras: Mapping[str, Tensor],
) -> Clips:
    """The clips as the network takes them, out of crops of `size_px`."""
    size = net.crop_size or (size_px, size_px)
    return Clips(batch, frames, size, checkpoint_frames, extras)
