"""The network's own step under `jax.jit`, as anyone would write it."""

from collections.abc import Callable
from functools import partial

import jax
import numpy as np

from physkit.export.jax.facephys import FacePhys, FacePhysState
from physkit.export.jax.layers import load_arrays
from physkit.models.facephys.network import FacePhys as TorchFacePhys

Step = Callable[[np.ndarray, FacePhysState, np.ndarray], tuple[jax.Array, FacePhysState]]


def jitted_step(net: TorchFacePhys) -> tuple[Step, Callable[[], FacePhysState]]:
    """`FacePhys.step` of the flax twin with the weights of `net`, and what gives its first state.

    The step takes a frame (1 h w 3), a state, which it uses up, and dt_s (1); it compiles at its
    first call, with the weights as constants.
    """
    twin = FacePhys(net.config)
    weights = {name: x.detach().cpu().numpy() for name, x in net.state_dict().items()}
    load_arrays(twin, weights, path="the network")

    @partial(jax.jit, donate_argnums=1)
    def step(
        frame: jax.Array, state: FacePhysState, dt_s: jax.Array
    ) -> tuple[jax.Array, FacePhysState]:
        return twin.step(frame, state, dt_s=dt_s)

    return step, partial(twin.init_state, 1)
