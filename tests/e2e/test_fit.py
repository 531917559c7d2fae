"""`physkit fit`: what it makes, and what it keeps."""

import dataclasses
import json
import math
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from trainings import SMALL, changed, divided, people_store, small_run

import physkit
from physkit.cli import main
from physkit.core.errors import InputError
from physkit.train.callbacks.state import read_state
from physkit.train.csv_log import read_csv_log
from physkit.train.run.config import FitConfig
from physkit.weights.file import read_weights
from physkit.weights.load import load_model

Handler = Callable[..., Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return people_store(tmp_path_factory.mktemp("stores") / "ubfc.zarr")


def losses(config: FitConfig) -> list[float]:
    rows = read_csv_log(Path(config.out) / "metrics.csv")
    return [float(row["loss"]) for row in rows if row["loss"]]


def test_a_run_from_yaml_leaves_weights_that_say_what_they_were_made_from(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = {
        "stores": {"s": {"store": str(store), "train": list("abcd"), "validation": ["e", "f"]}},
        "model": {"class_path": "FacePhysConfig", "init_args": SMALL},
        "data": {"n_frames": 96, "augment": None},
        "trainer": {"max_steps": 3},
        "run": {"plots": 1, "workers": 0, "log_every": 1},
        "seed": 5,
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))  # JSON is YAML too
    words = ["fit", "--config", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run")]
    assert main([*words, "--optim.lr", "0.01", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["n_steps"], answer["notes"]) == (3, [])
    assert 0 <= answer["validation_mae_bpm"] < 100
    card, _ = read_weights(Path(answer["best"]))
    assert (card.model, card.config) == ("facephys", SMALL)
    about = card.provenance
    assert about["data"]["train"][0]["subjects"] == ["a", "b", "c", "d"]
    assert about["data"]["validation"][0]["recordings"] == ["e_1", "f_1"]
    assert len(about["data"]["train"][0]["sha256"]) == 64
    assert about["config"]["optim"]["lr"] == 0.01
    assert about["config"]["seed"] == 5
    assert about["metrics"]["step"] == 3
    assert about["metrics"]["validation_mae_bpm"] == answer["validation_mae_bpm"]
    assert {"physkit", "torch", "python"} <= set(about["versions"])
    assert about["commit"]
    assert load_model("facephys", Path(answer["last"])).config.d_state == 4
    assert len(list((tmp_path / "run" / "plots" / "step-000003").glob("*.png"))) == 1


def test_weights_of_a_run_are_scored_on_people_whom_it_never_saw(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def people(train: str, test: str) -> str:
        lists = {"train": list(train), "validation": ["d"], "test": list(test)}
        return json.dumps({"s": {"store": str(store), **lists}})

    model = {"class_path": "FacePhysConfig", "init_args": SMALL}
    words = ["--out", str(tmp_path / "run"), "--stores", people("abc", "ef")]
    words += ["--trainer.max_steps", "1", "--model", json.dumps(model), "--run.workers", "0"]
    words += ["--data.n_frames", "96", "--run.plots", "0"]
    assert main(["test", *words]) == 2
    assert (
        "best.safetensors: no such file; train it first by physkit fit" in capsys.readouterr().err
    )
    assert main(["fit", *words]) == 0
    capsys.readouterr()
    assert main(["test", *words, "--score.window_s", "inf", "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert (score["n_recordings"], score["n_subjects"], score["notes"]) == (2, 2, [])
    assert (tmp_path / "run" / "test" / "physkit-1-inf" / "report.html").exists()
    assert main(["test", *words, "--score.protocol", "toolbox-2025-03"]) == 0
    assert {one.name for one in (tmp_path / "run" / "test").iterdir()} == {
        "physkit-1-inf",
        "toolbox-2025-03",
    }
    capsys.readouterr()
    assert main(["validate", *words, "--weights", "last", "--score.window_s", "inf", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n_recordings"] == 1
    # the weights remember whom they saw, whatever the options now say
    words[words.index("--stores") + 1] = people("bc", "ae")
    assert main(["test", *words]) == 2
    assert f"{store}/a_1: subject 'a' was used for train of" in capsys.readouterr().err
    # so an evaluation tells what is new to them
    weights = str(tmp_path / "run" / "best.safetensors")
    evaluate = ["evaluate", "--data", str(store), "--weights", weights, "--score.window_s", "inf"]
    assert main([*evaluate, "--out", str(tmp_path / "all")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == (
        "warning: the weights know 3 whom they were trained on and 1 whom they were chosen by: "
        "figures are of the 2 others, except by used for"
    )
    assert "2 recordings of 2 subjects" in told[1]
    (source,) = json.loads((tmp_path / "all" / "metrics.json").read_text())["sources"]
    assert source["model"] == "facephys"
    assert source["weights"]["path"] == weights
    assert source["weights"]["people"]["train"] == {str(store): ["a", "b", "c"]}
    assert len(source["weights"]["sha256"]) == len(source["store"]["sha256"]) == 64
    assert source["store"]["path"] == str(store)
    assert source["store"]["people"] == list("abcdef")
    page = (tmp_path / "all" / "report.html").read_text()
    assert all(text in page for text in (weights, str(store), source["weights"]["sha256"]))
    by_use = next(line for line in told if line.startswith("MAE by used for"))
    assert [f"{use} " in by_use for use in ("train", "validation", "nothing")] == [True] * 3
    assert main([*evaluate, "--out", str(tmp_path / "known"), "--subjects", "a,b"]) == 0
    assert "nobody else is here" in capsys.readouterr().out.splitlines()[0]
    again = tmp_path / "known" / "predictions.parquet"  # which say so too
    assert main(["score", "--predictions", str(again), "--score.window_s", "inf"]) == 0
    assert "nobody else is here" in capsys.readouterr().out.splitlines()[0]
    # another clinic may call its people alike
    others = {"store": str(people_store(tmp_path / "others.zarr")), "test": ["a"]}
    for people_of, status in (({}, 2), ({"people": "another clinic"}, 0)):
        both = json.loads(people("abc", "ef")) | {"o": others | people_of}
        words[words.index("--stores") + 1] = json.dumps(both)
        assert main(["test", *words, "--train", "s", "--validation", "s", "--test", "o"]) == status


def test_a_seed_decides_everything(store: Path, tmp_path: Path) -> None:
    runs = [small_run(store, tmp_path / f"{n}", seed=seed) for n, seed in enumerate((1, 1, 2))]
    for config in runs:
        physkit.fit(config)
    first, second, other = map(losses, runs)
    assert first == second
    assert first != other


def test_training_lowers_the_loss_and_the_heart_rate_error(tmp_path: Path) -> None:
    from stores import add_recording

    store = tmp_path / "s.zarr"
    for number in range(6):
        add_recording(
            store,
            f"{number}",
            subject=str(number),
            rate_bpm=60 + 9 * number,
            size_px=8,
            n_frames=240,
        )
    config = small_run(
        store,
        tmp_path / "run",
        stores=divided(store, train="0235", validation="14"),
        max_steps=20,
        validate_every=10,
        ema_decay=0.8,
        batch_size=4,
        n_frames=128,
    )
    result = physkit.fit(config)
    curve = losses(config)
    assert np.mean(curve[-3:]) < 0.6 * curve[0]
    assert result.validation_mae_bpm < 2
    assert result.best_step in (10, 20)
    # what was validated is what was kept: the file reads the same heart rates
    card, _ = read_weights(result.best)
    assert card.provenance["metrics"]["step"] == result.best_step


def test_best_and_last_are_kept_apart_and_patience_ends_the_run(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = iter([9.0, 4.0, math.nan, 6.0, 5.0])

    def told(*given: Any, **how: Any) -> Any:
        return dataclasses.replace(true(*given, **how), mae_bpm=next(errors))

    from physkit.train import module

    true = module.validation_of
    monkeypatch.setattr(module, "validation_of", told)
    config = small_run(store, tmp_path / "run", max_steps=100, validate_every=1, patience=3)
    result = physkit.fit(config)
    assert (result.n_steps, result.best_step, result.validation_mae_bpm) == (5, 2, 4.0)
    steps = {
        path: read_weights(path)[0].provenance["metrics"]["step"]
        for path in (result.best, result.last)
    }
    assert steps == {result.best: 2, result.last: 5}
    again = physkit.fit(changed(config, resume=True))
    assert dataclasses.replace(again, seconds=0) == dataclasses.replace(result, seconds=0)


def test_a_run_is_never_overwritten_and_goes_on_with_more_steps(
    store: Path, tmp_path: Path
) -> None:
    config = small_run(store, tmp_path / "run")
    physkit.fit(config)
    with pytest.raises(InputError, match=r"holds a run; go on with it by --run\.resume true"):
        physkit.fit(config)
    result = physkit.fit(changed(config, resume=True, max_steps=6))
    assert result.n_steps == 6
    assert len(losses(config)) == 6


def test_time_ends_a_run_too(store: Path, tmp_path: Path) -> None:
    config = small_run(store, tmp_path / "run", max_steps=None, max_minutes=0.5 / 60)
    result = physkit.fit(config)
    assert result.n_steps >= 1
    assert 0.5 <= result.seconds < 30


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_has_nearly_the_loss_of_full(
    precision: Any, store: Path, tmp_path: Path
) -> None:
    plain = small_run(store, tmp_path / "fp32", max_steps=2)
    mixed = small_run(store, tmp_path / precision, max_steps=2, precision=precision)
    for config in (plain, mixed):
        physkit.fit(config)
    assert losses(mixed)[0] == pytest.approx(losses(plain)[0], rel=0.02)
    weights = read_weights(Path(mixed.out) / "last.safetensors")[1]
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


@pytest.fixture
def interrupts() -> Iterator[Handler]:
    """Ctrl-C as Python has it: who starts the tests in the background has had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def undisturbed(store: Path, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """Losses of six steps that nothing interrupts."""
    config = small_run(store, tmp_path_factory.mktemp("undisturbed") / "run", max_steps=6)
    physkit.fit(config)
    return losses(config)


@pytest.mark.parametrize(
    ("number", "presses", "kept"), [("SIGINT", 1, 3), ("SIGINT", 2, 2), ("SIGTERM", 1, 3)]
)
def test_an_interrupted_run_keeps_its_last_step_and_goes_on_later(
    number: str,
    presses: int,
    kept: int,
    store: Path,
    undisturbed: list[float],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interrupts: Handler,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from physkit.losses import mse as true

    calls = iter(range(100))
    loss = true.mse

    def stops(prediction: Tensor, label: Tensor, *, fps: Tensor) -> Tensor:
        if next(calls) == 2:
            for _ in range(presses):
                signal.raise_signal(getattr(signal, number))
        return loss(prediction, label, fps=fps)

    monkeypatch.setattr(true, "mse", stops)
    every = 2 if presses == 2 else 100
    config = small_run(store, tmp_path / "run", max_steps=6, checkpoint_every=every, resume=True)
    state = tmp_path / "run" / "state.ckpt"
    with pytest.raises(KeyboardInterrupt, match=f"step {kept} is kept in {state}; go on by --run"):
        physkit.fit(config)
    assert signal.getsignal(signal.SIGINT) is interrupts
    assert ("Ctrl-C again: at once" in capfd.readouterr().err) == (number == "SIGINT")
    assert read_state(state)["global_step"] == kept
    assert physkit.fit(config).n_steps == 6
    assert losses(config) == undisturbed


def test_recomputing_clips_changes_nothing_of_a_run(store: Path, tmp_path: Path) -> None:
    stored = small_run(store, tmp_path / "stored", max_steps=2)
    recomputed = small_run(store, tmp_path / "recomputed", max_steps=2, checkpoint_frames=32)
    for config in (stored, recomputed):
        physkit.fit(config)
    assert losses(recomputed) == pytest.approx(losses(stored), rel=1e-4)


@pytest.mark.slow
def test_every_logger_gets_figures_and_pictures(store: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = small_run(
        store, tmp_path / "run", max_steps=2, plots=1, loggers=["csv", "tensorboard", "wandb"]
    )
    physkit.fit(config)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    figures = {"loss", "lr", "frames_per_s", "peak_rss_mb", "validation_mae_bpm"}
    assert figures <= set(events.Tags()["scalars"])
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(losses(config))
    assert len(events.Tags()["images"]) == 1
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/files/media/images/**/*.png"))
