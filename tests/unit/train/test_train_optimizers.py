"""Learning rates are a function of the step; optimizers go by name or path."""

import pytest
import torch
from torch import nn

from physkit.core.errors import InputError, UnknownNameError
from physkit.train.budget import Budget, LearningRate
from physkit.train.optimizers import SCHEDULES, make_optimizer


def rates(name: str, n: int = 100, **changes: float) -> list[float]:
    options = {"final_share": 0.1, "warmup_steps": 0, **changes}
    rate = LearningRate(2.0, SCHEDULES[name], options["final_share"], int(options["warmup_steps"]))
    budget = Budget(max_steps=n)
    return [rate.at(step, budget.progress(step, 0.0)) for step in range(n + 1)]


def test_constant_stays_cosine_falls_and_onecycle_rises_first() -> None:
    assert set(rates("constant")) == {2.0}
    cosine, cycle = rates("cosine"), rates("onecycle")
    assert (cosine[0], cosine[-1]) == (2.0, pytest.approx(0.2))
    assert cosine[50] == pytest.approx(1.1)
    assert cosine == sorted(cosine, reverse=True)
    assert cycle[0] == pytest.approx(2 / 25)
    assert cycle.index(max(cycle)) == 30
    assert (max(cycle), cycle[-1]) == (pytest.approx(2.0), pytest.approx(0.2))


def test_warmup_rises_in_equal_steps() -> None:
    assert rates("constant", warmup_steps=4)[:6] == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]


def test_time_and_steps_both_end_a_run() -> None:
    budget = Budget(max_steps=100, max_seconds=60)
    assert budget.progress(50, 6) == 0.5
    assert budget.progress(10, 45) == 0.75
    assert budget.progress(100, 6) == budget.progress(1, 61) == 1


def test_optimizers_by_name_and_by_path() -> None:
    weights = [nn.Parameter(torch.ones(2))]
    common = {"lr": 0.1, "weight_decay": 0.01}
    sgd = make_optimizer("sgd", weights, **common, options={"momentum": 0.9})
    assert sgd.defaults["momentum"] == 0.9
    other = make_optimizer("torch.optim:RMSprop", weights, **common, options={})
    assert (type(other), other.defaults["weight_decay"]) == (torch.optim.RMSprop, 0.01)
    with pytest.raises(UnknownNameError, match=r"torch\.optim:Nothing"):
        make_optimizer("torch.optim:Nothing", weights, **common, options={})
    with pytest.raises(InputError, match=r"optimizer 'adam': .*momentum"):
        make_optimizer("adam", weights, **common, options={"momentum": 0.9})
