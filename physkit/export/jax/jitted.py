"""The network's own step under `jax.jit`, as anyone would write it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from physkit.export.jax.facephys import FacePhys, FacePhysState
from physkit.export.jax.layers import load_arrays
from physkit.models.facephys import FacePhys as TorchFacePhys

Step = Callable[[np.ndarray, FacePhysState, np.ndarray], tuple[jax.Array, FacePhysState]]


def jitted_step(net: TorchFacePhys) -> tuple[Step, FacePhysState]:
    """`FacePhys.step` of the flax twin with the weights of `net`, and its first state.

    The step takes a frame (1 h w 3), a state and dt_s (1), and compiles at its first call.
    """
    twin = FacePhys(net.config)
    weights = {name: x.detach().cpu().numpy() for name, x in net.state_dict().items()}
    load_arrays(twin, weights, path="the network")
    definition, parameters = nnx.split(twin)

    @jax.jit
    def step(
        parameters: nnx.State, frame: jax.Array, state: FacePhysState, dt_s: jax.Array
    ) -> tuple[jax.Array, FacePhysState]:
        module = nnx.merge(definition, parameters)
        return module.step(frame, state, dt_s=dt_s)

    def of_these_weights(
        frame: np.ndarray, state: FacePhysState, dt_s: np.ndarray
    ) -> tuple[jax.Array, FacePhysState]:
        return step(parameters, jnp.asarray(frame), state, jnp.asarray(dt_s))

    return of_these_weights, twin.init_state(1)
