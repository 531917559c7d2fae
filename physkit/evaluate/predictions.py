"""The predictions file: Parquet, one row a recording."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.core.files import whole_file
from physkit.core.units import MOST_STRETCHED

Condition = str | int | float | bool | None
"""A property of a recording that results are broken down by."""
MIN_SAMPLES = 10
"""The band-pass needs its padding of nine samples and one more."""
MAX_MAGNITUDE = 1e50
"""Larger samples would overflow: squared densities are their fourth power."""
REQUIRED = ("recording", "subject", "fps", "prediction", "label", "representation")
"""Columns every predictions file has."""
_REPRESENTATIONS = ("waveform", "diff")
_TIMES = "timestamps_s"
_USE = "used_for"
USES = ("nothing", "validation", "train")
"""What a person was used for, from unseen to known best."""
_OWN = frozenset({*REQUIRED, _TIMES, _USE})
"""Columns that are not conditions."""

_SOURCES = b"physkit_sources"
Sources = Sequence[Mapping[str, Any]]
"""Model, weights and store of predictions, as JSON: an entry for each store."""
LeftOut = tuple[str, str]
"""A recording that could not be read, and the cause."""


@dataclass(frozen=True, eq=False)
class PredictedRecording:
    """One recording's predicted and true pulse, sample by sample."""

    recording: str
    """Name, unique for its subject."""
    subject: str
    """Who was recorded."""
    fps: float
    """Samples per second."""
    prediction: Float[np.ndarray, "t"]
    """Predicted pulse, unitless."""
    label: Float[np.ndarray, "t"]
    """True pulse, unitless."""
    representation: Literal["waveform", "diff"]
    """Both as a waveform, or both as its differences."""
    timestamps_s: Float[np.ndarray, "t"] | None = None
    """True time of each sample, strictly increasing; None for a clock of `fps`."""
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    """Free properties: skin tone, light, motion."""
    used_for: str | None = None
    """What the weights were given this person for: train, validation or nothing; None: unknown."""


def read_predictions(path: Path) -> tuple[PredictedRecording, ...]:
    """All recordings of a predictions file, checked.

    Columns beside the required ones are conditions, except `timestamps_s` (list of seconds), the
    true clock, and `used_for` (text), what the weights were given the person for.
    Raises InputError, naming file, recording, problem and fix, for anything that cannot be scored.
    """
    recordings, left_out = read_usable(path)
    if left_out:
        raise InputError(left_out[0][1])
    return recordings


def read_usable(path: Path) -> tuple[tuple[PredictedRecording, ...], tuple[LeftOut, ...]]:
    """As `read_predictions`; a recording that cannot be scored is left out, with the cause.

    Raises InputError for a file that cannot be read at all.
    """
    table = _read_table(path)
    _check_columns(path, table)
    try:
        columns = {name: table.column(name).to_pylist() for name in _scalar_names(table)}
        lists = {
            name: table.column(name).to_pylist()
            for name in ("prediction", "label", _TIMES)
            if name in table.column_names
        }
    except (pa.ArrowException, ValueError, OSError) as error:
        raise InputError(f"{path}: unreadable ({error}); write the file again") from error
    counts = Counter(zip(columns["recording"], columns["subject"], strict=True))
    rows: list[PredictedRecording] = []
    left_out: list[LeftOut] = []
    for i in range(table.num_rows):
        values = {name: values[i] for name, values in (columns | lists).items()}
        try:
            row = _row(path, i, values)
            _check_once(path, row, counts[row.recording, row.subject])
            rows.append(row)
        except InputError as error:
            left_out.append((values["recording"] or f"row {i}", str(error)))
    return tuple(rows), tuple(dict.fromkeys(left_out))


def _check_once(path: Path, row: PredictedRecording, count: int) -> None:
    if count > 1:
        raise InputError(
            f"{path}: recording '{row.recording}' of subject '{row.subject}' has {count} rows; "
            "join its pieces in order into one row"
        )


