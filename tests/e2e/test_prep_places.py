"""`physkit prep`: where it reads and writes, far away too, and where it cannot."""

from pathlib import Path

import pytest
from store_contents import contents, prep
from upath import UPath

import physkit
from physkit.cli import main
from physkit.core.errors import PhyskitError
from physkit.data.store_writer import create_store, writing
from physkit.synth.write import SynthConfig
from physkit.synth.write import run as synthesise


def test_one_run_at_a_time_writes_to_a_store(raw_ubfc: Path, tmp_path: Path) -> None:
    with (
        writing(tmp_path / "s.zarr"),
        pytest.raises(PhyskitError, match="another physkit prep is writing to it"),
    ):
        prep(raw_ubfc, tmp_path / "s.zarr")


def test_a_store_of_another_data_set_is_refused(raw_ubfc: Path, tmp_path: Path) -> None:
    create_store(tmp_path / "s.zarr", dataset="pure")
    with pytest.raises(PhyskitError, match="a store of 'pure', not of 'ubfc'"):
        prep(raw_ubfc, tmp_path / "s.zarr")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "ubcf"}, "did you mean 'ubfc'"),
        ({"face.detector": "har"}, "did you mean 'haar'"),
        ({"face.detector": "auto"}, "--face.detector auto: name one of"),
        ({"face.weights": "x.tflite"}, "takes no model file"),
        ({"engine": "rai"}, "did you mean 'ray'"),
        ({"size": "0"}, "--size 0"),
        ({"workers": "0"}, "--workers 0"),
        ({"ray_address": "auto"}, "only for --engine ray"),
        ({"ray_address": "127.0.0.1:9", "engine": "ray"}, "no Ray cluster to join"),
        ({"only": "[subject9]"}, "unknown recording"),
        ({"raw": "/absent"}, "/absent: no such folder"),
        ({"raw": "{raw}/subject1"}, "give that as --raw"),
        ({"raw": "memory://absent"}, "memory://absent"),
        ({"out": "{raw}/subject1/vid.avi"}, "neither a store nor an empty folder"),
        ({"out": "{raw}/subject1/vid.avi/s.zarr"}, "cannot be written"),
        ({"out": "{raw}"}, "neither a store nor an empty folder"),
        ({"out": "/proc/s.zarr"}, "cannot be written"),
        ({"out": ""}, "--out: empty"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    raw_ubfc: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: dict[str, str],
    message: str,
) -> None:
    given = {"dataset": "ubfc", "raw": "{raw}", "out": str(tmp_path / "s.zarr")} | options
    words = [f"--{name}={value.replace('{raw}', str(raw_ubfc))}" for name, value in given.items()]
    assert main(["prep", *words]) == 2
    answer = capsys.readouterr()
    assert answer.out == ""
    assert message in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_object_storage_is_read_and_written(
    raw_ubfc: Path, prepared_ubfc: Path, tmp_path: Path
) -> None:
    raw, out = UPath(f"memory://{tmp_path}/raw"), UPath(f"memory://{tmp_path}/s.zarr")
    raw.fs.put(f"{raw_ubfc}/", raw.path, recursive=True)
    assert prep(raw, out, only=["subject1"]).done == ("subject1",)
    assert prep(raw, out).skipped == ("subject1",)
    assert contents(out) == contents(prepared_ubfc)
    assert physkit.open_store(out)["subject3"].frames(10, 12).shape == (2, 36, 36, 3)


def test_conditions_that_far_files_state_are_stored(tmp_path: Path) -> None:
    config = SynthConfig(
        "mmpd", str(tmp_path / "raw"), subjects=1, seconds=2, width=160, height=120, workers=1
    )
    synthesise(config)
    near, far = tmp_path / "near.zarr", tmp_path / "far.zarr"
    physkit.prepare(dataset="mmpd", raw=tmp_path / "raw", out=near, engine="serial")
    raw = UPath(f"memory://{tmp_path}/raw")
    raw.fs.put(f"{tmp_path}/raw/", raw.path, recursive=True)
    physkit.prepare(dataset="mmpd", raw=raw, out=far, engine="serial")
    assert contents(far) == contents(near)
    assert physkit.open_store(far)["p1_0"].conditions["light"] == "LED-low"
    again = physkit.prepare(dataset="mmpd", raw=raw, out=far, engine="serial")
    assert again.skipped == ("p1_0",)


def test_failures_far_away_name_the_far_file(raw_ubfc: Path, tmp_path: Path) -> None:
    raw = UPath(f"memory://{tmp_path}/raw")
    raw.fs.put(f"{raw_ubfc}/", raw.path, recursive=True)
    (raw / "subject2" / "vid.avi").write_bytes(b"")
    (failure,) = prep(raw, tmp_path / "s.zarr", only=["subject1", "subject2"]).failed
    assert failure.cause.startswith(f"{raw}/subject2/vid.avi: empty file")
