"""`physkit evaluate` on stores: rates, gaps, what is left out, and what is refused."""

import json
import re
import shutil
from pathlib import Path

import pytest
import zarr
from stores import add_recording, small_store

import physkit
from physkit.cli import main
from physkit.core.errors import InputError, PhyskitError
from physkit.evaluate.predictions import read_predictions
from physkit.models.physnet.network import PhysNet
from physkit.weights.file import WeightsCard, save_weights

RATES_BPM = {"anna": 60.0, "bert": 84.0, "cleo": 120.0}


def test_rates_of_a_store_are_read_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_store(tmp_path / "test.zarr", RATES_BPM)
    out = tmp_path / "results" / "pos"
    words = ["evaluate", "--data", str(tmp_path / "test.zarr"), "--out", str(out)]
    status = main([*words, "--model", "pos", "--score.protocol", "toolbox-2025-03", "--json"])
    assert status == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["model"], report["n_recordings"], report["n_subjects"]) == ("pos", 3, 3)
    assert report["metrics"]["mae_bpm"]["value"] < 0.1
    kept = {file.name for file in out.iterdir()}
    assert kept == {"predictions.parquet", "metrics.json", "windows.parquet", "report.html"}


def test_frames_without_a_face_and_beyond_the_label_are_left_out(tmp_path: Path) -> None:
    store = tmp_path / "test.zarr"
    add_recording(
        store, "a", subject="a", rate_bpm=75.0, faceless=slice(200, 260), label_shift_s=1.0
    )
    physkit.evaluate_model(store, tmp_path / "out", model="pos", score={"window_s": "inf"})
    (row,) = read_predictions(tmp_path / "out" / "predictions.parquet")
    assert row.timestamps_s is not None
    assert row.timestamps_s[0] == pytest.approx(1.0)
    assert not ((row.timestamps_s > 200 / 30 - 0.01) & (row.timestamps_s < 260 / 30 - 0.01)).any()
    assert len(row.prediction) == 600 - 60 - 30
    assert row.fps == pytest.approx(30.0)


def test_what_cannot_be_read_is_named_and_the_rest_is_scored(tmp_path: Path) -> None:
    store = tmp_path / "test.zarr"
    add_recording(store, "good", subject="a", rate_bpm=75.0)
    add_recording(store, "late", subject="b", rate_bpm=75.0, label_shift_s=100.0)
    add_recording(store, "tiny", subject="c", rate_bpm=75.0, size_px=24)
    result = physkit.evaluate_model(store, tmp_path / "out", model="pos")
    assert result.exit_status == 1
    assert result.score.n_recordings == 1
    causes = dict(result.left_out)
    assert set(causes) == {"late", "tiny"}
    assert "0 frames with both a face and a label" in causes["late"]
    assert "24x24" in causes["tiny"]
    assert "--size 36" in causes["tiny"]


def test_recordings_that_lost_files_harm_no_other(tmp_path: Path) -> None:
    store = tmp_path / "test.zarr"
    for name in ("good", "groupless", "frameless", "nobodys"):
        add_recording(store, name, subject="a", rate_bpm=75.0)
    (store / "groupless" / "zarr.json").write_text("{")
    shutil.rmtree(store / "frameless" / "frames")
    group = zarr.open_group(store / "nobodys", mode="r+")
    del group.attrs["subject"]
    result = physkit.evaluate_model(store, tmp_path / "out", model="green")
    assert (result.exit_status, result.score.n_recordings) == (1, 1)
    causes = dict(result.left_out)
    assert set(causes) == {"groupless", "frameless", "nobodys"}
    assert "'subject' is missing or damaged" in causes["nobodys"]
    assert all(str(store / name) in cause for name, cause in causes.items())


def test_a_label_that_stands_still_is_no_truth(tmp_path: Path) -> None:
    store = tmp_path / "test.zarr"
    for name in ("good", "dead", "resting"):
        add_recording(store, name, subject=name, rate_bpm=75.0)
    for name, still in (("dead", slice(None)), ("resting", slice(600, 840))):
        pulse = zarr.open_array(store / name / "pulse", mode="r+")
        samples = pulse[:]
        samples[still] = 1.0
        pulse[:] = samples
    result = physkit.evaluate_model(
        store, tmp_path / "out", model="green", score={"window_s": "inf"}
    )
    assert result.score.metrics.mae_bpm.value < 0.5
    ((name, cause),) = result.left_out
    assert name == "dead"
    assert "the label is flat" in cause
    rows = {row.recording: row for row in read_predictions(tmp_path / "out/predictions.parquet")}
    times_s = rows["resting"].timestamps_s
    assert times_s is not None
    assert not ((times_s > 10.1) & (times_s < 13.9)).any()
    assert len(times_s) > 450


