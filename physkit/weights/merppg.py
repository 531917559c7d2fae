"""The published ME-rPPG: Keras weights, and beside them the pickled state of a stream's start."""

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import EinopsError, rearrange
from torch import Tensor

from physkit.core.errors import WeightsError
from physkit.weights.keras import Entry, read_keras

STATE_NAMES = ("merppg-state.pkl", "state.pkl")
"""As it is pulled, and as it lies in the wheel."""
N_BLOCKS, N_CONVS, N_HEAD = 4, 2, 2


def read_merppg(path: Path, entries: Callable[[], Iterator[Entry]]) -> dict[str, Tensor]:
    """Tensors by our names, of the weights file and of the state beside it.

    Raises WeightsError for damaged files, another network's, and a missing state.
    """
    tensors = read_keras(path, "ME-rPPG", list(entries()))
    found = [path.with_name(name) for name in STATE_NAMES if path.with_name(name).is_file()]
    if not found:
        raise WeightsError(
            f"{path}: a ME-rPPG begins with the state of its release, which is not beside it; "
            "fetch both by physkit weights pull merppg-rlap"
        )
    return tensors | _state(found[0])


def _state(path: Path) -> dict[str, Tensor]:
    """What the network begins with, by our names."""
    try:
        with path.open("rb") as file:
            blocks = _Arrays(file).load()
        named = dict(_named(blocks))
        return {ours: torch.from_numpy(np.array(x, np.float32)) for ours, x in named.items()}
    # what unpickling makes of damage, and of arrays of other shapes
    except (pickle.UnpicklingError, EOFError, OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"{path}: not the state of ME-rPPG ({error}); pull it again") from error
    except (AttributeError, IndexError, ImportError, EinopsError, MemoryError) as error:
        raise WeightsError(f"{path}: not the state of ME-rPPG ({error}); pull it again") from error


def _named(blocks: Any) -> Iterator[tuple[str, np.ndarray]]:
    for i in range(N_BLOCKS):
        for j in range(N_CONVS):
            ours, theirs = f"blocks.{i}.convs.{j}", blocks[i][j]
            yield from _ssm(f"{ours}.ssm", theirs["mamba"])
            for name, key in (("mean0", "xmean"), ("square0", "x2mean")):
                yield f"{ours}.norm.{name}", rearrange(theirs["tn"][key], "1 1 h w c -> c h w")
    for i in range(N_HEAD):
        yield from _ssm(f"head.{i}", blocks[N_BLOCKS + i])


def _ssm(ours: str, theirs: Any) -> Iterator[tuple[str, np.ndarray]]:
    yield f"{ours}.values0", rearrange(theirs[0], "1 1 heads p n -> heads p n")
    yield f"{ours}.rows0", rearrange(theirs[1], "1 k c -> k c")


def _array(make: Any, arguments: Any, state: Any, _: Any) -> np.ndarray:
    """A JAX array as the numpy array that it is pickled as."""
    made: np.ndarray = make(*arguments)
    made.__setstate__(state)
    return made


class _Arrays(pickle.Unpickler):
    """Makes arrays and their containers, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("jax._src.array", "_reconstruct_array"):
            return _array
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if module.endswith("core.multiarray") and name == "_reconstruct":
            return np.array(0).__reduce__()[0]
        raise pickle.UnpicklingError(f"it holds {module}.{name}")
