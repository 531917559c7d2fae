"""Files of numbers as a label: read with every damage named, put in order of time."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from physkit.core.errors import InputError
from physkit.core.files import missing
from physkit.core.text import decode_text
from physkit.core.types import Pulse
from physkit.data.recording import Label

MAX_DROPPED = 0.05
"""Largest part of a label that may be dropped for its times; more, and the clock is broken."""

MAX_UNKNOWN = 0.3
"""Largest part of a signal that may be no number; more, and the file is damaged."""

LARGEST = float(np.finfo(np.float32).max)
"""Of what a label may hold."""

REPAIR = "copy or download it again"


def read_bytes(path: Path) -> bytes:
    """A whole file. Raises InputError where it is missing, unreadable or empty."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise missing(path, f"no such file; {REPAIR}") from error
    except OSError as error:
        raise InputError(f"{path}: unreadable ({error}); check the file") from error
    if not data:
        raise InputError(f"{path}: empty; {REPAIR}")
    return data


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that hold anything, at least one. Raises InputError otherwise.

    The file may begin with a byte-order mark, and be UTF-16.
    """
    try:
        text = decode_text(read_bytes(path))
    except ValueError as error:
        raise InputError(f"{path}: not a text file ({error}); {REPAIR}") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path}: empty; {REPAIR}")
    return lines


def numbers(path: Path, values: Iterable[object], what: str) -> Float[np.ndarray, "t"]:
    """What a file holds as numbers; NaN for those that are NaN or infinite, 30 % at most.

    Raises InputError for anything else.
    """
    try:
        array = np.array(list(values), dtype=np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: {what} is not made of numbers ({error}); {REPAIR}") from error
    if array.ndim != 1:
        raise InputError(f"{path}: {what} is not a list of numbers; {REPAIR}")
    n_lost = int(np.count_nonzero(~np.isfinite(array)))
    if n_lost > MAX_UNKNOWN * len(array):
        raise InputError(f"{path}: {what}: {n_lost} of {len(array)} are no numbers; {REPAIR}")
    return known_ones(array)


def numbers_beside(
    path: Path, values: Iterable[object], what: str, warnings: list[str]
) -> Float[np.ndarray, "t"]:
    """What stands beside the pulse, each value by itself: NaN where it is no number.

    A text among them adds to `warnings`, and costs no recording.
    """
    given = list(values)
    array = np.array([_number(value) for value in given])
    unknown = [value for value, x in zip(given, array, strict=True) if np.isnan(x)]
    n_odd = sum(str(value).strip().lower() != "nan" for value in unknown)
    if n_odd:
        warnings.append(f"{path.name}: {what} is unknown in {n_odd} of {len(array)} places")
    return known_ones(array)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def known_ones(values: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    """Values with NaN where they are not finite: a lost sample costs its moment alone."""
    return np.where(np.isfinite(values), values, np.nan)


def later_ones(path: Path, times_s: Float[np.ndarray, "t"]) -> Bool[np.ndarray, "t"]:
    """Which times lie after all those before them; the first does, and one that is NaN does not.

    Raises InputError for fewer than two times, and where more than 5 % are not later.
    """
    n = len(times_s)
    if n < 2:
        raise InputError(f"{path}: {n} pulse samples; {REPAIR}")
    latest_s = np.fmax.accumulate(np.concatenate([[-np.inf], times_s[:-1]]))
    later = np.asarray(times_s > latest_s)
    n_dropped = n - int(np.count_nonzero(later))
    if n_dropped > MAX_DROPPED * n:
        raise InputError(
            f"{path}: {n_dropped} of {n} times are not later than those before; {REPAIR}"
        )
    return later


def make_label(
    path: Path,
    times_s: Float[np.ndarray, "t"],
    pulse: Float[np.ndarray, "t"],
    columns: Mapping[str, Float[np.ndarray, "t"]],
    warnings: tuple[str, ...] = (),
) -> Label:
    """A label in order of time: samples that are not later than all before them are dropped.

    times_s: seconds since the first video frame.
    warnings: what was mended before.
    Raises InputError as `later_ones` does, and for samples beyond float32, as which they are kept.
    """
    later = later_ones(path, times_s)
    largest = float(np.nanmax(np.abs(pulse)))
    if largest > LARGEST:
        raise InputError(f"{path}: pulse samples up to {largest:.3g}; {REPAIR}")
    n_dropped = len(later) - int(np.count_nonzero(later))
    if n_dropped:
        mended = f"{path.name}: dropped {n_dropped} of {len(later)} samples, not later than before"
        warnings = (*warnings, mended)
    return Label(
        pulse=Pulse(samples=pulse[later], timestamps_s=times_s[later]),
        columns={name: values[later] for name, values in columns.items()},
        warnings=warnings,
    )