def read_sources(path: Path) -> Sources:
    """What a predictions file says of where its predictions come from; empty where nothing."""
    try:
        found = json.loads((pq.read_schema(path).metadata or {}).get(_SOURCES, b"[]"))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{path}: its metadata cannot be read ({error}); write it again"
        ) from error
    is_told = isinstance(found, list) and all(isinstance(entry, dict) for entry in found)
    return found if is_told else ()


def write_predictions(
    recordings: Sequence[PredictedRecording], path: Path, *, sources: Sources = ()
) -> None:
    """Write a predictions file; an interrupted write leaves no file.

    sources: what they come from, for the reports of their scores.

    A condition with the name of a column of the file, such as fps, is left out.
    Raises InputError where the file cannot be written, or where a condition is text in one
    recording and a number in another; see `with_even_conditions`.
    """
    conditions = sorted({name for r in recordings for name in r.conditions} - _OWN)
    number_list = pa.list_(pa.float64())
    columns: dict[str, Any] = {
        "recording": pa.array([r.recording for r in recordings], pa.string()),
        "subject": pa.array([r.subject for r in recordings], pa.string()),
        "fps": pa.array([r.fps for r in recordings], pa.float64()),
        "prediction": pa.array([r.prediction for r in recordings], number_list),
        "label": pa.array([r.label for r in recordings], number_list),
        "representation": pa.array([r.representation for r in recordings], pa.string()),
    }
    if any(r.timestamps_s is not None for r in recordings):
        columns[_TIMES] = pa.array([r.timestamps_s for r in recordings], number_list)
    if any(r.used_for for r in recordings):
        columns[_USE] = pa.array([r.used_for for r in recordings], pa.string())
    try:
        for name in conditions:
            columns[name] = pa.array([r.conditions.get(name) for r in recordings])
    except pa.ArrowException as error:
        raise InputError(
            f"{path}: condition '{name}' is not of one kind in all recordings ({error}); "
            "make it text, a number or true/false throughout"
        ) from error
    with whole_file(path) as unfinished:
        told = {_SOURCES: json.dumps(sources, default=str)} if sources else None
        pq.write_table(pa.table(columns, metadata=told), unfinished)


def with_even_conditions(recordings: Sequence[PredictedRecording]) -> list[PredictedRecording]:
    """The same recordings; a condition that is not of one kind in all of them becomes text."""
    odd = {
        name
        for name in {name for r in recordings for name in r.conditions}
        if not _is_column([r.conditions.get(name) for r in recordings])
    }
    return [
        replace(r, conditions={k: _as_text(v) if k in odd else v for k, v in r.conditions.items()})
        for r in recordings
    ]


def _as_text(value: Condition) -> str | None:
    return None if value is None else str(value)


def _is_column(values: list[Any]) -> bool:
    """Whether a file can hold these values as they are."""
    try:
        return _fits(pa.array(values).type, _wanted(""))
    except (pa.ArrowException, OverflowError):
        return False


def _read_table(path: Path) -> Any:
    if path.is_dir():
        raise InputError(f"{path}: is a directory; name the predictions file in it")
    if not path.exists():
        raise InputError(f"{path}: no such file; check the path of the predictions")
    try:
        # ParquetFile reads this one file and adds no columns from the names of its folders
        with pq.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path}: not a readable Parquet file ({reason}); write predictions as Parquet"
        ) from error
    if table.num_rows == 0:
        raise InputError(f"{path}: holds no recordings; write one row a recording")
    return table


def _scalar_names(table: Any) -> list[str]:
    return [name for name in table.column_names if name not in ("prediction", "label", _TIMES)]


def _check_columns(path: Path, table: Any) -> None:
    names = table.column_names
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; a predictions file has {', '.join(REQUIRED)}"
        )
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise InputError(f"{path}: {len(doubled)} columns twice ({doubled[0]}); rename one")
    for name in names:
        kind = table.schema.field(name).type
        wanted = _wanted(name)
        if not _fits(kind, wanted):
            raise InputError(f"{path}: column {name} is {kind}; it must be {wanted}")


