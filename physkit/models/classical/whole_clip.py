"""Methods that need the whole clip: gather the mean colours, answer at the end."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from physkit.models.classical.colour import frame_steps_s, mean_colour
from physkit.nn.streaming import PulseModel

MIN_FRAMES = 4
"""Below this a clip has more colour channels than it has movement to tell them apart."""


@dataclass(frozen=True, eq=False)
class ClipState:
    """The mean colours and steps of all chunks so far; `like` carries device and dtype."""

    colours: tuple[Float[np.ndarray, "b _ 3"], ...]
    steps_s: tuple[Float[np.ndarray, "b _"], ...]
    like: Float[Tensor, "b 0"]


class WholeClip(PulseModel[ClipState]):
    """Base of the methods that look at a whole clip at once.

    `forward` keeps three numbers a frame and answers with no sample; `finish` gives all of them.
    """

    can_stream: ClassVar[bool] = False

    @abstractmethod
    def clip_pulse(
        self, colours: Float[np.ndarray, "t 3"], times_s: Float[np.ndarray, "t"]
    ) -> Float[np.ndarray, "t"]:
        """Pulse of one clip of mean colours at their times, as blood volume has it."""

    def init_state(self, batch_size: int = 1) -> ClipState:
        """No frames."""
        return ClipState((), (), torch.zeros((batch_size, 0)))

    def forward(
        self,
        clip: Float[Tensor, "b t h w 3"],
        dt_s: Float[Tensor, "b t"],
        state: ClipState | None = None,
    ) -> tuple[Float[Tensor, "b 0"], ClipState]:
        """No samples yet; the state has gathered the clip's mean colours."""
        state = self.init_state(clip.shape[0]) if state is None else state
        like = clip.new_zeros((clip.shape[0], 0))
        colours = (*state.colours, mean_colour(clip))
        return like, ClipState(colours, (*state.steps_s, frame_steps_s(dt_s)), like)

    def finish(self, state: ClipState) -> Float[Tensor, "b t"]:
        """One sample for every frame of the stream; zeros for a clip too short to tell."""
        if not state.colours:
            return state.like
        colours = np.concatenate(state.colours, axis=1)
        times_s = np.cumsum(np.concatenate(state.steps_s, axis=1), axis=1)
        pulse = np.zeros(times_s.shape)
        if times_s.shape[1] >= MIN_FRAMES:
            for b in range(len(pulse)):
                pulse[b] = self.clip_pulse(colours[b], times_s[b])
        return state.like.new_tensor(pulse)
