from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from physkit.core.errors import InputError
from physkit.evaluate.predictions import PredictedRecording, read_predictions, write_predictions

GOOD = {
    "recording": "a",
    "subject": "s",
    "fps": 30.0,
    "prediction": [float(i % 7) for i in range(60)],
    "label": [float(i % 7) for i in range(60)],
    "representation": "waveform",
}


def written(path: Path, **changes) -> Path:
    row = GOOD | changes
    pq.write_table(pa.table({name: [value] for name, value in row.items()}), path)
    return path


def test_what_is_written_is_read_back(tmp_path: Path, recordings) -> None:
    originals = recordings(3)
    times_s = np.arange(originals[0].label.size) / 30
    first = originals[0]
    originals[0] = PredictedRecording(
        first.recording,
        first.subject,
        first.fps,
        first.prediction,
        first.label,
        first.representation,
        times_s,
        first.conditions,
    )
    write_predictions(originals, tmp_path / "p.parquet")
    back = read_predictions(tmp_path / "p.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["p.parquet"]
    for ours, theirs in zip(originals, back, strict=True):
        assert (ours.recording, ours.subject, ours.fps) == (
            theirs.recording,
            theirs.subject,
            theirs.fps,
        )
        assert dict(ours.conditions) == dict(theirs.conditions)
        np.testing.assert_array_equal(ours.prediction, theirs.prediction)
        np.testing.assert_array_equal(ours.label, theirs.label)
    np.testing.assert_array_equal(back[0].timestamps_s, times_s)
    assert back[1].timestamps_s is None


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.int16(), 60)]
)
def test_every_list_of_numbers_is_read(tmp_path: Path, kind: pa.DataType) -> None:
    columns = {name: pa.array([value]) for name, value in GOOD.items()}
    columns["prediction"] = columns["prediction"].cast(kind)
    columns["recording"] = columns["recording"].dictionary_encode()
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    (row,) = read_predictions(tmp_path / "p.parquet")
    assert row.prediction.dtype == np.float64
    np.testing.assert_array_equal(row.prediction, GOOD["prediction"])


def test_the_files_own_columns_are_no_conditions(tmp_path: Path, recordings) -> None:
    (row,) = recordings(1)
    named = replace(row, conditions={"fps": 25.0, "subject": "x", "label": 3, "light": "lamp"})
    write_predictions([named], tmp_path / "p.parquet")
    (back,) = read_predictions(tmp_path / "p.parquet")
    assert (back.fps, back.subject, dict(back.conditions)) == (row.fps, "s0", {"light": "lamp"})