def _wanted(name: str) -> str:
    if name in ("recording", "subject", "representation", _USE):
        return "text"
    if name in ("prediction", "label", _TIMES):
        return "a list of numbers"
    return "a number" if name == "fps" else "text, a number or true/false, or be dropped"


def _fits(kind: Any, wanted: str) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if wanted == "text":
        return _is_text(kind)
    if wanted == "a list of numbers":
        is_list = any(
            test(kind)
            for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
        )
        return is_list and _is_number(kind.value_type)
    if wanted == "a number":
        return _is_number(kind)
    is_plain = pa.types.is_boolean(kind) or pa.types.is_null(kind)
    return _is_text(kind) or _is_number(kind) or is_plain


def _is_text(kind: Any) -> bool:
    return any(
        test(kind)
        for test in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    )


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _row(path: Path, index: int, values: dict[str, Any]) -> PredictedRecording:
    for name in ("recording", "subject"):
        if not values[name]:
            raise InputError(f"{path}: row {index} has no {name}; name every {name}")
    where = f"{path}: recording '{values['recording']}'"
    fps = _fps(where, values["fps"])
    if values["representation"] not in _REPRESENTATIONS:
        raise InputError(
            f"{where}: representation is {values['representation']!r}; it must be waveform or diff"
        )
    if values.get(_USE) not in (None, *USES):
        raise InputError(
            f"{where}: {_USE} is {values[_USE]!r}; it must be {', '.join(USES)} or null"
        )
    prediction = _numbers(where, "prediction", values["prediction"])
    label = _numbers(where, "label", values["label"])
    if prediction.shape != label.shape:
        raise InputError(
            f"{where}: {prediction.size} prediction samples and {label.size} label samples; "
            "bring both to the same clock"
        )
    if prediction.size < MIN_SAMPLES:
        raise InputError(
            f"{where}: {prediction.size} samples are too short; at least {MIN_SAMPLES} are needed"
        )
    return PredictedRecording(
        recording=values["recording"],
        subject=values["subject"],
        fps=fps,
        prediction=prediction,
        label=label,
        representation=values["representation"],
        timestamps_s=_times(where, values.get(_TIMES), prediction.size, fps),
        conditions={
            # NaN is how other tools write a missing number
            name: None if value != value else value
            for name, value in values.items()
            if name not in _OWN
        },
        used_for=values.get(_USE),
    )


def _fps(where: str, value: float | int | None) -> float:
    fps = float("nan") if value is None else float(value)
    if not (np.isfinite(fps) and fps > 0):
        raise InputError(f"{where}: fps is {value}; give the samples per second, above 0")
    return fps


def _numbers(
    where: str, name: str, values: Sequence[float | int | None] | None
) -> Float[np.ndarray, "t"]:
    if values is None:
        raise InputError(f"{where}: {name} is null; give its samples or drop the row")
    x = np.array(values, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(x))
    if bad.size:
        raise InputError(
            f"{where}: {name} holds {bad.size} NaN or infinite samples, the first at {bad[0]}; "
            "cut them out or fill them before scoring"
        )
    if x.size and np.abs(x).max() > MAX_MAGNITUDE:
        raise InputError(f"{where}: {name} exceeds {MAX_MAGNITUDE:g}; scale the pulse")
    return x


def _times(
    where: str, values: Sequence[float | int | None] | None, n: int, fps: float
) -> Float[np.ndarray, "t"] | None:
    if values is None:
        return None
    times_s = _numbers(where, _TIMES, values)
    if times_s.size != n:
        raise InputError(f"{where}: {times_s.size} timestamps for {n} samples; give one a sample")
    if not np.all(np.diff(times_s) > 0):
        raise InputError(f"{where}: timestamps_s do not increase; sort the samples by time")
    span_s, nominal_s = float(times_s[-1] - times_s[0]), (n - 1) / fps
    if not 1 / MOST_STRETCHED < span_s / nominal_s < MOST_STRETCHED:
        raise InputError(
            f"{where}: timestamps_s span {span_s:.4g} s, and {n} samples at {fps:g} Hz span "
            f"{nominal_s:.4g} s; give them in seconds"
        )
    return times_s
