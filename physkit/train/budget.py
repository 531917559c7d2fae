"""How long a run goes on, and the learning rate on the way."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True)
class Budget:
    """Steps, seconds or both; what is used up first ends the run."""

    max_steps: int | None = None
    """Optimizer steps; None: any number."""
    max_seconds: float | None = None
    """Seconds, those before a resumption included; None: any number."""

    def progress(self, step: int, elapsed_s: float) -> float:
        """Share of the run that is done after `step` steps and `elapsed_s` seconds, 0 to 1."""
        by_steps = step / self.max_steps if self.max_steps else 0.0
        by_time = elapsed_s / self.max_seconds if self.max_seconds else 0.0
        return min(1.0, max(by_steps, by_time))


@dataclass(frozen=True)
class RateShare:
    """The share of its learning rate that a step takes, the same in all parameter groups."""

    schedule: Callable[..., float]
    """A function of SCHEDULES."""
    final_share: float
    """Share of the learning rate at the end."""
    warmup_steps: int = 0
    """Steps over which it first rises linearly."""

    def at(self, step: int, progress: float) -> float:
        """Share for the step after `step` others, at that share of the run."""
        warmth = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        share = warmth * self.schedule(progress, final_share=self.final_share)
        return share if math.isfinite(share) else 0.0


class BudgetLR(LambdaLR):
    """LambdaLR that goes on by the budget which the run has now.

    LambdaLR's own first step after a resumption is at the rate that the budget before it gave.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the step, and the rate of that step anew."""
        super().load_state_dict(state_dict)
        rates = [base * self.lr_lambdas[0](self.last_epoch) for base in self.base_lrs]
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._last_lr = rates
