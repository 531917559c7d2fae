"""Keras 3 weights in HDF5 by our names: all that `keras_tables.py` lists, and nothing else."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import torch
from einops import EinopsError, rearrange
from torch import Tensor

from physkit.core.errors import WeightsError

SAME, LINEAR = "... -> ...", "i o -> o i"
CONV1D, CONV2D, CONV3D = "k i o -> o i k", "h w i o -> o i h w", "t h w i o -> o i t h w"
DEPTHWISE = "k 1 o -> o 1 k"
POINTWISE = "1 1 1 i o -> o i"
OLDER = ("_layer_checkpoint_dependencies", "layer_checkpoint_dependencies", "model_weights")
"""What files of Keras before 3.0 begin with."""


class Entry(NamedTuple):
    """The place of one of our parameters in the published file."""

    ours: str
    theirs: str
    axes: str = SAME
    """The change of axes, as an einops pattern."""
    added: float = 0.0
    """What is added to every value."""


def layer(ours: str, theirs: str, axes: str, *, bias: bool = True) -> Iterator[Entry]:
    """A linear layer or a convolution."""
    yield Entry(f"{ours}.weight", f"{theirs}/vars/0", axes)
    if bias:
        yield Entry(f"{ours}.bias", f"{theirs}/vars/1")


def layer_norm(ours: str, theirs: str) -> Iterator[Entry]:
    """A layer normalisation."""
    return layer(ours, theirs, SAME)


def batch_norm(ours: str, theirs: str, *, more_eps: float = 0.0) -> Iterator[Entry]:
    """A batch normalisation.

    more_eps: what its publisher adds to variances, beyond what we add.
    """
    yield from layer(ours, theirs, SAME)
    yield Entry(f"{ours}.running_mean", f"{theirs}/vars/2")
    yield Entry(f"{ours}.running_var", f"{theirs}/vars/3", added=more_eps)


def read_keras(path: Path, title: str, entries: Sequence[Entry]) -> dict[str, Tensor]:
    """Tensors of a file by our names, float32; every tensor of the file is used.

    title: the network, as errors name it.
    Raises WeightsError for a damaged file, an older layout, and another network's.
    """
    with _opened(path) as file:
        found = dict(_datasets(file))
        theirs = {entry.theirs for entry in entries}
        for name in sorted(theirs ^ found.keys()):
            told = "has no tensor" if name in theirs else "has a tensor of no use:"
            raise WeightsError(f"{path}: not the published {title}, it {told} '{name}'")
        tensors = {
            entry.ours: _tensor(path, title, entry, found[entry.theirs]) for entry in entries
        }
    counted = [name for name in tensors if name.endswith(".running_mean")]
    seen = {
        name.replace("running_mean", "num_batches_tracked"): torch.tensor(0) for name in counted
    }
    return tensors | seen


def holds(marker: str) -> Callable[[Path], bool]:
    """Whether a file is of the network of which it has this tensor; of damaged ones, none is."""

    def is_of_it(path: Path) -> bool:
        try:
            with h5py.File(path, "r") as file:
                return marker in file
        except (OSError, RuntimeError):
            return False

    return is_of_it


def check_layout(path: Path) -> None:
    """Raises WeightsError for HDF5 of Keras before 3.0."""
    with _opened(path) as file:
        if "layer_names" in file.attrs or any(name in file for name in OLDER):
            raise WeightsError(
                f"{path}: an older Keras layout than that of Keras 3; save it again by Keras 3's "
                "model.save_weights, or give the file of open-rppg: physkit weights list"
            )


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The open file; what h5py makes of damage, on opening or later, is a WeightsError."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, MemoryError) as error:
        raise WeightsError(f"{path}: damaged HDF5 file ({error}); download it again") from error


def _datasets(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    names: list[str] = []
    file.visit(names.append)
    return ((name, file[name]) for name in names if isinstance(file[name], h5py.Dataset))


def _tensor(path: Path, title: str, entry: Entry, dataset: h5py.Dataset) -> Tensor:
    try:
        array = rearrange(np.asarray(dataset, dtype=np.float32), entry.axes)
    except (EinopsError, ValueError, TypeError) as error:
        raise WeightsError(
            f"{path}: not the published {title}, '{entry.theirs}' is {dataset.dtype} of shape "
            f"{dataset.shape}"
        ) from error
    return torch.from_numpy(np.array(array + np.float32(entry.added)))
