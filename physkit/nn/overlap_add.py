"""Networks that read clips of a fixed length, over streams of any length."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from physkit.core.errors import InputError
from physkit.nn.streaming import PulseModel

FRAMES, DURATIONS = "frames", "dt_s"
"""What a clip always holds: (b t h w 3) in [0, 1], and seconds since the frame before (b t)."""


class OverlapState(NamedTuple):
    """What later clips still need, and pulse that was not given out yet."""

    inputs: dict[str, Tensor]
    """Frames, their durations and extras, from half a clip before the next clip on (b n ...)."""
    lead: int
    """How many of them lie before the next clip: none, or half a clip."""
    ready: Float[Tensor, "b m"]
    """Pulse that is to be given out next."""
    half: Float[Tensor, "b h"]
    """Weighted pulse of the last clip at the first samples of the next one; empty before a clip."""


class OverlapAdd(PulseModel[OverlapState]):
    """Clips at every half of their length, added up with a window, so that no seam is heard.

    A subclass says `clip_frames`, an even number, and `read_clip`. The stream's last clip ends with
    the stream. A stream shorter than a clip is continued by its mirror image. So the pulse does not
    depend on how the stream is cut.

    In training mode a call takes a batch of separate clips, and no state.
    """

    @property
    @abstractmethod
    def clip_frames(self) -> int:
        """Frames of a clip."""

    @abstractmethod
    def read_clip(self, inputs: Mapping[str, Tensor]) -> Float[Tensor, "b t"]:
        """Pulse of clips of `clip_frames` frames, of about mean 0 and deviation 1.

        inputs: `FRAMES`, `DURATIONS` and the extras that there are, each (b t ...).
        """

    def init_state(self, batch_size: int = 1) -> OverlapState:
        """No frames."""
        none = next(self.parameters()).new_zeros((batch_size, 0), dtype=torch.float32)
        return OverlapState({}, 0, none, none)

    def forward(
        self,
        clip: Float[Tensor, "b t h w 3"],
        dt_s: Float[Tensor, "b t"],
        state: OverlapState | None = None,
        extras: Mapping[str, Tensor] | None = None,
    ) -> tuple[Float[Tensor, "b k"], OverlapState]:
        """Pulse samples that are ready, at most one a frame; see `PulseModel.forward`.

        Raises InputError in training mode for clips of another length, and for a state.
        """
        t, half = clip.shape[1], self.clip_frames // 2
        if self.training:
            if state is not None or t != self.clip_frames:
                raise InputError(
                    f"{type(self).__name__}: trains on whole clips of {self.clip_frames} frames, "
                    f"and was given {'the rest of one' if state else t}; give clips of that length"
                )
            clips = {FRAMES: clip, DURATIONS: dt_s, **(extras or {})}
            return self.read_clip(clips), self.init_state(clip.shape[0])
        state = self.init_state(clip.shape[0]) if state is None else state
        new = {FRAMES: clip, DURATIONS: dt_s, **(extras or {})}
        inputs = {
            name: torch.cat([state.inputs[name], rows], dim=1) if state.inputs else rows
            for name, rows in new.items()
        }
        start, pieces, tail = state.lead, [state.ready], state.half
        while inputs[FRAMES].shape[1] - start >= self.clip_frames:
            added = self._read(inputs, start)
            pieces.append(self._mixed(added[:, :half], tail))
            tail = added[:, half:]
            start += half
        lead = min(start, half)
        # copies: a part of a tensor would keep all of it
        kept = {name: rows[:, start - lead :].clone() for name, rows in inputs.items()}
        ready = torch.cat(pieces, dim=1)
        return ready[:, :t], OverlapState(kept, lead, ready[:, t:], tail)

    def finish(self, state: OverlapState) -> Float[Tensor, "b k"]:
        """The samples still owed, the last of them read off the stream's last clip."""
        if not state.inputs:
            return state.ready
        n, half = state.inputs[FRAMES].shape[1], self.clip_frames // 2
        if not state.half.shape[1]:
            at = _mirrored(n, self.clip_frames, device=state.ready.device)
            inputs = {name: rows[:, at] for name, rows in state.inputs.items()}
            return torch.cat([state.ready, self.read_clip(inputs)[:, :n]], dim=1)
        n_owed = n - state.lead
        if n_owed == half:  # the last clip ended with the stream
            weights = self._window(state.half)[half:]
            return torch.cat([state.ready, state.half / weights], dim=1)
        added = self._read(state.inputs, n - self.clip_frames)[:, -n_owed:]
        weights = self._window(added)[-n_owed:].clone()
        mixed = added.clone()
        mixed[:, :half] += state.half
        weights[:half] += self._window(added)[half:]
        return torch.cat([state.ready, mixed / weights], dim=1)

    def _read(self, inputs: Mapping[str, Tensor], start: int) -> Float[Tensor, "b t"]:
        """The weighted pulse of a clip."""
        part = slice(start, start + self.clip_frames)
        pulse = self.read_clip({name: rows[:, part] for name, rows in inputs.items()})
        return pulse * self._window(pulse)

    def _mixed(self, added: Tensor, tail: Tensor) -> Tensor:
        """The first half of a clip, with what the clip before says of it."""
        weights = self._window(added)
        half = self.clip_frames // 2
        if not tail.shape[1]:
            return added / weights[:half]
        return (added + tail) / (weights[:half] + weights[half:])

    def _window(self, like: Tensor) -> Float[Tensor, "t"]:
        """What a clip's samples count: little at its ends."""
        at = (torch.arange(self.clip_frames, device=like.device) + 0.5) / self.clip_frames
        return torch.sin(torch.pi * at).square().to(like.dtype)


def _mirrored(n: int, wanted: int, *, device: Any) -> Tensor:
    """Which of n frames stand in a clip of more, which goes on backwards and forwards again."""
    at = torch.arange(wanted, device=device) % max(2 * n - 2, 1)
    return torch.minimum(at, 2 * n - 2 - at).clamp(min=0)
