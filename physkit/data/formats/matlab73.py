"""MATLAB files of version 7.3, which are HDF5 behind a header of MATLAB's own.

HDF5 runs fastest along its last axis and MATLAB along its first, so that what MATLAB shows as
(t, h, w, c) is (c, w, h, t) to h5py.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Shaped

from physkit.core.errors import InputError
from physkit.data.formats.matlab import PART_BYTES, SMALL_BYTES, ArrayHeader, MatFile, MatValue


class Mat73File(MatFile):
    """A v7.3 file, open. Raises InputError where HDF5 cannot read it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        # A file object, not a name: the file may lie elsewhere, and some disks have no locks.
        self._stream = path.open("rb")
        try:
            with self.reading():
                self._file = h5py.File(self._stream, "r")
        except InputError:
            self._stream.close()
            raise

    def close(self) -> None:
        """Closes the file; may be called twice."""
        self._file.close()
        self._stream.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The variables, by name; MATLAB's own groups begin with #."""
        with self.reading():
            return tuple(name for name in self._file if not name.startswith("#"))

    def get(self, name: str) -> MatValue | None:
        """A small variable or field; None where there is none of that name."""
        with self.reading():
            return self._value(name)

    def header(self, name: str) -> ArrayHeader | None:
        """Shape and type of a numeric variable; None where there is none of that name."""
        with self.reading():
            return self._header(name)

    def runs(
        self, name: str, start: int, stop: int
    ) -> Iterator[tuple[int, Shaped[np.ndarray, "n t"]]]:
        """Part by part, what a variable of four axes holds along its first; no chunk twice."""
        with self.reading():
            dataset = self._item(name)
        n_outer, n_middle, n_inner, _ = dataset.shape
        outer, middle = dataset.chunks[:2] if dataset.chunks else (1, 1)
        layer_bytes = outer * middle * n_inner * (stop - start) * dataset.dtype.itemsize
        step = middle * max(1, PART_BYTES // max(1, layer_bytes))
        for i in range(0, n_outer, outer):
            for j in range(0, n_middle, step):
                box = np.s_[i : i + outer, j : j + step, :, start:stop]
                with self.reading():
                    layers = dataset[box]
                for k, layer in enumerate(layers, i):
                    yield (k * n_middle + j) * n_inner, layer.reshape(-1, stop - start)

    def _item(self, name: str) -> Any:
        """The dataset or group of a variable or field; None where there is none."""
        return self._file.get(name.replace(".", "/"))

    def _header(self, name: str) -> ArrayHeader | None:
        item = self._item(name)
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iufb":
            return None
        if _class(item) == "char":
            return None
        if item.attrs.get("MATLAB_empty", 0):  # it holds its shape
            return ArrayHeader((0, 0), item.dtype, None)
        chunk_length = item.chunks[-1] if item.chunks else None
        return ArrayHeader(item.shape[::-1], item.dtype, chunk_length)

    def _value(self, name: str) -> MatValue | None:
        item = self._item(name)
        if item is None:
            return None
        kind = _class(item)
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "iufbV":
            what = f"a {kind or type(item).__name__}"
            raise InputError(
                f"{self.path}: '{name}' is {what}, not numbers or a text; save it anew"
            )
        if item.attrs.get("MATLAB_empty", 0):
            return "" if kind == "char" else np.zeros(0)
        if math.prod(item.shape) * item.dtype.itemsize > SMALL_BYTES:
            raise InputError(f"{self.path}: '{name}' is no signal: its shape is {item.shape[::-1]}")
        value = item[()].T
        if kind == "char":
            return "".join(chr(code) for code in value.reshape(-1, order="F"))
        if value.dtype.names == ("real", "imag"):
            return np.asarray(value["real"] + 1j * value["imag"])
        return np.asarray(value)


def _class(item: Any) -> str:
    """MATLAB's class of a dataset or group; empty where it is not stated."""
    stated = item.attrs.get("MATLAB_class", b"")
    return stated.decode("ascii", "replace") if isinstance(stated, bytes) else str(stated)
