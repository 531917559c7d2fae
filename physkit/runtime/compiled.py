"""The one-frame step of a network as machine code, without Python inside."""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Concatenate, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch._inductor.exc import InvalidCxxCompiler

from physkit.core.errors import InputError, MissingExtraError
from physkit.nn.streaming import PulseModel

StateT = TypeVar("StateT")
Step = Callable[Concatenate[Tensor, StateT, ...], tuple[Tensor, StateT]]
"""Like `PulseModel.step`: called as step(frame, state, dt_s=dt_s)."""


def compile_step(net: PulseModel[StateT], frame: Float[Tensor, "b h w 3"]) -> Step[StateT]:
    """`net.step` compiled ahead of time for frames of exactly the shape and dtype of `frame`.

    Takes about half a minute and a C++ compiler. What comes back is called as `net.step` is and
    answers the same, without gradients; it holds the weights as they are now. It is exported and
    compiled rather than wrapped by `torch.compile(net.step)`, which works as well but checks
    hundreds of guards and runs its kernels from Python at every frame (docs/benchmarks.md).

    Raises MissingExtraError without a C++ compiler; the step raises InputError for another shape
    or dtype than it was compiled for.
    """
    state = net.init_state(frame.shape[0])
    dt_s = torch.full(frame.shape[:1], 1 / 30, dtype=frame.dtype)  # any: only its shape counts
    example = tuple(x.detach().contiguous() for x in (frame, dt_s, *_leaves(state)))
    expected = [(x.shape, x.dtype) for x in example]
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), warnings.catch_warnings():
        exported = torch.export.export(_FlatStep(net, state), example)
        # torch warns of its own tree_spec class, which nobody here can change
        warnings.simplefilter("ignore", FutureWarning)
        try:
            package = torch._inductor.aoti_compile_and_package(
                exported, package_path=str(Path(folder, "step.pt2"))
            )
        except InvalidCxxCompiler as error:
            raise MissingExtraError(
                "compiling a network needs a C++ compiler and none was found: install g++ or clang"
            ) from error
        # The loader itself: its wrapper would match the 48 tensors to a tree in Python each frame.
        loader = torch._inductor.aoti_load_package(package).loader

    def step(frame: Tensor, state: StateT, *, dt_s: Tensor) -> tuple[Tensor, StateT]:
        # The machine code reads raw memory: it has no idea of other shapes, types or strides.
        inputs = [x.contiguous() for x in (frame, dt_s, *_leaves(state))]
        if [(x.shape, x.dtype) for x in inputs] != expected:
            raise InputError(
                f"frame {tuple(frame.shape)} {frame.dtype}, or dt_s or the state with it: the step "
                f"was compiled for {tuple(expected[0][0])} {expected[0][1]}; compile it for these"
            )
        pulse, *leaves = loader.run(inputs)
        return pulse, _rebuild(state, iter(leaves))

    return step


class _FlatStep(nn.Module):
    """`net.step` with its state as separate arguments: what can be exported."""

    def __init__(self, net: PulseModel[Any], state: Any) -> None:
        super().__init__()
        self.net = net
        self.state = state  # gives the structure only

    def forward(self, frame: Tensor, dt_s: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
        pulse, state = self.net.step(frame, _rebuild(self.state, iter(leaves)), dt_s=dt_s)
        return (pulse, *_leaves(state))


def _leaves(state: Any) -> list[Tensor]:
    """The tensors of a state made of dicts, tuples and named tuples, in order."""
    if isinstance(state, Tensor):
        return [state]
    parts = state.values() if isinstance(state, dict) else state
    return [leaf for part in parts for leaf in _leaves(part)]


def _rebuild(like: Any, leaves: Iterator[Tensor]) -> Any:
    """A state shaped as `like` is, with other tensors."""
    if isinstance(like, Tensor):
        return next(leaves)
    if isinstance(like, dict):
        return {name: _rebuild(part, leaves) for name, part in like.items()}
    parts = [_rebuild(part, leaves) for part in like]
    return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)
