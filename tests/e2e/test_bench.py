"""`physkit bench step` from its config to its table."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from physkit.core.errors import InputError
from physkit.pipelines.bench.released import released_litert, released_onnx
from physkit.pipelines.bench.report import BenchReport, BenchRow, Machine
from physkit.pipelines.bench.step import BenchStepConfig, run

NAMES = ["torch-eager", "torch-compiled", "released-onnx", "released-litert"]


@pytest.mark.slow
def test_every_runtime_is_measured_beside_the_released_files(assets: Path) -> None:
    report = run(BenchStepConfig(released=str(assets / "facephys"), repeats=2, frames=3))
    content = json.loads(json.dumps(report.to_dict()))
    assert [row["name"] for row in content["rows"]] == NAMES
    for row in content["rows"]:
        assert "error" not in row
        assert len(row["frames_per_s_all"]) == 2
        assert min(row["frames_per_s_all"]) <= row["frames_per_s"] <= max(row["frames_per_s_all"])
        assert row["threads"] == 1


def test_a_runtime_that_cannot_run_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Compiling takes half a minute, and is measured above.
    monkeypatch.setattr("physkit.runtime.compiled.compile_step", lambda net, _: net.step)
    (tmp_path / "model.tflite").write_bytes(b"not a model")
    report = run(BenchStepConfig(released=str(tmp_path), repeats=1, frames=1))
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
    code = "import sys, physkit.pipelines.bench.step; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("runtime", [released_onnx, released_litert])
def test_a_model_of_other_inputs_is_refused(assets: Path, runtime: Callable[..., object]) -> None:
    oblong = np.zeros((2, 30, 36, 3), np.float32)
    with pytest.raises(InputError, match="takes 48 inputs, not the frame"):
        runtime(assets / "facephys", oblong, 1)
