"""A FacePhys in torch as machine code of this processor, or, on a GPU, as one CUDA graph."""

from pathlib import Path

import torch
from torch import Tensor

from physkit.core.progress import told_if_long
from physkit.nn.streaming import State
from physkit.runtime.compiled import compile_step
from physkit.runtime.cuda_graph import capture_step
from physkit.runtime.engines.torch_eager import TorchEngine
from physkit.runtime.torch_cpu import torch_threads


class CompiledTorchEngine(TorchEngine):
    """The deployed form of the network, compiled when it is opened (half a minute, once)."""

    def __init__(self, path: Path, *, threads: int, device: str) -> None:
        super().__init__(path, threads=threads, device=device)
        card = self.card
        frame = torch.zeros(1, card.height, card.width, 3, device=self._device)
        build = compile_step if self._device.type == "cpu" else capture_step
        said = f"{path.name}: being compiled for this machine"
        with told_if_long(said), torch_threads(threads):  # they become part of the machine code
            self._compiled = build(self._net, frame)

    def _step(self, frame: Tensor, dt_s: Tensor, state: State) -> tuple[Tensor, State]:
        return self._compiled(frame, state, dt_s=dt_s)
