"""`physkit crossdomain` on tiny stores: what it makes, does not make twice, and makes again."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stores import add_recording

import physkit
from physkit.cli import main
from physkit.core.errors import InputError, PhyskitError
from physkit.crossdomain.result import CrossdomainResult
from physkit.evaluate.predictions import read_predictions
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.train.run.config import FitConfig, FitResult
from physkit.weights.file import WeightsCard, save_weights

TINY = {
    "height": 12,
    "width": 12,
    "channels": 8,
    "n_blocks": 1,
    "d_state": 8,
    "head_d_state": 4,
}
FIT: dict[str, Any] = {
    "model": FacePhysConfig(**TINY),
    "trainer": {"max_steps": 3},
    "data": {"n_frames": 32},
    "run": {"threads": 1},
}
Fit = Callable[..., FitResult]


def store(path: Path, dataset: str, first_bpm: float) -> str:
    """Four people, each with a heart rate of their own."""
    for number in range(4):
        add_recording(
            path,
            f"{dataset}{number}_1",
            subject=f"p{number}",
            rate_bpm=first_bpm + 9 * number,
            n_frames=240,
            conditions={"light": "dim" if number % 2 else "bright"},
            dataset=dataset,
        )
    return str(path)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two data sets; not to be written to."""
    folder = tmp_path_factory.mktemp("stores")
    return {
        name: store(folder / f"{name}.zarr", name, rate_bpm)
        for name, rate_bpm in (("sun", 60.0), ("moon", 75.0))
    }


class Trainer:
    """Stands in for `physkit fit`: random weights, others in each folder."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.broken: dict[str, BaseException] = {}

    def __call__(self, config: FitConfig, *, progress: bool = False) -> FitResult:
        del progress
        out = Path(config.out)
        name = out.name.rsplit("-", 1)[0]
        if name in self.broken:
            raise self.broken[name]
        out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(sum(map(ord, out.name)))
        net = FacePhys(FacePhysConfig(**TINY))
        best = out / "best.safetensors"
        save_weights(best, net.state_dict(), WeightsCard("facephys", TINY))
        self.done.append(name)
        return FitResult(out, best, best, 5.0, 1, 3, 0.5, 0.1)


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    stand_in = Trainer()
    monkeypatch.setattr("physkit.train.run.fit.fit", stand_in)
    return stand_in


def matrix(stores: dict[str, str], out: Path, **options: Any) -> CrossdomainResult:
    named = {name: {"store": path, "n_folds": 2} for name, path in stores.items()}
    given = {"train": list(named), "score": {"protocol": "toolbox-2025-03"}, **FIT, **options}
    return physkit.crossdomain(named, out, **given)


def maes(result: CrossdomainResult) -> dict[tuple[str, str], float]:
    return {(row["train"], row["test"]): row.get("mae_bpm", -1.0) for row in result.table()}


def test_each_is_trained_on_and_tested_on_and_nothing_is_done_twice(
    stores: dict[str, str], tmp_path: Path, trainer: Trainer
) -> None:
    out = tmp_path / "out"
    first = matrix(stores, out, models=["pos"])
    assert first.exit_status == 0
    assert set(maes(first)) == {(r, c) for r in ("sun", "moon", "pos") for c in ("sun", "moon")}
    assert trainer.done == [
        *("sun-fold-0", "sun-fold-1", "sun-everyone"),
        *("moon-everyone", "moon-fold-0", "moon-fold-1"),
    ]
    said = json.loads((out / "matrix.json").read_text())
    assert [cell["mae_bpm"] for cell in said["cells"]] == list(maes(first).values())
    with (out / "matrix.csv").open() as file:
        trained_on = [row["train"] for row in csv.DictReader(file)]
    assert trained_on == ["sun", "sun", "moon", "moon", "pos", "pos"]
    page = (out / "report.html").read_text()
    assert all(word in page for word in ("trained on", "sun", "moon", "light", "dim", "pos"))
    assert not any(word in page for word in ("<script", "<img", "<link", "url(http", "@import"))
    again = matrix(stores, out, models=["pos"])
    assert len(trainer.done) == 6
    assert not any(figures.is_new for figures in again.figures.values())
    assert maes(again) == maes(first)


def test_people_are_read_by_the_network_of_the_fold_that_has_not_seen_them(
    stores: dict[str, str], tmp_path: Path, trainer: Trainer
) -> None:
    result = matrix({"sun": stores["sun"]}, tmp_path / "out")
    assert trainer.done == ["sun-fold-0", "sun-fold-1"]
    (cell,) = result.plan.cells
    pooled = {
        row.subject: row.prediction
        for row in read_predictions(result.figures[cell].folder / "predictions.parquet")
    }
    assert sorted(pooled) == ["p0", "p1", "p2", "p3"]
    for reading, trained in zip(cell.readings, result.trained, strict=True):
        alone = tmp_path / trained.name
        physkit.evaluate_model(
            stores["sun"], alone, weights=trained.weights, subjects=list(reading.part.subjects)
        )
        for row in read_predictions(alone / "predictions.parquet"):
            np.testing.assert_allclose(row.prediction, pooled[row.subject], atol=1e-6)


def test_what_fails_is_named_the_rest_goes_on_and_is_all_that_is_done_again(
    stores: dict[str, str], tmp_path: Path, trainer: Trainer
) -> None:
    trainer.broken = {
        "moon-fold-1": InputError("the loss is NaN in p2_1"),
        "sun-everyone": ZeroDivisionError("by zero"),
    }
    options: dict[str, Any] = {"test": ["moon"], "models": ["green"]}
    first = matrix(stores, tmp_path, **options)
    assert first.exit_status == 1
    assert {cell.name for cell in first.figures} == {"green on moon"}
    causes = {failure.name: failure.cause for failure in first.failures.values()}
    assert set(causes) == {"moon on moon", "sun on moon"}
    assert causes["moon on moon"] == "training moon-fold-1: the loss is NaN in p2_1"
    assert "by zero: a bug in physkit" in causes["sun on moon"]
    assert "the loss is NaN in p2_1" in (tmp_path / "report.html").read_text()
    assert "failed: moon on moon" in "\n".join(first.lines())
    assert trainer.done == ["moon-fold-0"]
    trainer.broken = {}
    second = matrix(stores, tmp_path, **options)
    assert second.exit_status == 0
    assert trainer.done == ["moon-fold-0", "sun-everyone", "moon-fold-1"]
    fresh = {cell.name for cell, figures in second.figures.items() if figures.is_new}
    assert fresh == set(causes)


def test_recordings_that_cannot_be_read_are_named_and_the_others_scored(tmp_path: Path) -> None:
    own = store(tmp_path / "moon.zarr", "moon", 75.0)
    add_recording(
        tmp_path / "moon.zarr",
        "late",
        subject="p0",
        rate_bpm=75.0,
        n_frames=240,
        label_shift_s=100.0,
        dataset="moon",
    )
    for _ in range(2):
        result = matrix({"moon": own}, tmp_path / "out", train=[], models=["green"])
        assert result.exit_status == 1
        assert result.table()[0]["n_recordings"] == 4
        assert any("left out: moon: late: " in line for line in result.lines())
    assert "late is left out" in (tmp_path / "out" / "report.html").read_text()


def test_other_settings_and_other_data_are_done_anew_and_nothing_else(
    stores: dict[str, str], tmp_path: Path, trainer: Trainer
) -> None:
    own = {"sun": stores["sun"], "moon": store(tmp_path / "moon.zarr", "moon", 75.0)}
    options: dict[str, Any] = {"across": "fold-0", "folds": 1, "test": ["moon"]}
    first = matrix(own, tmp_path / "out", **options)
    assert trainer.done == ["sun-fold-0", "moon-fold-0"]
    matrix(own, tmp_path / "out", **options, run={"log_every": 5, "plots": 0})
    assert len(trainer.done) == 2
    matrix(own, tmp_path / "out", **options, seed=1)
    assert len(trainer.done) == 4
    trained = first.plan.trainings[1].train[0].subjects[0]
    late: dict[str, Any] = {"subject": trained, "rate_bpm": 80.0, "n_frames": 240}
    add_recording(tmp_path / "moon.zarr", "late", **late, dataset="moon")
    last = matrix(own, tmp_path / "out", **options)
    assert trainer.done[4:] == ["moon-fold-0"]
    fresh = {cell.name for cell, figures in last.figures.items() if figures.is_new}
    assert fresh == {"sun on moon", "moon on moon"}


def test_a_matrix_is_described_in_yaml(
    stores: dict[str, str],
    tmp_path: Path,
    trainer: Trainer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tmp_path / "matrix.yaml"
    model = {"class_path": "FacePhysConfig", "init_args": TINY}
    text = f"""
