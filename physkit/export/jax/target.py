"""Writes FacePhys as a serialized StableHLO artifact of `jax.export`."""

import copy
import zipfile
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import Array, export

from physkit.core.artifact import JAX_CARD, JAX_MODULE, ArtifactCard
from physkit.core.errors import InputError
from physkit.core.files import whole_file
from physkit.export.jax.step import JaxStep
from physkit.export.target import ExportRequest, ExportTarget, make_card
from physkit.models.facephys.network import FacePhys
from physkit.models.facephys.stream import FacePhysStream

PLATFORMS = ("cpu", "cuda")
"""What XLA may compile an artifact for."""


class JaxTarget(ExportTarget):
    """A zip of the card and of the module, whose constants the weights are.

    As arguments of the module they would be read anew, and their layout changed, by every call.
    """

    suffix = ".jax"
    precisions = ("fp32",)

    def check(self, request: ExportRequest) -> None:
        if request.precision == "int8":
            raise InputError(
                "target jax: on a CPU its float32 is faster than XLA's int8; use precision fp32 or "
                "fp16, or the target litert or onnx"
            )

    def write(self, net: FacePhys, request: ExportRequest, path: Path) -> ArtifactCard:
        self.check(request)
        deployed = FacePhysStream(copy.deepcopy(net).cpu().double())
        card = make_card(net, request, order="hwc", states=deployed.init_state())
        half = request.precision == "fp16"
        step = JaxStep(deployed, weight_dtype=jnp.float16 if half else jnp.float32)
        shapes = [jax.ShapeDtypeStruct(state.shape, state.dtype) for state in card.states]
        n = request.n_frames
        inputs = [jax.ShapeDtypeStruct((n, card.height, card.width, 3), jnp.float32)]
        if request.fixed_dt_s is None:
            inputs.append(jax.ShapeDtypeStruct((n,), jnp.float32))
        call = jax.jit(_call(step, request))
        module = export.export(call, platforms=PLATFORMS)(*inputs, *shapes).serialize()
        with (
            whole_file(path) as unfinished,
            zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as file,
        ):
            file.writestr(JAX_CARD, card.to_json())
            file.writestr(JAX_MODULE, bytes(module))
        return card


def _call(step: JaxStep, request: ExportRequest) -> Callable[..., tuple[Array, ...]]:
    """The function that is exported: inputs and outputs as the card says, by position."""
    names = step.state_names()

    def call(frames: Array, *rest: Array) -> tuple[Array, ...]:
        if request.fixed_dt_s is None:
            dt_s, *states = rest
        else:
            states = list(rest)
            dt_s = jnp.full(request.n_frames, request.fixed_dt_s, jnp.float32)
        state = {name: x.astype(jnp.float32) for name, x in zip(names, states, strict=True)}
        run = step.step if request.form == "step" else step.__call__
        pulse, state = run(frames, state, dt_s=dt_s)
        return pulse, *(state[name].astype(request.state_dtype) for name in names)

    return call
