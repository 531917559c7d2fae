"""A FacePhys in LiteRT, from a .tflite of `physkit export`."""

import ctypes
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from physkit.core.artifact import ArtifactCard
from physkit.core.errors import BackendError, InputError
from physkit.runtime.engines.base import Arrays, Engine, initial_states
from physkit.runtime.engines.tflite_file import read_card_text

LONGEST_REASON = 120
"""Longest error text that is shown; LiteRT may list every tensor in one line."""


class _FirstStates(Mapping[str, np.ndarray]):
    """The states before the first frame, read when needed: they take 2 MB of memory."""

    def __init__(self, path: Path, card: ArtifactCard) -> None:
        self._path, self._card = path, card
        self._specs = {spec.name: spec for spec in card.states}

    def __getitem__(self, name: str) -> np.ndarray:
        card = dataclasses.replace(self._card, states=(self._specs[name],))
        return initial_states(self._path, card)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)


class LiteRTEngine(Engine):
    """LiteRT's interpreter, whose tensors hold the stream's states.

    An interpreter owns its tensors, and input and output tensors cannot be exchanged: the new
    states are copied to the input tensors, within LiteRT's memory. LiteRT's CompiledModel needs no
    copy, but 7 MB more, and warns of every missing accelerator.
    """

    def __init__(self, path: Path, *, threads: int, device: str) -> None:
        if device != "cpu":
            raise BackendError(f"device {device}: LiteRT runs on the CPU here; use cpu")
        self.card = ArtifactCard.from_json(read_card_text(path), path=str(path))
        initial_states(path, self.card)  # raises InputError for a file that does not fit
        self.initial = _FirstStates(path, self.card)
        try:
            self._interpreter = Interpreter(str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
            signature = self._interpreter.get_signature_runner()
            inputs, outputs = signature.get_input_details(), signature.get_output_details()
            card, n = self.card, self.card.n_frames
            crops, is_fixed = (n, card.height, card.width, 3), card.fixed_dt_s is not None
            self._frames = self._view(inputs, "frames", crops, "float32")
            self._dt_s = None if is_fixed else self._view(inputs, "dt_s", (n,), "float32")
            self._pulse = self._view(outputs, "pulse", (n,), "float32")
            self._before = {
                x.name: self._view(inputs, x.name, x.shape, x.dtype) for x in card.states
            }
            after = {
                x.name: self._view(outputs, f"new_{x.name}", x.shape, x.dtype) for x in card.states
            }
        except (ValueError, RuntimeError, KeyError) as error:
            reason = str(error)[:LONGEST_REASON]
            raise InputError(
                f"{path}: LiteRT cannot run it ({reason}); make it again by physkit export"
            ) from error
        self._moves = [(self._before[name], after[name]) for name in self._before]
        self.set_states(self.initial)

    def _view(
        self, details: Mapping[str, Any], name: str, shape: tuple[int, ...], dtype: str
    ) -> np.ndarray:
        """A view of a tensor's memory, valid as long as the interpreter exists.

        Not the interpreter's own view: it refuses to run while such a view exists.
        """
        own = self._interpreter.tensor(details[name]["index"])()
        if own.shape != shape or own.dtype != dtype:
            raise ValueError(f"'{name}' is {own.dtype} {own.shape}, its card: {dtype} {shape}")
        address, size = own.__array_interface__["data"][0], own.nbytes
        memory = (ctypes.c_byte * size).from_address(address)
        return np.frombuffer(memory, own.dtype).reshape(own.shape)

    def advance(self, frames: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        np.copyto(self._frames, frames)
        if self._dt_s is not None:
            np.copyto(self._dt_s, dt_s)
        self._interpreter.invoke()
        for before, after in self._moves:
            np.copyto(before, after)
        return self._pulse.copy()

    def states(self) -> Arrays:
        return {name: x.copy() for name, x in self._before.items()}

    def set_states(self, states: Mapping[str, np.ndarray]) -> None:
        for name, before in self._before.items():
            np.copyto(before, states[name])