stores:
  sun: {{store: {stores["sun"]}, n_folds: 2}}
  moon: {{store: {stores["moon"]}}}
train: [sun]
test: [moon]
models: [green]
out: {tmp_path / "out"}
score: {{protocol: toolbox-2025-03}}
model: {json.dumps(model)}
data: {{n_frames: 32}}
trainer: {{max_steps: 3}}
"""
    config.write_text(text, encoding="utf-8")
    assert main(["crossdomain", "--config", str(config), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["rows"] == ["sun", "green"]
    assert trainer.done == ["sun-everyone"]
    for wrong, message in (
        ("trainer: {max_stepz: 1}", "max_stepz"),
        ("trainer: {max_steps: many}", "many"),
        ("init_weights: absent.safetensors\ntrainer: {max_steps: 1}", "absent.safetensors"),
    ):
        config.write_text(text.split("trainer:")[0] + wrong, encoding="utf-8")
        assert main(["crossdomain", "--config", str(config)]) == 2
        answer = capsys.readouterr().err
        assert message in answer
        assert len(answer.splitlines()) == 1


def test_bad_models_folders_and_protocols_are_refused_before_any_training(
    stores: dict[str, str], tmp_path: Path, trainer: Trainer
) -> None:
    for options, message in (
        ({"models": ["poss"]}, "did you mean 'pos'"),
        ({"models": ["absent.safetensors"]}, "absent.safetensors"),
        ({"score": {"protocol": "mine"}}, "unknown protocol"),
        ({"trainer": {}}, "no end is set"),
    ):
        with pytest.raises(PhyskitError, match=message):
            matrix(stores, tmp_path / "out", **options)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="name another --out"):
        matrix(stores, tmp_path / "file" / "out")
    assert trainer.done == []
