"""FacePhys: a state-space network that reads the pulse off one face crop at a time.

"FacePhys: State of the Heart Learning", arXiv 2512.06275. 1,221,137 parameters and about 149
MFLOP a frame at the published size; the streaming state is 2 MB of float32.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from physkit.core.registry import unknown_name
from physkit.models.facephys.blocks import FORMS, Block, SSConv, SSConvState
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.resize import at_size
from physkit.models.facephys.start import start_weights
from physkit.nn.ssm import SSM, SSMState
from physkit.nn.streaming import PulseModel
from physkit.ops.native.choice import automatic_form

N_HEAD_SSMS = 2
FRAMES_AT_ONCE = 128
"""Frames, over the whole batch, that `forward` works through at once on a CPU: enough to outweigh
what calling an operator costs, and no buffer grows beyond what the allocator reuses."""
FEWEST_AT_ONCE = 32
"""As many frames of every clip at the least, however large the batch is."""


class FacePhysState(NamedTuple):
    """What FacePhys remembers: one entry for each SSConv in order, one for each SSM of the head."""

    convs: tuple[SSConvState, ...]
    head: tuple[SSMState, ...]


class FacePhys(PulseModel[FacePhysState]):
    """Face crops in, pulse out: frame by frame by `step`, clip by clip by `forward`.

    backend: form of the operators in `forward`: "reference" (a loop over time), "chunked" (torch
      without a loop over time), "native" (compiled C++, CPU only), "triton" (GPU), or "auto", which
      chooses by the device whenever the network moves, and logs what it chose.
    chunk_frames: frames of each clip that `forward` works through at once; None means by the batch
      on a CPU, and all of them on a GPU. It changes neither pulse nor gradient.
    """

    config_class = FacePhysConfig
    picture_fields = frozenset({"height", "width"})
    deployed = "physkit.models.facephys.stream:FacePhysStream"
    # The learned statistics suit no one face: a 10 s clip reads 0.6 bpm closer once settled.
    warmup_s = 2.0

    def __init__(
        self,
        config: FacePhysConfig | None = None,
        *,
        backend: str = "auto",
        chunk_frames: int | None = None,
    ) -> None:
        super().__init__()
        self.config = config = config or FacePhysConfig()
        self.backend, self.chunk_frames = backend, chunk_frames
        height, width, in_channels = config.height, config.width, 3
        blocks = []
        for _ in range(config.n_blocks):
            blocks.append(Block(height, width, in_channels, config))
            height, width, in_channels = -(-height // 2), -(-width // 2), config.channels
        self.blocks: Iterable[Block] = nn.ModuleList(blocks)  # type: ignore[assignment]
        self.head_in = nn.Linear(config.channels, config.channels, bias=False)
        self.head: Iterable[SSM] = nn.ModuleList(  # type: ignore[assignment]
            SSM(config.channels, config.head_d_state, config.channels // 4)
            for _ in range(N_HEAD_SSMS)
        )
        self.head_out = nn.Linear(config.channels, 1)
        start_weights(list(self.blocks), self.head_in, list(self.head))
        self._choose_forms()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "FacePhys":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._choose_forms()  # the device may be another
        return self

    def _choose_forms(self) -> None:
        device = self.head_out.weight.device
        backend = automatic_form(device.type) if self.backend == "auto" else self.backend
        if backend not in FORMS:
            raise unknown_name("backend", backend, FORMS)
        for block in self.blocks:
            for conv in block.convs:
                conv.use_backend(backend)
        for ssm in self.head:
            ssm.use_backend(FORMS[backend][1])

    @property
    def crop_size(self) -> tuple[int, int]:
        """Rows and columns of the crops that it reads."""
        return self.config.height, self.config.width

    def adapt_weights(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights with what they keep for each place of the picture interpolated to this size."""
        return at_size(tensors, self.state_dict())

    def init_state(self, batch_size: int = 1) -> FacePhysState:
        """The learned state before the first frame."""
        return FacePhysState(
            tuple(conv.init_state(batch_size) for block in self.blocks for conv in block.convs),
            tuple(ssm.init_state(batch_size) for ssm in self.head),
        )

    def step(
        self, frame: Float[Tensor, "b h w 3"], state: FacePhysState, *, dt_s: Float[Tensor, "b"]
    ) -> tuple[Float[Tensor, "b"], FacePhysState]:
        """One frame (RGB in [0, 1]), `dt_s` seconds after the one before: one pulse sample each."""
        return self._run(frame, dt_s, state, SSConv.step, SSM.step)

    def forward(
        self,
        clip: Float[Tensor, "b t h w 3"],
        dt_s: Float[Tensor, "b t"],
        state: FacePhysState | None = None,
    ) -> tuple[Float[Tensor, "b t"], FacePhysState]:
        """A clip (RGB in [0, 1]), with the time since the previous frame for each frame."""
        state = self.init_state(clip.shape[0]) if state is None else state
        n_frames = self.chunk_frames or self._frames_at_once(clip)
        pulses = []
        for first in range(0, clip.shape[1], n_frames):
            chunk = slice(first, first + n_frames)
            pulse, state = self._run(
                clip[:, chunk], dt_s[:, chunk], state, SSConv.forward, SSM.forward
            )
            pulses.append(pulse)
        return torch.cat(pulses, dim=1) if len(pulses) > 1 else pulses[0], state

    def _frames_at_once(self, clip: Tensor) -> int:
        if clip.device.type != "cpu":
            return clip.shape[1]
        return max(FEWEST_AT_ONCE, FRAMES_AT_ONCE // clip.shape[0])

    def _run(
        self,
        frames: Float[Tensor, "*b h w 3"],
        dt_s: Float[Tensor, "*b"],
        state: FacePhysState,
        run_conv: Callable[..., tuple[Tensor, SSConvState]],
        run_ssm: Callable[..., tuple[Tensor, SSMState]],
    ) -> tuple[Float[Tensor, "*b"], FacePhysState]:
        states, convs, head = iter(state.convs), [], []
        x = frames.movedim(-1, -3)
        for block in self.blocks:
            x = residual = block.project(x.movedim(-3, -1)).movedim(-1, -3)
            for conv in block.convs:
                x, conv_state = run_conv(conv, x, dt_s, next(states))
                convs.append(conv_state)
            x = block.halve(x + residual)
        with torch.autocast(x.device.type, enabled=False):  # a pulse is worth float32
            y = self.head_in(x.mean(dim=(-2, -1), dtype=self.head_in.weight.dtype))
            for ssm, before in zip(self.head, state.head, strict=True):
                y, ssm_state = run_ssm(ssm, y, dt_s, before)
                head.append(ssm_state)
            return self.head_out(y).squeeze(-1), FacePhysState(tuple(convs), tuple(head))

    def finish(self, state: FacePhysState) -> Float[Tensor, "b 0"]:
        """Nothing: every frame was answered when it came."""
        return state.head[0].real.new_zeros(state.head[0].real.shape[0], 0)
