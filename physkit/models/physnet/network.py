"""PhysNet: a 3-D convolutional encoder and decoder that reads the pulse off whole clips of a face.

Yu, Li & Zhao 2019, "Remote photoplethysmograph signal measurement from facial videos using
spatio-temporal networks", in the form that rPPG-Toolbox trains (encoder-decoder with max pooling):
768,577 parameters and about 270 MFLOP a frame at 72x72.
"""

from typing import Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from physkit.core.errors import InputError
from physkit.models.physnet.config import TIME_STRIDE, PhysNetConfig
from physkit.nn.clip_network import standardised
from physkit.nn.streaming import PulseModel
from physkit.ops.normalised_difference import normalised_difference

WIDTHS = (16, 32, 64, 64, 64, 64, 64, 64, 64)
"""Filters of each convolution of the encoder."""
RGB_FPS = 30.0
"""Frames a second of the released network's training."""
FEATURE_BLOCKS = (2, 4, 6)
"""Convolutions after which PhysLLM reads the features: before time or space is pooled again."""


class PhysNetState(NamedTuple):
    """The frames that a window may still reach, and pulse that was not given out yet."""

    frames: Float[Tensor, "b n h w 3"]
    n_read: int
    """How many of the frames, the first ones, whole windows have read."""
    ready: Float[Tensor, "b m"]
    """Pulse of those windows that is still to be given out."""


class ConvBlock(nn.Sequential):
    """A convolution over time and space that keeps their sizes, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, channels: int, kernel: tuple[int, int, int]) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.conv = nn.Conv3d(in_channels, channels, kernel, padding=padding)
        self.norm = nn.BatchNorm3d(channels)
        self.activation = nn.ReLU(inplace=True)


class Doubling(nn.Sequential):
    """Twice as many time steps: a transposed convolution over time, batch normalisation, ELU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose3d(
            channels, channels, (4, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0)
        )
        self.norm = nn.BatchNorm3d(channels)
        self.activation = nn.ELU(inplace=True)


