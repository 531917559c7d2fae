"""What happens between steps: averages, checkpoints, loggers."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import Tensor, nn

from physkit.core.errors import InputError
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.train.budget import Budget, LearningRate
from physkit.train.callbacks.ema import WeightsAverage
from physkit.train.callbacks.keep import KeepWeights
from physkit.train.callbacks.state import WholeFileIO, read_state
from physkit.train.loggers import LogPlace, close_loggers, make_loggers
from physkit.train.module import PulseTraining
from physkit.train.objective import Objective
from physkit.train.optimizers import constant, make_optimizer

CONFIG = FacePhysConfig(height=4, width=4, channels=8, n_blocks=1, d_state=4, head_d_state=4)
TRAINER: Any = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", devices=1)


class Stepped(PulseTraining):
    """A training whose every batch makes a step."""

    has_stepped = True  # type: ignore[assignment]


def a_module() -> Stepped:
    return Stepped(
        FacePhys(CONFIG),
        Objective({"mse": 1.0}),
        make_optimizer=lambda p: make_optimizer("sgd", p, lr=1.0, weight_decay=0.0, options={}),
        learning_rate=LearningRate(1.0, constant, 0.0),
        budget=Budget(max_steps=9),
    )


def fill(module: Stepped, value: float) -> None:
    with torch.no_grad():
        for parameter in module.net.parameters():
            parameter.fill_(value)


def weight(module: Stepped) -> float:
    values = {float(value) for p in module.net.parameters() for value in p.detach().flatten()}
    (value,) = values
    return value


def test_the_average_of_weights_is_validated_and_given_back() -> None:
    module, average = a_module(), WeightsAverage(0.5)
    fill(module, 0.0)
    average.on_fit_start(TRAINER, module)
    expected = 0.0
    for step, value in enumerate((1.0, 2.0, 4.0), 1):
        fill(module, value)
        average.on_train_batch_end(TRAINER, module, None, None, 0)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    average.on_validation_start(TRAINER, module)
    assert weight(module) == pytest.approx(expected)
    average.on_validation_end(TRAINER, module)
    assert weight(module) == 4.0
    resumed = WeightsAverage(0.5)
    resumed.load_state_dict(average.state_dict())
    resumed.on_fit_start(TRAINER, module)
    resumed.on_validation_start(TRAINER, module)
    assert weight(module) == pytest.approx(expected)


def test_a_validation_without_heart_rates_is_never_the_best_of_several(tmp_path: Path) -> None:
    keep = KeepWeights(tmp_path, lambda *_: None, patience=2)
    judged = [keep._judge(mae, step) for step, mae in enumerate((math.nan, 5.0, math.nan, 5.0))]
    assert judged == [True, True, False, False]
    assert (keep.best_mae_bpm, keep.best_step, keep.is_out_of_patience) == (5.0, 1, True)


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.ckpt"
    WholeFileIO().save_checkpoint({"physkit": {"step": 1}}, path)

    def full(_: Any, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(InputError, match=r"state.ckpt: cannot be written \(No space left"):
        WholeFileIO().save_checkpoint({"physkit": {"step": 2}}, path)
    assert read_state(path) == {"physkit": {"step": 1}}
    assert [file.name for file in tmp_path.iterdir()] == ["state.ckpt"]


def test_a_checkpoint_that_would_run_code_is_not_opened(tmp_path: Path) -> None:
    torch.save({"physkit": nn.Linear(1, 1)}, tmp_path / "state.ckpt")
    with pytest.raises(InputError, match="not the state of a run, or damaged"):
        read_state(tmp_path / "state.ckpt")


def test_every_loss_is_weighted() -> None:
    g = torch.Generator().manual_seed(0)
    prediction, label = torch.randn(2, 3, 90, generator=g)
    fps = torch.full((3,), 30.0)

    def value(**weights: float) -> Tensor:
        return Objective(weights)(prediction, label, fps=fps)

    both = value(mse=2.0, neg_pearson=0.5)
    torch.testing.assert_close(both, 2 * value(mse=1.0) + 0.5 * value(neg_pearson=1.0))


@pytest.mark.slow
def test_loggers_write_where_they_say_and_wandb_sends_nothing(tmp_path: Path) -> None:
    for name in ("first", "second"):  # one process may train many networks
        folder = tmp_path / name
        folder.mkdir()
        loggers = make_loggers(["csv", "tensorboard", "wandb"], LogPlace(folder, name))
        try:
            for logger in loggers:
                logger.log_metrics({"loss": 0.5}, step=1)
        finally:
            close_loggers(loggers)
        assert (folder / "metrics.csv").read_text().splitlines()[1].startswith("1,0.5")
        assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
        assert list((folder / "wandb").glob(f"offline-run-*-{name}/*.wandb"))
