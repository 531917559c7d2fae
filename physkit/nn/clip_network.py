"""Networks that read clips of a fixed length and size, at the frame rate they were trained at."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from physkit.core.errors import InputError
from physkit.nn.overlap_add import FRAMES, OverlapAdd, OverlapState

EPS = 1e-6
"""What the published networks add to a standard deviation."""


def standardised(x: Tensor, *dims: int, eps: float = EPS) -> Tensor:
    """Mean 0 and population deviation 1 over some dimensions."""
    centred = x - x.mean(dim=dims, keepdim=True)
    return centred / (centred.square().mean(dim=dims, keepdim=True).sqrt() + eps)


def standardised_change(clip: Float[Tensor, "b t h w 3"]) -> Float[Tensor, "b t h w 3"]:
    """Change from each frame to the next, standardised over each picture and channel.

    The last frame has none, and repeats the one before.
    """
    change = standardised(clip[:, 1:] - clip[:, :-1], 2, 3)
    return torch.cat([change, change[:, -1:]], dim=1)


def attention_mask(x: Tensor, *dims: int) -> Tensor:
    """Weights of mean 0.5 over some dimensions. Chen & McDuff 2018, DeepPhys."""
    return 0.5 * x / x.mean(dim=dims, keepdim=True)


class ClipNetwork(OverlapAdd):
    """Clips in, one number a frame out: a subclass says `answer`, and in `label_form` what it is.

    Its config has `size`, the side of the square crops in pixels, and `frames`, those of a clip.
    Evaluation mode gives the standardised pulse of each clip, overlap-added: an answer that is the
    pulse's change from frame to frame ("diff") is summed up first. Training mode gives the answer.
    Raises InputError for crops of another size.
    """

    trained_fps: ClassVar[float | None] = 30.0
    config: Any

    @property
    def crop_size(self) -> tuple[int, int]:
        """Rows and columns of the crops that it reads."""
        return self.config.size, self.config.size

    @property
    def clip_frames(self) -> int:
        """Frames of a clip."""
        frames: int = self.config.frames
        return frames

    @property
    def least_frames(self) -> int | None:
        """A whole clip; a shorter stream is read with its mirror image."""
        return self.clip_frames

    @abstractmethod
    def answer(self, clip: Float[Tensor, "b t h w 3"]) -> Float[Tensor, "b t"]:
        """What the network itself says of each frame of clips, RGB in [0, 1]."""

    def pulse(self, clip: Float[Tensor, "b t h w 3"]) -> Float[Tensor, "b t"]:
        """Standardised pulse of whole clips."""
        answer = self.answer(clip)
        return standardised(answer.cumsum(dim=1) if self.label_form == "diff" else answer, 1)

    def read_clip(self, inputs: Mapping[str, Tensor]) -> Float[Tensor, "b t"]:
        """The answer in training, else the pulse."""
        return self.answer(inputs[FRAMES]) if self.training else self.pulse(inputs[FRAMES])

    def forward(
        self,
        clip: Float[Tensor, "b t h w 3"],
        dt_s: Float[Tensor, "b t"],
        state: OverlapState | None = None,
        extras: Mapping[str, Tensor] | None = None,
    ) -> tuple[Float[Tensor, "b k"], OverlapState]:
        """Pulse samples that are ready, at most one a frame; see `PulseModel.forward`."""
        self.check_size(clip)
        return super().forward(clip, dt_s, state, extras)

    def check_size(self, clip: Float[Tensor, "b t h w 3"]) -> None:
        """Raises InputError for crops of another size than the config's."""
        height, width = clip.shape[2:4]
        if (height, width) != self.crop_size:
            raise InputError(
                f"{type(self).__name__}: crops are {width}x{height} pixels, the model reads "
                f"{self.config.size}x{self.config.size}; cut crops of that size, or train one of "
                "this size (config size)"
            )


def doubled(x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t2 h w"]:
    """Every frame twice."""
    return F.interpolate(x, scale_factor=(2.0, 1.0, 1.0), mode="nearest")
