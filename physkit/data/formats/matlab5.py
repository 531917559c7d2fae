"""MATLAB files of version 5: elements one after the other, each perhaps deflated.

An element is a type, a size and that many bytes. A variable is an element made of elements: flags,
shape, name, values. The format is described in MathWorks' "MAT-File Format".

Ours, since SciPy cannot be bounded: it loads a variable whole with all fields, a deflated megabyte
may take gigabytes, 2 GB are allocated for a text of which only the length is stored, and nested
cells (4.8 MB of them) end the process by a segmentation fault.
"""

import io
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Shaped

from physkit.core.errors import InputError
from physkit.data.formats.matlab import (
    BYTE_ORDERS,
    HEADER_BYTES,
    PART_BYTES,
    SMALL_BYTES,
    ArrayHeader,
    MatFile,
    MatValue,
)

INT8, INT32, UINT32, MATRIX, DEFLATED = 1, 5, 6, 14, 15
NUMBERS = dict(
    zip(
        (1, 2, 3, 4, 5, 6, 7, 9, 12, 13),
        ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8"),
        strict=True,
    )
)
"""NumPy's name of the numbers in an element, by its type: MATLAB stores them as small as it can."""
ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
"""How the text in an element is stored, by its type."""
STRUCT, CHAR, OPAQUE = 2, 4, 17
CLASSES = dict(
    zip(range(6, 16), ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"), strict=True)
)
"""NumPy's name of what a numeric variable is to MATLAB, by its class."""
OTHER_CLASSES = {1: "a cell array", STRUCT: "a structure", CHAR: "a text", 5: "a sparse array"}
COMPLEX, LOGICAL = 0x0800, 0x0200
DEFLATED_BYTES = 1 << 18
"""How much of a deflated element is read at a time."""


class Source:
    """The bytes of one top-level element, read once from its beginning; inflated where need be.

    Raises ValueError where they end early or cannot be inflated.
    """

    def __init__(self, file: IO[bytes], n_bytes: int, *, deflated: bool) -> None:
        self._file = file
        self._n_left = n_bytes
        self._inflate = zlib.decompressobj() if deflated else None

    def take(self, n: int) -> bytes:
        """The next `n` bytes."""
        pieces = []
        while n > 0:
            piece = self._some(n)
            if not piece:
                raise ValueError(f"{n} bytes are missing in a variable")
            pieces.append(piece)
            n -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def skip(self, n: int) -> None:
        """Leaves out the next `n` bytes."""
        while n > 0:
            n -= len(self.take(min(n, DEFLATED_BYTES)))

    def finish(self) -> None:
        """Reads the rest, so that zlib compares its checksum."""
        while self._some(DEFLATED_BYTES):
            pass
        if self._inflate and not self._inflate.eof:
            raise ValueError("a deflated variable is cut short")

    def _some(self, n: int) -> bytes:
        """Up to `n` bytes; none at the end."""
        if self._inflate is None:
            return self._stored(n)
        while not self._inflate.eof:
            deflated = self._inflate.unconsumed_tail or self._stored(DEFLATED_BYTES)
            try:
                piece = self._inflate.decompress(deflated, n)
            except zlib.error as error:
                raise ValueError(f"a variable cannot be inflated ({error})") from error
            if piece or not deflated:
                return piece
        return b""

    def _stored(self, n: int) -> bytes:
        piece = self._file.read(min(n, self._n_left))
        self._n_left -= len(piece)
        return piece


@dataclass(frozen=True)
class Matrix:
    """What stands before the values of a variable or field."""

    name: str
    """Empty for a field."""
    kind: int
    """MATLAB's class."""
    flags: int
    """Whether it is complex or logical."""
    shape: tuple[int, ...]
    """As MATLAB shows it."""


class Mat5File(MatFile):
    """A v5 file, open. Raises InputError where its list of variables is damaged or cut short."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = path.open("rb")
        try:
            with self.reading():
                self._order = BYTE_ORDERS[self._file.read(HEADER_BYTES)[-2:]]
                self._places = dict(self._list(self._file.seek(0, io.SEEK_END)))
        except InputError:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file; may be called twice."""
        self._file.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The variables, in the order of the file; MATLAB's own have no name."""
        return tuple(name for name in self._places if name)

    def get(self, name: str) -> MatValue | None:
        """A small variable or field; None where there is none of that name."""
        variable, *fields = name.split(".")
        if variable not in self._places:
            return None
        with self.reading():
            source, matrix = self._open(self._places[variable])
            for field in fields:
                if not self._enter(matrix, source, field):
                    return None
                matrix = self._matrix(source)
            return self._value(name, matrix, source)

    def header(self, name: str) -> ArrayHeader | None:
        """Shape and type of a numeric variable; None where there is none of that name."""
        if name not in self._places:
            return None
        with self.reading():
            _, matrix = self._open(self._places[name])
        if matrix.kind not in CLASSES:
            return None
        return ArrayHeader(matrix.shape, np.dtype(CLASSES[matrix.kind]), None)

    def runs(
        self, name: str, start: int, stop: int
    ) -> Iterator[tuple[int, Shaped[np.ndarray, "n t"]]]:
        """Part by part, from the first value to the last, all that a variable holds."""
        with self.reading():
            source, matrix = self._open(self._places[name])
            kind, dtype = self._numbers_tag(source, matrix)
        if (start, stop) != (0, matrix.shape[0]):
            raise NotImplementedError("the values of a v5 file can only be read in their order")
        n_runs = math.prod(matrix.shape[1:])
        step = max(1, PART_BYTES // max(1, stop * kind.itemsize))
        for first in range(0, n_runs, step):
            n = min(step, n_runs - first)
            with self.reading():
                part = np.frombuffer(source.take(n * stop * kind.itemsize), kind)
            yield first, part.reshape(n, stop).astype(dtype, copy=False)
        with self.reading():
            source.finish()

    def _list(self, n_bytes: int) -> Iterator[tuple[str, int]]:
        """Every variable and where its element begins; only heads are read."""
        place = HEADER_BYTES
        while place < n_bytes:
            self._file.seek(place)
            kind, size, _ = self._tag(self._file.read(8))
            if place + 8 + size > n_bytes:
                missing = place + 8 + size - n_bytes
                raise ValueError(f"cut short, {missing} of {n_bytes + missing} bytes are missing")
            if kind in (MATRIX, DEFLATED):
                yield self._open(place)[1].name, place
            place += 8 + size

    def _open(self, place: int) -> tuple[Source, Matrix]:
        """The variable whose element begins there, read up to its values."""
        self._file.seek(place)
        kind, size, _ = self._tag(self._file.read(8))
        if kind == DEFLATED:
            source = Source(self._file, size, deflated=True)
        else:
            self._file.seek(place)
            source = Source(self._file, 8 + size, deflated=False)
        return source, self._matrix(source)

    def _tag(self, head: bytes) -> tuple[int, int, bytes]:
        """Type and size of an element, and its bytes where they are so few that they stand here."""
        if len(head) < 8:
            raise ValueError("cut short in the head of a variable")
        word, size = (int(n) for n in np.frombuffer(head, f"{self._order}u4"))
        if word >> 16:
            kind, size = word & 0xFFFF, word >> 16
            if size > 4:
                raise ValueError(f"an element of {size} bytes where 4 fit")
            return kind, size, head[4 : 4 + size]
        return word, size, b""

    def _element(self, source: Source) -> tuple[int, bytes]:
        """Type and bytes of the next element, a small one."""
        kind, size, data = self._tag(source.take(8))
        if not data and size:
            if size > SMALL_BYTES:
                raise ValueError(f"a small variable of {size} bytes")
            data = source.take(size)
            source.skip(-size % 8)
        return kind, data

    def _matrix(self, source: Source) -> Matrix:
        """A variable or field up to its values."""
        kind, size, _ = self._tag(source.take(8))
        if kind != MATRIX:
            raise ValueError(f"an element of type {kind} where a variable should be")
        if size == 0:
            return Matrix("", 6, 0, (0, 0))
        kind, data = self._element(source)
        if kind != UINT32 or len(data) != 8:
            raise ValueError("a variable without flags")
        flags = int(np.frombuffer(data, f"{self._order}u4")[0])
        if flags & 0xFF == OPAQUE:
            return Matrix("", OPAQUE, 0, ())
        kind, data = self._element(source)
        if kind != INT32 or len(data) < 8 or len(data) % 4:
            raise ValueError("a variable without a shape")
        shape = tuple(int(n) for n in np.frombuffer(data, f"{self._order}i4"))
        if min(shape) < 0:
            raise ValueError(f"a variable of shape {shape}")
        _, name = self._element(source)
        return Matrix(name.decode("latin-1"), flags & 0xFF, flags, shape)

    def _enter(self, matrix: Matrix, source: Source, field: str) -> bool:
        """Goes on to a field of a structure; False where it has none of that name."""
        if matrix.kind != STRUCT or math.prod(matrix.shape) != 1:
            return False
        _, data = self._element(source)
        length = int.from_bytes(data[:4], "little" if self._order == "<" else "big")
        _, data = self._element(source)
        names = [data[i : i + length] for i in range(0, len(data), max(1, length))]
        for name in names:
            if name.split(b"\0")[0].decode("latin-1") == field:
                return True
            _, size, _ = self._tag(source.take(8))
            source.skip(size)
        return False

    def _numbers_tag(self, source: Source, matrix: Matrix) -> tuple[np.dtype, np.dtype]:
        """How the values that follow are stored, and what they are to MATLAB."""
        kind, size, _ = self._tag(source.take(8))
        if kind not in NUMBERS:
            raise ValueError(f"values of type {kind}")
        stored = np.dtype(self._order + NUMBERS[kind])
        if size != math.prod(matrix.shape) * stored.itemsize:
            raise ValueError(f"{size} bytes of values for a shape of {matrix.shape}")
        return stored, np.dtype(CLASSES[matrix.kind])

    def _value(self, name: str, matrix: Matrix, source: Source) -> MatValue:
        n = math.prod(matrix.shape)
        if n * 8 > SMALL_BYTES:
            raise InputError(f"{self.path}: '{name}' is no signal: its shape is {matrix.shape}")
        if matrix.kind not in CLASSES and matrix.kind != CHAR:
            what = OTHER_CLASSES.get(matrix.kind, "an object")
            raise InputError(
                f"{self.path}: '{name}' is {what}, not numbers or a text; save it anew"
            )
        if n == 0:
            return "" if matrix.kind == CHAR else np.zeros(matrix.shape)
        if matrix.kind == CHAR:
            return self._text(*self._element(source))
        values = self._numbers(matrix, source)
        if matrix.flags & COMPLEX:
            values = values + 1j * self._numbers(matrix, source)
        if matrix.flags & LOGICAL:
            values = values.astype(bool)
        return values.reshape(matrix.shape, order="F")

    def _numbers(self, matrix: Matrix, source: Source) -> Shaped[np.ndarray, "n"]:
        kind, data = self._element(source)
        stored = np.dtype(self._order + NUMBERS.get(kind, "V1"))
        if kind not in NUMBERS or len(data) != math.prod(matrix.shape) * stored.itemsize:
            raise ValueError(f"{len(data)} bytes of type {kind} for a shape of {matrix.shape}")
        return np.frombuffer(data, stored).astype(CLASSES[matrix.kind])

    def _text(self, kind: int, data: bytes) -> str:
        """A text of one line; of several, all letters in MATLAB's order."""
        if kind not in ENCODINGS:
            raise ValueError(f"a text of type {kind}")
        wide = kind not in (1, 2, 16)
        ending = {"<": "-le", ">": "-be"}[self._order] if wide else ""
        return data.decode(ENCODINGS[kind] + ending)
