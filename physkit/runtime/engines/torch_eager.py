"""A FacePhys in torch, operator by operator, from its weights file."""

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from physkit.core.artifact import ArtifactCard, StateSpec
from physkit.core.errors import BackendError, InputError
from physkit.core.registry import import_path
from physkit.models import deployable
from physkit.nn.streaming import State
from physkit.runtime.engines.base import Arrays, Engine
from physkit.runtime.torch_cpu import flushed_denormals, torch_threads
from physkit.weights.file import sha256
from physkit.weights.load import load_model, read_any_weights


class TorchEngine(Engine):
    """The deployed form of the network, eager."""

    def __init__(self, path: Path, *, threads: int, device: str) -> None:
        card, _ = read_any_weights(path)
        net = load_model(card.model, path)
        if net.deployed is None:
            raise InputError(
                f"{path}: weights of '{card.model}', which has no one-frame form; give those of "
                f"{' or '.join(deployable())}"
            )
        assert net.crop_size is not None  # a deployed form reads one size
        height, width = net.crop_size
        self._device = _usable(device)
        self._threads = threads
        self._net = import_path(net.deployed)(net).to(self._device).eval()
        first = self._net.init_state()
        self.initial = {name: x.cpu().numpy() for name, x in first.items()}
        self.card = ArtifactCard(
            model=card.model,
            form="step",
            n_frames=1,
            precision="fp32",
            height=height,
            width=width,
            pixels="RGB in [0, 1]",
            fixed_dt_s=None,
            order="hwc",
            states=tuple(StateSpec(k, x.shape, str(x.dtype)) for k, x in self.initial.items()),
            states_file="",
            weights_sha256=sha256(path),
            physkit=importlib.metadata.version("physkit"),
        )
        self._state: State = {}
        self.set_states(self.initial)

    def advance(self, frames: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        with torch_threads(self._threads), flushed_denormals(), torch.inference_mode():
            frame, duration_s = (torch.from_numpy(x).to(self._device) for x in (frames, dt_s))
            pulse, self._state = self._step(frame, duration_s, self._state)
            answer: np.ndarray = pulse.cpu().numpy()
        return answer

    def _step(self, frame: Tensor, dt_s: Tensor, state: State) -> tuple[Tensor, State]:
        pulse, state = self._net.step(frame, state, dt_s=dt_s)
        return pulse, state

    def states(self) -> Arrays:
        return {name: x.cpu().numpy().copy() for name, x in self._state.items()}

    def set_states(self, states: Mapping[str, np.ndarray]) -> None:
        self._state = {
            name: torch.from_numpy(x.copy()).to(self._device) for name, x in states.items()
        }


def _usable(name: str) -> torch.device:
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise BackendError(f"device {name}: not usable here ({reason}); use cpu") from error
    return device
