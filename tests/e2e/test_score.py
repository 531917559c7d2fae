import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from physkit.cli import main
from physkit.core.errors import InputError, UnknownNameError
from physkit.evaluate.config import ScoreConfig
from physkit.evaluate.predictions import PredictedRecording, write_predictions
from physkit.evaluate.scoring import score
from physkit.pipelines.score import ScoreFileConfig, run


def predictions(path: Path, *, n: int, duration_s: float) -> Path:
    rng = np.random.default_rng(0)
    t = np.arange(int(30 * duration_s)) / 30
    rows = []
    for i in range(n):
        bpm = rng.uniform(50, 110)
        x = np.sin(2 * np.pi * bpm / 60 * t)
        noisy = x + 0.5 * rng.standard_normal(t.size)
        conditions = {"skin_tone": 3 + i % 3}
        rows.append(
            PredictedRecording(f"r{i}", f"s{i}", 30.0, noisy, x, "waveform", None, conditions)
        )
    write_predictions(rows, path)
    return path


@pytest.mark.slow
def test_forty_two_minutes_are_scored_in_seconds(tmp_path: Path) -> None:
    path = predictions(tmp_path / "p.parquet", n=42, duration_s=60)
    begin = time.process_time()
    result = score(path)
    assert time.process_time() - begin < 20
    assert result.n_windows == 42 * 31
    assert result.metrics.mae_bpm.value < 0.5
    assert result.metrics.pearson.value > 0.999


@pytest.mark.parametrize("protocol", ["toolbox-2023", "physllm", "physkit-1"])
def test_a_file_becomes_figures_text_and_a_folder(tmp_path: Path, protocol: str) -> None:
    path = predictions(tmp_path / "p.parquet", n=4, duration_s=35)
    how = ScoreConfig(protocol, window_s=10.0)
    config = ScoreFileConfig(str(path), how, out=str(tmp_path / "out"))
    result = run(config)
    told = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert told == json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert told["protocol"] == protocol
    assert told["settings"]["window_s"] == 10
    assert len(told["predictions_sha256"]) == 64
    assert set(told["metrics"]) == {
        "mae_bpm",
        "rmse_bpm",
        "mape_percent",
        "pearson",
        "snr_db",
        "macc",
    }
    assert told["ansi_cta_2065"][0]["condition"] == "skin_tone"
    text = "\n".join(result.lines())
    assert protocol in text
    assert f"{told['metrics']['mae_bpm']['value']:.4f}" in text
    assert "ANSI/CTA-2065" in text


def test_bad_requests_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = predictions(tmp_path / "p.parquet", n=1, duration_s=12)
    out = tmp_path / "out"
    with pytest.raises(UnknownNameError, match="did you mean 'physkit-1'"):
        score(path, protocol="physkit1", out=out)
    with pytest.raises(UnknownNameError, match="did you mean 'fft'"):
        score(path, hr="ftt", out=out)
    with pytest.raises(InputError, match="window_s is 0"):
        score(path, window_s=0, out=out)
    with pytest.raises(InputError, match="window_s is nan"):
        score(path, window_s=float("nan"), out=out)
    with pytest.raises(InputError, match="no such file"):
        score(tmp_path / "absent.parquet", out=out)
    assert not out.exists()


def test_rows_that_cannot_be_scored_are_left_out_with_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = predictions(tmp_path / "p.parquet", n=6, duration_s=20)
    rows = pq.read_table(path).to_pylist()
    rows[0]["label"][40] = math.nan
    rows[1]["fps"] = 3.0
    rows[2]["timestamps_s"] = [1000.0 * k / 30 for k in range(600)]
    rows += [dict(rows[3])]
    columns = {name: [row.get(name) for row in rows] for name in (*rows[0], "timestamps_s")}
    pq.write_table(pa.table(columns), path)
    assert main(["score", "--predictions", str(path), "--score.window_s", "10", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    causes = {one["recording"]: one["cause"] for one in told["left_out"]}
    assert (told["n_recordings"], set(causes)) == (2, {"r0", "r1", "r2", "r3"})
    assert told["metrics"]["mae_bpm"]["value"] < 0.5
    assert "label holds 1 NaN" in causes["r0"]
    assert "3.0 samples/s cannot hold" in causes["r1"]
    assert "give them in seconds" in causes["r2"]
    assert "has 2 rows" in causes["r3"]


def test_the_module_imports_without_the_numerical_packages() -> None:
    code = (
        "import sys, physkit.pipelines.score; "
        "print([m for m in ('scipy', 'pyarrow', 'matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