def test_a_condition_of_two_kinds_is_named(tmp_path: Path, recordings) -> None:
    mixed = [
        replace(row, conditions={"light": light})
        for row, light in zip(recordings(2), ("lamp", 3), strict=True)
    ]
    with pytest.raises(InputError, match=r"p\.parquet: condition 'light' is not of one kind"):
        write_predictions(mixed, tmp_path / "p.parquet")
    assert not (tmp_path / "p.parquet").exists()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"fps": 0.0}, "fps is 0.0"),
        ({"fps": -30.0}, "above 0"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"fps": "thirty"}, "column fps is string"),
        ({"fps": True}, "column fps is bool"),
        ({"recording": 7}, "column recording is int64"),
        ({"recording": ""}, "no recording"),
        ({"subject": None}, "column subject is null"),
        ({"prediction": "x"}, "column prediction is string"),
        ({"prediction": [1.0] * 59}, "59 prediction samples and 60 label samples"),
        ({"prediction": [float("nan")] + [1.0] * 59}, "NaN"),
        ({"prediction": [float("inf")] + [1.0] * 59}, "NaN or infinite"),
        ({"label": [1.0] * 58 + [None, 2.0]}, "label holds 1 NaN"),
        ({"label": [1e200] * 60}, "scale the pulse"),
        ({"prediction": [1.0] * 9, "label": [1.0] * 9}, "too short"),
        ({"prediction": [["a"]] * 60}, "must be a list of numbers"),
        ({"representation": "wave"}, "it must be waveform or diff"),
        ({"timestamps_s": [0.0] * 60}, "do not increase"),
        ({"timestamps_s": [0.0, 1.0]}, "2 timestamps for 60"),
        ({"light": [1, 2]}, "column light is list"),
    ],
)
def test_a_bad_row_names_file_problem_and_fix(tmp_path: Path, changes, problem: str) -> None:
    path = written(tmp_path / "p.parquet", **changes)
    with pytest.raises(InputError, match=r"p\.parquet") as caught:
        read_predictions(path)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("column", sorted(GOOD))
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    row = {name: [value] for name, value in GOOD.items() if name != column}
    pq.write_table(pa.table(row), tmp_path / "p.parquet")
    with pytest.raises(InputError, match=f"no column {column}"):
        read_predictions(tmp_path / "p.parquet")


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_predictions(tmp_path / "absent.parquet")
    with pytest.raises(InputError, match="is a directory"):
        read_predictions(tmp_path)
    for content in (b"", b"recording,subject\n", written(tmp_path / "p").read_bytes()[:-40]):
        (tmp_path / "bad.parquet").write_bytes(content)
        with pytest.raises(InputError, match="not a readable Parquet file") as caught:
            read_predictions(tmp_path / "bad.parquet")
        assert "\n" not in str(caught.value)


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    table = pa.table({name: [value] for name, value in GOOD.items()}).slice(0, 0)
    pq.write_table(table, tmp_path / "p.parquet")
    with pytest.raises(InputError, match="holds no recordings"):
        read_predictions(tmp_path / "p.parquet")


def test_a_recording_in_two_rows_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({n: [v, v] for n, v in GOOD.items()}), tmp_path / "p.parquet")
    with pytest.raises(InputError, match="recording 'a' of subject 's' has 2 rows"):
        read_predictions(tmp_path / "p.parquet")


def test_folder_names_add_no_columns(tmp_path: Path) -> None:
    (tmp_path / "light=dark").mkdir()
    (row,) = read_predictions(written(tmp_path / "light=dark" / "p.parquet"))
    assert row.conditions == {}


def test_an_unwritable_place_leaves_nothing(tmp_path: Path, recordings) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_predictions(recordings(1), tmp_path / "absent" / "p.parquet")
    assert list(tmp_path.iterdir()) == []


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**31), 2**31), st.floats(), st.text(max_size=5)
)
anything = st.one_of(
    scalars,
    st.lists(scalars, max_size=3),
    st.lists(st.floats(), max_size=30),
    st.lists(st.integers(-9, 9), min_size=10, max_size=12),
    st.binary(max_size=4),
)
rows = st.fixed_dictionaries(
    {},
    optional={name: st.one_of(st.just(value), anything) for name, value in GOOD.items()}
    | {"timestamps_s": anything, "light": anything},
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(row=rows, n=st.integers(0, 3))
def test_any_table_reads_into_valid_rows_or_raises_input_error(tmp_path: Path, row, n) -> None:
    try:
        table = pa.table({name: [value] * n for name, value in row.items()})
        pq.write_table(table, tmp_path / "p.parquet")
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return  # Arrow itself has no such table
    check(tmp_path / "p.parquet")


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_damaged_file_reads_or_raises_input_error(tmp_path: Path, data) -> None:
    content = bytearray(written(tmp_path / "p.parquet").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "p.parquet").write_bytes(bytes(content))
    check(tmp_path / "p.parquet")


def check(path: Path) -> None:
    try:
        read = read_predictions(path)
    except InputError:
        return
    assert read
    for recording in read:
        assert recording.fps > 0
        assert recording.prediction.shape == recording.label.shape
        assert recording.prediction.size >= 10
        assert np.isfinite(recording.prediction).all()
        assert np.isfinite(recording.label).all()
        assert recording.representation in ("waveform", "diff")
