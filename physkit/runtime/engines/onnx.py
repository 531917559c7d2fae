"""An exported FacePhys in ONNX Runtime."""

import ctypes
import functools
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from physkit.core.artifact import METADATA_KEY, ArtifactCard
from physkit.core.errors import BackendError, InputError
from physkit.runtime.engines.base import Arrays, Engine, initial_states

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""ONNX Runtime's name of each device."""
OPTIONS = {
    # A state that nothing drives decays to denormals, which cost hundreds of cycles each.
    "session.set_denormal_as_zero": "1",
    # Without VNNI, 8-bit products overflow 16 bits; there the runtime then takes a slower kernel.
    "session.x64quantprecision": "1",
}
UNREADABLE = (
    errors.Fail,
    errors.InvalidArgument,
    errors.InvalidGraph,
    errors.InvalidProtobuf,
    errors.NotImplemented,
    errors.RuntimeException,
)

_C = ctypes.PyDLL("ucrtbase" if os.name == "nt" else None)


class OnnxEngine(Engine):
    """Two sets of states: a call reads one and writes the other, in turns, without copies.

    device: cpu, cuda or tensorrt.
    """

    def __init__(self, path: Path, *, threads: int, device: str) -> None:
        self._session = _open(path, threads=threads, device=device)
        found = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        self.card = ArtifactCard.from_json(found, path=str(path))
        _check_inputs(path, self._session, self.card)
        self.initial = initial_states(path, self.card)
        memory = "cpu" if device == "cpu" else "cuda"
        n, size = self.card.n_frames, (self.card.height, self.card.width, 3)
        self._frames = _buffer((n, *size), "float32", memory)
        self._dt_s = None if self.card.fixed_dt_s else _buffer((n,), "float32", memory)
        self._pulse = _buffer((n,), "float32", "cpu")
        self._turns = [
            {spec.name: _buffer(spec.shape, spec.dtype, memory) for spec in self.card.states}
            for _ in range(2)
        ]
        self._bindings = [self._bound(*self._turns), self._bound(*reversed(self._turns))]
        self._turn = 0
        self.set_states(self.initial)

    def advance(self, frames: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        self._frames.update_inplace(frames)
        if self._dt_s is not None:
            self._dt_s.update_inplace(dt_s)
        with _arithmetic_kept():
            _C.fesetenv(_flushing())
            self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn = 1 - self._turn
        answer: np.ndarray = self._pulse.numpy().copy()
        return answer

    def states(self) -> Arrays:
        return {name: value.numpy().copy() for name, value in self._turns[self._turn].items()}

    def set_states(self, states: Mapping[str, np.ndarray]) -> None:
        for name, value in self._turns[self._turn].items():
            value.update_inplace(states[name])

    def _bound(
        self,
        before: Mapping[str, onnxruntime.OrtValue],
        after: Mapping[str, onnxruntime.OrtValue],
    ) -> onnxruntime.IOBinding:
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("frames", self._frames)
        if self._dt_s is not None:
            binding.bind_ortvalue_input("dt_s", self._dt_s)
        binding.bind_ortvalue_output("pulse", self._pulse)
        for name in before:
            binding.bind_ortvalue_input(name, before[name])
            binding.bind_ortvalue_output(f"new_{name}", after[name])
        return binding


def _open(path: Path, *, threads: int, device: str) -> onnxruntime.InferenceSession:
    """Raises BackendError for a device that is not usable, InputError for a file that is not."""
    if device not in PROVIDERS:
        raise BackendError(f"device {device}: unknown to ONNX Runtime; use {', '.join(PROVIDERS)}")
    provider = PROVIDERS[device]
    if provider not in onnxruntime.get_available_providers():
        raise BackendError(
            f"device {device}: this ONNX Runtime has no {provider}; install onnxruntime-gpu, "
            "or use cpu"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    for key, value in OPTIONS.items():
        options.add_session_config_entry(key, value)
    try:
        with _arithmetic_kept():
            session = onnxruntime.InferenceSession(str(path), options, [provider])
            _flushing()
    except UNREADABLE as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{path}: not a model that ONNX Runtime {onnxruntime.__version__} runs ({reason}); "
            "make it again by physkit export"
        ) from error
    if provider not in session.get_providers():  # ONNX Runtime falls back without an error
        raise BackendError(f"device {device}: {provider} could not start here; use cpu")
    return session


@contextmanager
def _arithmetic_kept() -> Iterator[None]:
    """The calling thread rounds, and treats denormals, afterwards as before.

    The first session of a process makes its thread flush denormals to zero for good, and no other
    session or thread does: in a thread of its own a session would slow down.
    """
    before = _arithmetic()
    try:
        yield
    finally:
        _C.fesetenv(before)


@functools.cache
def _flushing() -> ctypes.Array[ctypes.c_char]:
    """The arithmetic of a thread that flushes denormals; first called after the first session."""
    return _arithmetic()


def _arithmetic() -> ctypes.Array[ctypes.c_char]:
    kept = ctypes.create_string_buffer(64)  # twice the largest fenv_t
    _C.fegetenv(kept)
    return kept


def _check_inputs(path: Path, session: onnxruntime.InferenceSession, card: ArtifactCard) -> None:
    """Raises InputError unless the graph has the inputs and outputs of its card."""
    n = card.n_frames
    expected = {"frames": [n, card.height, card.width, 3]}
    if card.fixed_dt_s is None:
        expected["dt_s"] = [n]
    expected |= {spec.name: list(spec.shape) for spec in card.states}
    found = {entry.name: entry.shape for entry in session.get_inputs()}
    outputs = {entry.name for entry in session.get_outputs()}
    if found != expected or outputs != {"pulse", *(f"new_{spec.name}" for spec in card.states)}:
        raise InputError(
            f"{path}: its inputs and outputs are not what its card says; "
            "make it again by physkit export"
        )


def _buffer(shape: tuple[int, ...], dtype: str, memory: str) -> onnxruntime.OrtValue:
    return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.dtype(dtype), memory)
