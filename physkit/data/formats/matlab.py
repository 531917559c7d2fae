"""MATLAB files: small variables read whole, large ones in parts.

Two formats go by the name `.mat`: v5 (`save -v6` and `-v7`, `scipy.io.savemat`), which this package
reads itself, and v7.3, which is HDF5 and read by h5py. What a file holds is listed without loading
it, and nothing is allocated that the file has no room for.

Arrays have the shape that MATLAB shows. Both formats store them column by column, so that the first
axis runs fastest: where that is time, the bytes of one frame lie all over the file.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float, Shaped

from physkit.core.causes import first_line
from physkit.core.errors import InputError
from physkit.data.formats.labels import MAX_UNKNOWN, REPAIR, known_ones

HEADER_BYTES = 128
"""A text, the version and the byte order, in both formats."""
BYTE_ORDERS = {b"IM": "<", b"MI": ">"}
V5, V73 = 0x0100, 0x0200
SMALL_BYTES = 1 << 26
"""The largest variable that is read whole: hours of any signal."""
PART_BYTES = 1 << 24
"""Stored bytes of a large array that are read together."""

UNREADABLE = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)
"""What damaged bytes raise, here and in h5py."""

MatValue = Shaped[np.ndarray, "..."] | str
"""A variable read whole: an array of numbers as MATLAB shows it, or a text."""


@dataclass(frozen=True)
class ArrayHeader:
    """What a file states of a large array before it is read."""

    shape: tuple[int, ...]
    """As MATLAB shows it."""
    dtype: np.dtype
    """Type of its values."""
    chunk_length: int | None
    """How much of the first axis is stored together, as the least that is read of it; None where
    nothing less than all of it is."""


class MatFile(ABC):
    """The variables of one `.mat` file. A context manager; leaving it closes the file.

    A field of a structure is named like `PPG.data`. Everything raises InputError, with file,
    problem and fix, where the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The variables, in the order of the file."""

    @abstractmethod
    def get(self, name: str) -> MatValue | None:
        """A small variable or field; None where there is none of that name.

        Raises InputError for a cell array, a structure or a large array.
        """

    @abstractmethod
    def header(self, name: str) -> ArrayHeader | None:
        """Shape and type of a numeric variable; None where there is none of that name."""

    @abstractmethod
    def runs(
        self, name: str, start: int, stop: int
    ) -> Iterator[tuple[int, Shaped[np.ndarray, "n t"]]]:
        """Part by part, what a variable of four axes holds from `start` to `stop` along its first.

        A run is the stretch for one place on the other axes; runs are counted with the second axis
        fastest. Every part holds `n` runs that follow each other, and comes with the number of its
        first one; parts come in any order. A variable without a `chunk_length` is read whole only.
        """

    @abstractmethod
    def close(self) -> None:
        """Closes the file; may be called twice."""

    def __enter__(self) -> "MatFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def read(self, name: str) -> MatValue:
        """A small variable or field; raises InputError where there is none of that name."""
        value = self.get(name)
        if value is None:
            raise self.missing(name)
        return value

    def signal(self, name: str) -> Float[np.ndarray, "t"]:
        """A variable or field that is one signal, as float64.

        NaN where a value is not finite. Raises InputError unless it has at least two values, in a
        row or a column, and at most 30 % of them are not finite.
        """
        value = self.read(name)
        if isinstance(value, str) or np.iscomplexobj(value):
            raise InputError(f"{self.path}: '{name}' is no signal of real numbers; {REPAIR}")
        if value.size < 2:
            raise InputError(f"{self.path}: '{name}' holds {value.size} values; {REPAIR}")
        if max(value.shape) != value.size:
            raise InputError(
                f"{self.path}: '{name}' has shape {value.shape}, not that of one signal; {REPAIR}"
            )
        samples: Float[np.ndarray, "t"] = value.reshape(-1).astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(samples))
        if len(bad) > MAX_UNKNOWN * len(samples):
            raise InputError(
                f"{self.path}: '{name}' holds NaN or infinity in {len(bad)} of {len(samples)} "
                f"places, first in {bad[0]}; {REPAIR}"
            )
        return known_ones(samples)

    def missing(self, name: str) -> InputError:
        """The error for a variable that is not there."""
        held = ", ".join(self.names) or "nothing"
        return InputError(f"{self.path}: no variable '{name}' in it, but {held}; {REPAIR}")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turns what damaged bytes raise inside into an InputError with file, problem and fix."""
        try:
            yield
        except UNREADABLE as error:
            reason = first_line(error)
            raise InputError(f"{self.path}: damaged MATLAB file: {reason}; {REPAIR}") from error
