"""What happens between steps: averages, checkpoints, loggers."""

import copy
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from physkit.core.errors import InputError
from physkit.models.facephys.config import FacePhysConfig
from physkit.models.facephys.network import FacePhys
from physkit.train.budget import Budget, RateShare
from physkit.train.callbacks.ema import WeightsAverage
from physkit.train.callbacks.keep import EndOfPatience, KeepWeights
from physkit.train.callbacks.state import WholeFileIO, read_state
from physkit.train.loggers import LogPlace, close_loggers, make_loggers
from physkit.train.module import PulseModule, module_class
from physkit.train.objective import Objective
from physkit.train.optimizers import constant

CONFIG = FacePhysConfig(height=4, width=4, channels=8, n_blocks=1, d_state=4, head_d_state=4)


def no_weights(*_: Any) -> None:
    """Writes nothing."""


def a_module() -> PulseModule:
    return module_class("facephys")(
        FacePhys(CONFIG),
        Objective({"mse": 1.0}),
        make_optimizer=torch.optim.SGD,
        lr=1.0,
        rate_share=RateShare(constant, 0.0),
        budget=Budget(max_steps=9),
    )


def at_step(step: int, **more: Any) -> Any:
    """A trainer that has taken so many steps, as far as callbacks look."""
    place = SimpleNamespace(root_device=torch.device("cpu"))
    return SimpleNamespace(global_step=step, strategy=place, **more)


def fill(module: PulseModule, value: float) -> None:
    with torch.no_grad():
        for parameter in module.net.parameters():
            parameter.fill_(value)


def weight(module: PulseModule) -> float:
    values = {float(value) for p in module.net.parameters() for value in p.detach().flatten()}
    (value,) = values
    return value


def test_the_average_of_weights_is_validated_and_given_back() -> None:
    module, average = a_module(), WeightsAverage(0.5)
    fill(module, 0.0)
    average.setup(at_step(0), module, "fit")
    expected = 0.0
    for step, value in enumerate((1.0, 2.0, 4.0), 1):
        fill(module, value)
        average.on_train_batch_end(at_step(step), module, None, None, 0)
        average.on_train_batch_end(at_step(step), module, None, None, 1)  # no step of its own
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    average.on_validation_epoch_start(at_step(3), module)
    assert weight(module) == pytest.approx(expected)
    average.on_validation_epoch_end(at_step(3), module)
    assert weight(module) == 4.0
    checkpoint: dict[str, Any] = {"state_dict": module.state_dict()}
    average.on_save_checkpoint(at_step(3), module, checkpoint)
    checkpoint = copy.deepcopy(checkpoint)
    other, resumed = a_module(), WeightsAverage(0.5)
    resumed.setup(at_step(0), other, "fit")
    resumed.on_load_checkpoint(at_step(3), other, checkpoint)
    resumed.load_state_dict(average.state_dict())
    assert weight(other) == 4.0
    resumed.on_validation_epoch_start(at_step(3), other)
    assert weight(other) == pytest.approx(expected)


def test_an_average_shares_the_weights_that_are_frozen() -> None:
    module = a_module()
    frozen = module.net.get_parameter("head_out.weight").requires_grad_(False)
    copied = copy.deepcopy(module)
    assert copied.net.get_parameter("head_out.weight") is frozen
    assert copied.net.get_parameter("head_out.bias") is not module.net.get_parameter(
        "head_out.bias"
    )


class Judged(KeepWeights):
    """Keeps nothing but the steps at which it would have."""

    def _save_checkpoint(self, trainer: Any, filepath: str) -> None:
        self.step = trainer.global_step
        self.saved = [*getattr(self, "saved", []), (trainer.global_step, Path(filepath).name)]


def test_a_validation_without_heart_rates_is_never_the_best_of_several(tmp_path: Path) -> None:
    def keep() -> Judged:
        return Judged(tmp_path, "best", monitor="validation_mae_bpm")

    strategy = SimpleNamespace(reduce_boolean_decision=lambda decision, **_: decision)
    best, patience = keep(), EndOfPatience(2)
    for step, mae in enumerate((math.nan, 5.0, math.nan, 5.0)):
        figures = {"validation_mae_bpm": torch.tensor(mae, dtype=torch.float64)}
        trainer: Any = SimpleNamespace(
            global_step=step,
            current_epoch=0,
            strategy=strategy,
            callback_metrics=figures,
            fast_dev_run=False,
            should_stop=False,
        )
        best._save_topk_checkpoint(trainer, best._monitor_candidates(trainer))
        patience._run_early_stopping_check(trainer)
    assert best.saved == [(0, "best.safetensors"), (1, "best.safetensors")]
    assert (best.score, best.step, patience.is_out) == (5.0, 1, True)
    # a run that is resumed, perhaps in another folder and with more patience, knows it still
    resumed, patient = keep(), EndOfPatience(3)
    resumed.dirpath = str(tmp_path / "moved")
    resumed.load_state_dict(best.state_dict())
    patient.load_state_dict(patience.state_dict())
    assert (resumed.score, resumed.step, patient.is_out) == (5.0, 1, False)
    trainer.callback_metrics = {"validation_mae_bpm": torch.tensor(6.0, dtype=torch.float64)}
    resumed._save_topk_checkpoint(trainer, resumed._monitor_candidates(trainer))
    assert not hasattr(resumed, "saved")


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.ckpt"
    WholeFileIO(no_weights).save_checkpoint({"physkit": {"step": 1}}, path)

    def full(_: Any, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(InputError, match=r"state.ckpt: cannot be written \(No space left"):
        WholeFileIO(no_weights).save_checkpoint({"physkit": {"step": 2}}, path)
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
