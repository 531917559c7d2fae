"""How FacePhys is trained: as any network, and with less memory where that is asked for."""

from typing import ClassVar

from torch import Tensor

from physkit.data.datamodule import Batch
from physkit.train.clips import clip_pulse
from physkit.train.module import PulseModule


class FacePhysModule(PulseModule):
    """A clip may be read in blocks, each from the state before it, which the backward pass computes
    anew: the gradient stays exact."""

    recomputes: ClassVar[bool] = True

    def answer(self, clip: Tensor, batch: Batch) -> Tensor:
        """Pulse of each frame (b t), for its gradient."""
        return clip_pulse(
            self.net, clip, batch.dt_s, batch.extras, checkpoint_frames=self.checkpoint_frames
        )
