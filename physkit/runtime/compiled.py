"""The one-frame step of a network as machine code, without Python inside."""

import hashlib
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Concatenate, Generic, Protocol, TypeVar

import torch
from filelock import FileLock
from jaxtyping import Float
from torch import Tensor, nn
from torch._inductor.exc import InvalidCxxCompiler
from torch.export import ExportedProgram

from physkit.core.errors import InputError, MissingExtraError
from physkit.core.files import cache_folder, whole_file
from physkit.ops.native.build import processor

StateT = TypeVar("StateT")
Step = Callable[Concatenate[Tensor, StateT, ...], tuple[Tensor, StateT]]
"""Like `PulseModel.step`: called as step(frame, state, dt_s=dt_s)."""


class Steps(Protocol, Generic[StateT]):
    """What can be compiled: any network with a one-frame step."""

    def init_state(self, batch_size: int = 1) -> StateT:
        """The state before the first frame."""

    def step(
        self, frame: Float[Tensor, "b h w 3"], state: StateT, *, dt_s: Float[Tensor, "b"]
    ) -> tuple[Float[Tensor, "b"], StateT]:
        """One frame."""


def compile_step(net: Steps[StateT], frame: Float[Tensor, "b h w 3"]) -> Step[StateT]:
    """`net.step` compiled ahead of time for frames of exactly the shape and dtype of `frame`.

    Takes about half a minute and a C++ compiler the first time, and some seconds from then on: the
    machine code is kept in the cache folder. The result has the arguments and values of `net.step`,
    without gradients; it contains the weights as they are now. `torch.compile(net.step)` works
    too, but checks hundreds of guards and calls its kernels from Python at every frame
    (docs/benchmarks.md).

    Raises MissingExtraError without a C++ compiler; the step raises InputError for another shape
    or dtype than it was compiled for.
    """
    state = net.init_state(frame.shape[0])
    dt_s = torch.full(frame.shape[:1], 1 / 30, dtype=frame.dtype)  # any: only the shape counts
    example = tuple(x.detach().contiguous() for x in (frame, dt_s, *leaves_of(state)))
    expected = [(x.shape, x.dtype) for x in example]
    exported = _exported(_FlatStep(net, state), example)
    path = cache_folder() / "compiled" / f"step-{_fingerprint(exported)}.pt2"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            _compile(exported, path)
    # The loader itself: its wrapper would match the tensors to a tree in Python each frame.
    loader = torch._inductor.aoti_load_package(str(path)).loader
    answered: list[Any] = [None, []]  # the last state that was returned, and its tensors

    def step(frame: Tensor, state: StateT, *, dt_s: Tensor) -> tuple[Tensor, StateT]:
        # The machine code reads raw memory: it has no idea of other shapes, types or strides.
        is_own = state is answered[0]
        given = [frame, dt_s] if is_own else [frame, dt_s, *leaves_of(state)]
        given = [x.contiguous() for x in given]
        if any((x.shape, x.dtype) != want for x, want in zip(given, expected, strict=False)):
            raise InputError(
                f"frame {tuple(frame.shape)} {frame.dtype}, or dt_s or the state with it: the step "
                f"was compiled for {tuple(expected[0][0])} {expected[0][1]}; compile it for these"
            )
        pulse, *leaves = loader.run([*given, *answered[1]] if is_own else given)
        answered[:] = _rebuild(state, iter(leaves)), leaves
        return pulse, answered[0]

    return step


def _exported(net: nn.Module, example: tuple[Tensor, ...]) -> ExportedProgram:
    with torch.no_grad(), warnings.catch_warnings():
        # torch warns of its own tree_spec class, which nobody here can change
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.export.export(net, example)
        lowered: ExportedProgram = program.run_decompositions(
            {torch.ops.aten.matmul.default: _matmul}
        )
    return lowered


def _matmul(a: Tensor, b: Tensor) -> Any:
    """A row times a matrix as a sum, which joins the loop that makes the matrix: the state of an
    SSM is written and read in one pass. Any other product stays what it is."""
    if a.dim() == 2 and a.shape[0] == 1:
        return (a.t() * b).sum(dim=0, keepdim=True)
    return NotImplemented


def _compile(exported: ExportedProgram, path: Path) -> None:
    with (
        torch.no_grad(),
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory() as folder,
        whole_file(path) as unfinished,
    ):
        # torch warns of its own tree_spec class, which nobody here can change
        warnings.simplefilter("ignore", FutureWarning)
        package = str(Path(folder, "step.pt2"))
        try:
            torch._inductor.aoti_compile_and_package(exported, package_path=package)
        except InvalidCxxCompiler as error:
            raise MissingExtraError(
                "compiling a network needs a C++ compiler and none was found: install g++ or clang"
            ) from error
        unfinished.write_bytes(Path(package).read_bytes())


def _fingerprint(exported: ExportedProgram) -> str:
    """Of all that the machine code depends on."""
    digest = hashlib.sha256()
    threads = f"{torch.get_num_threads()} threads"  # a number that is compiled in
    for text in (exported.graph_module.code, torch.__version__, processor(), threads):
        digest.update(text.encode())
    tensors = {**exported.state_dict, **exported.constants}
    for name, x in sorted(tensors.items()):
        digest.update(f"{name} {x.dtype} {tuple(x.shape)} {x.stride()}".encode())
        digest.update(x.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


class _FlatStep(nn.Module):
    """`net.step` with its state as separate arguments: what can be exported."""

    def __init__(self, net: Steps[Any], state: Any) -> None:
        super().__init__()
        self.net = net
        self.state = state  # gives the structure only

    def forward(self, frame: Tensor, dt_s: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
        pulse, state = self.net.step(frame, _rebuild(self.state, iter(leaves)), dt_s=dt_s)
        return (pulse, *leaves_of(state))


def leaves_of(state: Any) -> list[Tensor]:
    """The tensors of a state made of dicts, tuples and named tuples, in order."""
    if isinstance(state, Tensor):
        return [state]
    parts = state.values() if isinstance(state, dict) else state
    return [leaf for part in parts for leaf in leaves_of(part)]


def _rebuild(like: Any, leaves: Iterator[Tensor]) -> Any:
    """A state shaped as `like` is, with other tensors."""
    if isinstance(like, Tensor):
        return next(leaves)
    if isinstance(like, dict):
        return {name: _rebuild(part, leaves) for name, part in like.items()}
    parts = [_rebuild(part, leaves) for part in like]
    return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)
