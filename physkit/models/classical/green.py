"""GREEN: the mean green value itself. Verkruysse et al. 2008."""

import torch
from jaxtyping import Float
from torch import Tensor

from physkit.models.classical.colour import mean_colour
from physkit.nn.streaming import PulseModel, State


class GREEN(PulseModel[State]):
    """Pulse from the green channel, which haemoglobin absorbs most.

    The mean green value, negated: skin darkens as blood volume rises. Unfiltered, one sample a
    frame at once. Verkruysse, Svaasand & Nelson 2008, "Remote plethysmographic imaging using
    ambient light".
    """

    def init_state(self, batch_size: int = 1) -> State:
        """No memory: an empty tensor that only says how many streams there are."""
        return {"owed": torch.zeros((batch_size, 0))}

    def forward(
        self,
        clip: Float[Tensor, "b t h w 3"],
        dt_s: Float[Tensor, "b t"],  # noqa: ARG002 - each sample depends on its own frame alone
        state: State | None = None,  # noqa: ARG002
    ) -> tuple[Float[Tensor, "b t"], State]:
        """Pulse of each frame; see `PulseModel.forward`."""
        pulse = clip.new_tensor(-mean_colour(clip)[..., 1])
        return pulse, {"owed": clip.new_zeros((clip.shape[0], 0))}
