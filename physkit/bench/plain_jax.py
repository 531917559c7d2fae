"""The step as the paper writes it, under `jax.jit`: what the deployed form is compared with."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from physkit.bench.lap import SECONDS_A_FRAME
from physkit.bench.released import missing_extra

if TYPE_CHECKING:
    from physkit.bench.released import Clip
    from physkit.models.facephys.network import FacePhys


def plain_jax(net: "FacePhys", clip: "Clip") -> Callable[[], None]:
    """One pass of the flax twin over `clip`, its states fed back every frame.

    Raises MissingExtraError without JAX or flax.
    """
    try:
        from physkit.export.jax.jitted import jitted_step
    except ModuleNotFoundError as error:
        raise missing_extra(error, "export") from error
    step, first_state = jitted_step(net)
    dt_s = np.full(1, SECONDS_A_FRAME, dtype=np.float32)

    def run() -> None:
        state = first_state()
        for frame in clip:
            pulse, state = step(frame[None], state, dt_s)
            float(pulse[0])

    return run
