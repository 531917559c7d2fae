"""`physkit bench` from its configs to its tables."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from physkit.bench.prep import BenchPrepConfig, PrepReport, PrepRow
from physkit.bench.prep import run as run_prep
from physkit.bench.prep_rows import prepared
from physkit.bench.released import released_litert, released_onnx
from physkit.bench.report import BenchReport, BenchRow
from physkit.bench.step import BenchStepConfig, run
from physkit.core.errors import InputError
from physkit.core.machine import Machine
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.weights.file import WeightsCard, save_weights

NAMES = [
    *("torch-eager", "torch-compiled", "onnx-fp32", "onnx-int8", "litert-fp32", "litert-int8"),
    *("jax", "jax-plain", "released-onnx", "released-litert"),
]


@pytest.mark.slow
def test_every_runtime_is_measured_beside_the_released_files(assets: Path, tmp_path: Path) -> None:
    small = {"channels": 8, "n_blocks": 1}
    weights = tmp_path / "small.safetensors"
    net = FacePhys(FacePhysConfig(**small))
    save_weights(weights, net.state_dict(), WeightsCard("facephys", small))
    released = str(assets / "facephys")
    report = run(BenchStepConfig(str(weights), released, repeats=2, frames=3))
    content = json.loads(json.dumps(report.to_dict()))
    assert [row["name"] for row in content["rows"]] == NAMES
    for row in content["rows"]:
        assert "error" not in row
        assert len(row["frames_per_s_all"]) == 2
        assert min(row["frames_per_s_all"]) <= row["frames_per_s"] <= max(row["frames_per_s_all"])
        assert row["threads"] == 1


def test_a_runtime_that_cannot_run_says_why(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"not a model")
    chosen = ["torch-eager", "released-onnx", "released-litert"]
    report = run(BenchStepConfig(released=str(tmp_path), repeats=1, frames=1, rows=chosen))
    rows = {row.name: row for row in report.rows}
    assert rows["torch-eager"].frames_per_s
    for name, file in (("released-onnx", "model.onnx"), ("released-litert", "model.tflite")):
        assert rows[name].frames_per_s is None
        assert str(tmp_path / file) in (rows[name].error or "")
        assert any(line.startswith(name) and file in line for line in report.lines())


def test_the_table_gives_the_ratio_to_the_released_onnx() -> None:
    rows = (
        BenchRow("torch-eager", 1, (90.0, 110.0, 100.0)),
        BenchRow("released-onnx", 1, (200.0, 200.0, 210.0)),
    )
    report = BenchReport(Machine("a cpu", 2, "Linux x86_64", "3.11", "2.6"), "abc", rows)
    assert report.lines()[2].split() == ["torch-eager", "1", "100.0", "90.0", "110.0", "0.50"]
    assert report.lines()[3].split()[-1] == "1.00"


def test_the_options_are_read_without_importing_torch() -> None:
    code = "import sys, physkit.bench.step; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("runtime", [released_onnx, released_litert])
def test_a_model_of_other_inputs_is_refused(assets: Path, runtime: Callable[..., object]) -> None:
    oblong = np.zeros((2, 30, 36, 3), np.float32)
    with pytest.raises(InputError, match="takes 48 inputs, not the frame"):
        runtime(assets / "facephys", oblong, 1)


PREP_NAMES = ["opencv-loop", "prep-avi", "prep-h264", "prep-png", "windows"]


@pytest.mark.slow
def test_every_kind_of_preparation_is_measured(assets: Path) -> None:
    clip = str(assets / "videos" / "face.mp4")
    report = run_prep(BenchPrepConfig(clip=clip, seconds=10, repeats=1, windows=5))
    content = json.loads(json.dumps(report.to_dict()))
    assert [row["name"] for row in content["rows"]] == PREP_NAMES
    for row in content["rows"]:
        assert "error" not in row
        assert row["frames_per_s"] == row["frames_per_s_all"][0] > 0
        assert row["cpu_ms_per_frame"] > 0
        assert 50 < row["peak_rss_mb"] < 1500
        assert (row["ratio"] is None) == (row["name"] not in PREP_NAMES[:2])


def test_the_ratio_of_preparation_is_in_its_table() -> None:
    rows = (
        PrepRow("opencv-loop", (500.0, 550.0, 600.0), 1.0, 120.4, 2.871),
        PrepRow("prep-avi", (2000.0, 1900.0, 2100.0), 3.6, 230.0, 0.8),
        PrepRow("prep-h264", error="clip.mp4: truncated"),
    )
    lines = PrepReport(Machine("a cpu", 2, "Linux x86_64", "3.11", "2.6"), "abc", rows).lines()
    assert lines[2].split() == ["opencv-loop", "550", "500", "600", "1.00", "2.87", "120"]
    assert lines[3].split() == ["prep-avi", "2000", "1900", "2100", "3.60", "0.80", "230"]
    assert lines[4].split() == ["prep-h264", "clip.mp4:", "truncated"]


def test_the_preparation_that_is_timed_tells_why_it_fails(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "subject1"
    folder.mkdir(parents=True)
    (folder / "vid.avi").write_bytes(b"not a video")
    (folder / "ground_truth.txt").write_text("0 1 0\n60 60 60\n0 0.1 0.2\n")
    with pytest.raises(InputError, match=r"vid\.avi"):
        prepared(tmp_path / "raw", "ubfc", tmp_path / "store.zarr")


@pytest.mark.parametrize(
    "options", [{"repeats": 0}, {"windows": 0}, {"seconds": 1.0}, {"clip": "no such file.mp4"}]
)
def test_impossible_benches_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"--{next(iter(options))}|no such file"):
        BenchPrepConfig(**options)  # type: ignore[arg-type]


def test_the_options_of_prep_are_read_without_heavy_imports() -> None:
    heavy = "{'torch', 'cv2', 'zarr'} & set(sys.modules)"
    code = f"import sys, physkit.bench.prep; sys.exit(len({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