class PhysNet(PulseModel[PhysNetState]):
    """Face crops in, pulse out, a window of `config.frames` at a time.

    What the network sees is the normalised difference of neighbouring frames (rPPG-Toolbox's
    DiffNormalized), which is taken here, window by window. It knows nothing of time: frames count
    as evenly spaced, at the rate it was trained at (the released weights: 30 frames/s).

    Evaluation mode (`eval()`): the `PulseModel` protocol. The pulse is the blood volume: answers
    of output "diff" are summed up, as the metric protocols do before they detrend. A window's
    answers are freed of their mean first, which no correlation loss determines and which would add
    up to a drift many beats high; so an integrated pulse begins at 0 in every window. A sample
    comes `config.frames` frames after its own; `finish` gives those still owed, the last of them
    read off the stream's last `config.frames` frames. Windows do not depend on how the stream is
    cut.

    Training mode (`train()`): every call takes a batch of separate clips of any length as one
    window each, and returns what the network itself says, one value a frame, to be compared with
    the label in the form `label_form`; no state is kept.

    Raises InputError for crops of another size than the config's, and in training mode for a state.
    """

    config_class = PhysNetConfig

    def __init__(self, config: PhysNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or PhysNetConfig()
        blocks: list[nn.Module] = []
        in_channels = 3
        for width in WIDTHS:
            kernel = (3, 3, 3) if blocks else (1, 5, 5)
            blocks.append(ConvBlock(in_channels, width, kernel))
            in_channels = width
        self.encoder = nn.ModuleList(blocks)
        self.decoder = nn.Sequential(Doubling(in_channels), Doubling(in_channels))
        self.head = nn.Conv3d(in_channels, 1, 1)

    @property
    def crop_size(self) -> tuple[int, int]:
        """Rows and columns of the crops that it reads."""
        return self.config.height, self.config.width

    @property
    def trained_fps(self) -> float | None:  # type: ignore[override]
        """Known of the form that reads plain RGB; the other has been trained at several rates."""
        return RGB_FPS if self.config.input == "rgb" else None

    @property
    def least_frames(self) -> int | None:
        """A window, where its statistics are those of a window."""
        return self.config.frames if self.config.input == "rgb" else None

    @property
    def label_form(self) -> Literal["standardised", "diff"]:
        """Form of the label that the output in training mode is compared with."""
        return "diff" if self.config.output == "diff" else "standardised"

    def init_state(self, batch_size: int = 1) -> PhysNetState:
        """No frames."""
        like, side = self.head.weight, (self.config.height, self.config.width)
        return PhysNetState(
            like.new_zeros((batch_size, 0, *side, 3)), 0, like.new_zeros((batch_size, 0))
        )

    def forward(
        self,
        clip: Float[Tensor, "b t h w 3"],
        dt_s: Float[Tensor, "b t"],  # noqa: ARG002 - the network knows no clock
        state: PhysNetState | None = None,
    ) -> tuple[Float[Tensor, "b k"], PhysNetState]:
        """Pulse samples that are ready, at most one a frame; see `PulseModel.forward`.

        In training mode the network's own answer to each frame, k = t.
        """
        self._check_size(clip)
        if self.training:
            if state is not None:
                raise InputError(
                    "PhysNet: trains on whole clips, and was given the rest of one; do not cut "
                    "clips in training (physkit fit: leave --trainer.checkpoint_frames out)"
                )
            return self.answer(self.seen(clip)), self.init_state(clip.shape[0])
        state = self.init_state(clip.shape[0]) if state is None else state
        n, done, t = self.config.frames, state.n_read, clip.shape[1]
        frames = torch.cat([state.frames, clip], dim=1)
        pieces = [state.ready]
        while frames.shape[1] - done > n:  # a window, and the frame that its last change needs
            window = self.seen(frames[:, done : done + n + 1], n)
            pieces.append(self.pulse_of(self.answer(window), n_owed=n))
            done += n
        spare = max(0, done - n)  # the last window may reach back over a whole one
        kept = frames[:, spare:].clone() if spare else frames
        ready = torch.cat(pieces, dim=1)
        return ready[:, :t], PhysNetState(kept, done - spare, ready[:, t:])

    def finish(self, state: PhysNetState) -> Float[Tensor, "b k"]:
        """The samples still owed, at most twice `config.frames`."""
        n_owed = state.frames.shape[1] - state.n_read
        if n_owed == 0:
            return state.ready
        window = self.seen(state.frames[:, -self.config.frames :])
        last = self.pulse_of(self.answer(window), n_owed=n_owed)
        return torch.cat([state.ready, last], dim=1)

    def seen(
        self, frames: Float[Tensor, "b t h w 3"], n: int | None = None
    ) -> Float[Tensor, "b n h w 3"]:
        """What the network sees of the first `n` frames of a window; by default of all.

        A frame more tells the change of the last.
        """
        if self.config.input == "rgb":
            return standardised(frames[:, :n], 1, 2, 3)
        return normalised_difference(frames, white=1.0)[:, :n]

    def answer(self, change: Float[Tensor, "b t h w 3"]) -> Float[Tensor, "b t"]:
        """What the network itself says of each frame of windows as it sees them."""
        return self.features(change)[0]

    def features(
        self, change: Float[Tensor, "b t h w 3"]
    ) -> tuple[Float[Tensor, "b t"], list[Float[Tensor, "b c _ h w"]]]:
        """The answer, and the inner features after the blocks of `FEATURE_BLOCKS`.

        At 128 frames of 72x72 pixels: (b 64 128 36 36), (b 64 64 18 18), (b 64 32 9 9).
        """
        n_frames = change.shape[1]
        x = rearrange(change, "b t h w c -> b c t h w")
        x = F.pad(x, (0, 0, 0, 0, 0, -n_frames % TIME_STRIDE))
        inner: list[Tensor] = []
        for number, block in enumerate(self.encoder):
            x = block(x)
            if number in FEATURE_BLOCKS:
                inner.append(x)
            if number in (0, 6):
                x = F.max_pool3d(x, (1, 2, 2))
            elif number in (2, 4):
                x = F.max_pool3d(x, 2)
        # the head is linear, so it may follow the mean over space and see far less
        x = self.decoder(x).mean(dim=(-2, -1), keepdim=True)
        answer: Tensor = self.head(x)[:, 0, :n_frames, 0, 0]
        return answer.to(change.dtype), inner

    def pulse_of(self, answer: Float[Tensor, "b n"], *, n_owed: int) -> Float[Tensor, "b k"]:
        """Pulse at the last `n_owed` frames of a window from the network's answers to all of it."""
        if self.config.input == "rgb":
            answer = standardised(answer, 1)
        owed = (answer - answer.mean(dim=1, keepdim=True))[:, -n_owed:]
        if self.config.output == "pulse":
            return owed
        # a change leads from its frame to the next
        return F.pad(owed[:, :-1].cumsum(dim=1), (1, 0))

    def _check_size(self, clip: Float[Tensor, "b t h w 3"]) -> None:
        height, width = clip.shape[2:4]
        if (height, width) != (self.config.height, self.config.width):
            raise InputError(
                f"PhysNet: crops are {width}x{height} pixels, the model reads "
                f"{self.config.width}x{self.config.height}; cut crops of that size, or train one "
                "of this size (config height and width)"
            )