def test_whatever_one_recording_does_the_others_are_scored(tmp_path: Path) -> None:
    store = tmp_path / "test.zarr"
    for name, light in (("good", "lamp"), ("better", 3), ("slow", 3), ("odd", 3), ("short", 3)):
        add_recording(store, name, subject=name, rate_bpm=75.0, conditions={"light": light})
    for array in ("timestamps_s", "pulse_timestamps_s"):  # milliseconds taken for seconds
        times_s = zarr.open_array(store / "slow" / array, mode="r+")
        times_s[:] = 1000 * times_s[:]
    zarr.open_group(store / "odd", mode="r+").attrs["conditions"] = ["lamp"]
    zarr.open_array(store / "short" / "segment", mode="r+").resize(300)
    result = physkit.evaluate_model(store, tmp_path / "out", model="green")
    assert (result.exit_status, result.score.n_recordings) == (1, 2)
    assert result.score.metrics.mae_bpm.value < 0.5
    causes = dict(result.left_out)
    assert set(causes) == {"slow", "odd", "short"}
    assert "'conditions' is missing or damaged" in causes["odd"]
    assert "'segment' is missing or damaged (300 values, not 600)" in causes["short"]
    told = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert {one["recording"] for one in told["left_out"]} == set(causes)
    rows = read_predictions(tmp_path / "out" / "predictions.parquet")
    light = {row.recording: row.conditions["light"] for row in rows}
    assert (light["good"], light["better"]) == ("lamp", "3")


def test_larger_crops_are_reduced_to_the_models_size(tmp_path: Path) -> None:
    add_recording(tmp_path / "s.zarr", "a", subject="a", rate_bpm=75.0, size_px=72)
    result = physkit.evaluate_model(
        tmp_path / "s.zarr", tmp_path / "out", model="pos", score={"protocol": "toolbox-2025-03"}
    )
    assert result.score.metrics.mae_bpm.value < 0.1


def test_a_store_of_crops_too_small_for_the_model_says_how_to_make_another(tmp_path: Path) -> None:
    add_recording(tmp_path / "s.zarr", "a", subject="a", rate_bpm=75.0, size_px=36)
    save_weights(tmp_path / "net.safetensors", PhysNet().state_dict(), WeightsCard("physnet", {}))
    with pytest.raises(InputError, match=r"36x36 pixels, the model reads 72x72; .* --size 72"):
        physkit.evaluate_model(
            tmp_path / "s.zarr", tmp_path / "out", weights=tmp_path / "net.safetensors"
        )


def test_only_the_subjects_asked_for_are_read(tmp_path: Path) -> None:
    small_store(tmp_path / "s.zarr", RATES_BPM)
    result = physkit.evaluate_model(
        tmp_path / "s.zarr", tmp_path / "out", model="pos", subjects=["bert", "cleo"]
    )
    assert {window.subject for window in result.score.windows} == {"bert", "cleo"}


@pytest.mark.parametrize("names", ["2", "[2]", "02,2", '["2", 02]'])
def test_names_are_text_though_they_look_like_numbers(
    names: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_store(tmp_path / "s.zarr", {"1": 60.0, "2": 84.0, "02": 120.0})
    words = ["evaluate", "--data", str(tmp_path / "s.zarr"), "--out", str(tmp_path / "out")]
    assert main([*words, "--model", "green", f"--subjects={names}", "--json"]) == 0
    subjects = {row.subject for row in read_predictions(tmp_path / "out" / "predictions.parquet")}
    assert subjects == set(re.findall(r"\d+", names))
    assert main([*words, "--model", "green", "--subjects", names, "--json"]) == 0
    capsys.readouterr()


def test_unusable_stores_subjects_and_options_are_refused_in_one_line(tmp_path: Path) -> None:
    small_store(tmp_path / "s.zarr", {"anna": 60.0})
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no store there"):
        physkit.evaluate_model(tmp_path / "other.zarr", out, model="pos")
    with pytest.raises(PhyskitError, match="did you mean 'anna'"):
        physkit.evaluate_model(tmp_path / "s.zarr", out, model="pos", subjects=["ana"])
    with pytest.raises(PhyskitError, match="did you mean 'pos'"):
        physkit.evaluate_model(tmp_path / "s.zarr", out, model="poss")
    with pytest.raises(PhyskitError, match="unknown protocol"):
        physkit.evaluate_model(tmp_path / "s.zarr", out, model="pos", score={"protocol": "mine"})
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another --out"):
        physkit.evaluate_model(tmp_path / "s.zarr", tmp_path / "file" / "out", model="pos")
    assert not out.exists()
