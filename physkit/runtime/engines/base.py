"""The interface of a runtime, and functions that all runtimes share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from physkit.core.artifact import ArtifactCard
from physkit.core.errors import InputError
from physkit.core.tensor_file import read_arrays

Arrays = dict[str, np.ndarray]


class Engine(ABC):
    """One stream of one artifact, whose states stay in buffers of the runtime's own.

    Made as Engine(path, threads=threads, device=device), it begins at `initial`.
    """

    card: ArtifactCard
    """The contract of the file."""
    initial: Mapping[str, np.ndarray]
    """The states before the first frame, as the artifact has them (shape, dtype, order)."""

    @abstractmethod
    def __init__(self, path: Path, *, threads: int, device: str) -> None:
        """Raises InputError for a file that cannot be used, BackendError for a device."""

    @abstractmethod
    def advance(self, frames: np.ndarray, dt_s: np.ndarray) -> np.ndarray:
        """Pulse (n,) of exactly `card.n_frames` frames (n h w 3), float32 in [0, 1], and dt_s (n,).

        Updates the states. The session has checked the arguments.
        """

    @abstractmethod
    def states(self) -> Arrays:
        """A copy of every state."""

    @abstractmethod
    def set_states(self, states: Mapping[str, np.ndarray]) -> None:
        """Replaces the states; each has the shape and dtype of the card's."""


def initial_states(path: Path, card: ArtifactCard) -> Arrays:
    """The states before the first frame, for an artifact at `path`.

    Raises InputError where the file beside it is missing or belongs to other weights.
    """
    file = path.parent / card.states_file
    arrays, metadata = read_arrays(file, [spec.name for spec in card.states])
    if metadata.get("weights_sha256") != card.weights_sha256:
        raise InputError(f"{file}: states of other weights than {path}; export both again")
    return as_engine(arrays, card, path=file)


def as_engine(arrays: Mapping[str, np.ndarray], card: ArtifactCard, *, path: Path) -> Arrays:
    """Arrays of a states file (hwc) in the order and dtype of an artifact.

    Raises InputError unless they are the artifact's states.
    """
    found: Arrays = {}
    for spec in card.states:
        if spec.name not in arrays:
            raise InputError(
                f"{path}: has no state '{spec.name}'; give a states file of this model"
            )
        array = np.asarray(arrays[spec.name])
        if card.order == "chw" and is_statistic(spec.name):
            array = np.moveaxis(array, -1, 0) if array.ndim == 3 else array
        if array.shape != spec.shape:
            raise InputError(
                f"{path}: state '{spec.name}' is {array.shape}, the model keeps {spec.shape}; "
                "give a states file of this model"
            )
        if not np.isfinite(array).all():
            raise InputError(f"{path}: state '{spec.name}' holds NaN or infinite values")
        found[spec.name] = np.ascontiguousarray(array, dtype=spec.dtype)
    return found


def as_file(states: Mapping[str, np.ndarray], card: ArtifactCard) -> Arrays:
    """The inverse of `as_engine`, except that it keeps the dtype."""
    moved = {
        name: np.moveaxis(x, 0, -1) if card.order == "chw" and is_statistic(name) else x
        for name, x in states.items()
    }
    return {name: np.ascontiguousarray(x) for name, x in moved.items()}


def is_statistic(name: str) -> bool:
    """Whether a state has one value a pixel."""
    return name.startswith(("mean_", "var_"))
