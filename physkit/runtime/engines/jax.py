"""A FacePhys in XLA, from a serialized module of `jax.export`."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from jax import export

from physkit.core.artifact import JAX_CARD, JAX_MODULE, ArtifactCard
from physkit.core.errors import BackendError, InputError
from physkit.core.progress import told_if_long
from physkit.runtime.engines.base import Arrays, Engine, initial_states

DAMAGE = (zipfile.BadZipFile, zlib.error)
MOST_BYTES = 200_000_000
"""Largest size of a member of an artifact."""


class JaxEngine(Engine):
    """A module, compiled when it is opened; the states of a call reuse the buffers of the last.

    threads: XLA has one thread pool a process, with as many threads as cores; this decides only
      whether an operator may use more than one of them.
    """

    def __init__(self, path: Path, *, threads: int, device: str) -> None:
        self._device = _usable(device)
        self.card, module = _read(path)
        if self._device.platform != "cpu" and "cuda" not in module.platforms:
            raise BackendError(f"{path}: not made for device {device}; use cpu")
        self.initial = initial_states(path, self.card)
        self._states: list[jax.Array] = []
        self.set_states(self.initial)
        n_inputs = len(module.in_avals) - len(self.card.states)
        donated = tuple(range(n_inputs, len(module.in_avals)))
        options: dict[str, str | bool] = {}
        if self._device.platform == "cpu":
            options["xla_cpu_multi_thread_eigen"] = threads > 1
        said = f"{path.name}: being compiled for this machine, once for each session"
        with told_if_long(said), jax.default_device(self._device):
            lowered = jax.jit(module.call, donate_argnums=donated).lower(*module.in_avals)
            self._call = lowered.compile(compiler_options=options)

    def advance(self, frames: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        inputs = (frames, dt_s) if self.card.fixed_dt_s is None else (frames,)
        pulse, *self._states = self._call(*inputs, *self._states)
        return np.asarray(pulse)

    def states(self) -> Arrays:
        names = (state.name for state in self.card.states)
        return {name: np.array(x) for name, x in zip(names, self._states, strict=True)}

    def set_states(self, states: Mapping[str, np.ndarray]) -> None:
        # Copied: a donated buffer that borrowed the array's memory would overwrite it.
        arrays = [np.array(states[state.name]) for state in self.card.states]
        self._states = [jax.device_put(x, self._device, may_alias=False) for x in arrays]


def _usable(name: str) -> jax.Device:
    try:
        return jax.devices("gpu" if name == "cuda" else name)[0]
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise BackendError(f"device {name}: not usable here ({reason}); use cpu") from error


def _read(path: Path) -> tuple[ArtifactCard, export.Exported]:
    again = "make it again by physkit export"
    try:
        with zipfile.ZipFile(path) as file:
            text, data = (_member(file, name) for name in (JAX_CARD, JAX_MODULE))
    except (OSError, KeyError, ValueError, NotImplementedError, *DAMAGE) as error:
        raise InputError(f"{path}: no artifact of physkit for JAX ({error}); {again}") from error
    card = ArtifactCard.from_json(text, path=str(path))
    try:
        module = export.deserialize(bytearray(data))
    except Exception as error:  # bytes that are not a module raise any of a dozen exceptions
        raise InputError(f"{path}: its module is damaged ({error}); {again}") from error
    if [(tuple(x.shape), str(x.dtype)) for x in module.in_avals] != _inputs(card):
        raise InputError(f"{path}: its module takes other inputs than its card says; {again}")
    return card, module


def _inputs(card: ArtifactCard) -> list[tuple[tuple[int, ...], str]]:
    """Shape and dtype of every input."""
    n = card.n_frames
    frames = ((n, card.height, card.width, 3), "float32")
    dt_s = [((n,), "float32")] if card.fixed_dt_s is None else []
    return [frames, *dt_s, *((state.shape, state.dtype) for state in card.states)]


def _member(file: zipfile.ZipFile, name: str) -> bytes:
    if file.getinfo(name).file_size > MOST_BYTES:
        raise ValueError(f"{name} of more than {MOST_BYTES} bytes")
    return file.read(name)
