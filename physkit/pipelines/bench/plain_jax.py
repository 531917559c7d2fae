"""The step as the paper writes it, under `jax.jit`: what the deployed form is compared with."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from physkit.core.errors import MissingExtraError
from physkit.pipelines.bench.step import SECONDS_A_FRAME

if TYPE_CHECKING:
    from physkit.models.facephys import FacePhys
    from physkit.pipelines.bench.released import Clip


def plain_jax(net: "FacePhys", clip: "Clip") -> Callable[[], None]:
    """One pass of the flax twin over `clip`, its states fed back every frame.

    Raises MissingExtraError without JAX or flax.
    """
    try:
        from physkit.export.jax.jitted import jitted_step
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"needs the package '{error.name}': pip install 'physkit[export]'"
        ) from error
    step, first_state = jitted_step(net)
    dt_s = np.full(1, SECONDS_A_FRAME, dtype=np.float32)

    def run() -> None:
        state = first_state()
        for frame in clip:
            pulse, state = step(frame[None], state, dt_s)
            float(pulse[0])

    return run
