"""Learning rates are a function of the step, in every parameter group; optimizers go by name."""

import pytest
import torch
from torch import nn

from physkit.core.errors import InputError, UnknownNameError
from physkit.train import SCHEDULES
from physkit.train.budget import Budget, BudgetLR, RateShare
from physkit.train.config import OptimConfig
from physkit.train.optimizers import make_optimizer


def rates(name: str, n: int = 100, **changes: float) -> list[float]:
    options = {"final_share": 0.1, "warmup_steps": 0, **changes}
    share = RateShare(SCHEDULES[name], options["final_share"], int(options["warmup_steps"]))
    budget = Budget(max_steps=n)
    return [2.0 * share.at(step, budget.progress(step, 0.0)) for step in range(n + 1)]


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


def test_groups_keep_their_ratio_and_a_resumed_schedule_goes_by_the_new_budget() -> None:
    share = RateShare(SCHEDULES["cosine"], 0.0)

    def scheduled(max_steps: int) -> BudgetLR:
        groups = [{"params": [nn.Parameter(torch.ones(2))], "lr": lr} for lr in (1.0, 0.2)]
        budget = Budget(max_steps=max_steps)
        optimizer = torch.optim.SGD(groups)
        return BudgetLR(optimizer, lambda step: share.at(step, budget.progress(step, 0.0)))

    def now(schedule: BudgetLR) -> list[float]:
        return [group["lr"] for group in schedule.optimizer.param_groups]

    ended, longer = scheduled(4), scheduled(8)
    for _ in range(4):
        ended.optimizer.step()
        ended.step()
    assert now(ended) == [0.0, 0.0]
    longer.load_state_dict(ended.state_dict())
    assert now(longer) == [pytest.approx(0.5), pytest.approx(0.1)]
    longer.optimizer.step()
    longer.step()
    expected = share.at(5, 5 / 8)
    assert now(longer) == [pytest.approx(expected), pytest.approx(0.2 * expected)]


def test_optimizers_by_name() -> None:
    weights = [nn.Parameter(torch.ones(2))]
    sgd = make_optimizer(OptimConfig("sgd", 0.1, 0.01, momentum=0.9), weights)
    assert (sgd.defaults["momentum"], sgd.defaults["weight_decay"]) == (0.9, 0.01)
    with pytest.raises(UnknownNameError, match="did you mean 'adam'"):
        make_optimizer(OptimConfig("adan"), weights)
    with pytest.raises(UnknownNameError, match=r"torch\.optim:RMSprop"):
        make_optimizer(OptimConfig("torch.optim:RMSprop"), weights, plugins=True)
    with pytest.raises(InputError, match=r"optimizer 'adam': .*momentum"):
        make_optimizer(OptimConfig("adam", momentum=0.9), weights)
