"""How long a run goes on, and the learning rate on the way."""

import math
from collections.abc import Callable
from dataclasses import dataclass


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
class LearningRate:
    """The learning rate of each step."""

    largest: float
    """Learning rate that the schedule scales."""
    schedule: Callable[..., float]
    """A function of SCHEDULES."""
    final_share: float
    """Share of the learning rate at the end."""
    warmup_steps: int = 0
    """Steps over which it first rises linearly."""

    def at(self, step: int, progress: float) -> float:
        """Learning rate of the step after `step` others, at that share of the run."""
        warmth = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        rate = self.largest * warmth * self.schedule(progress, final_share=self.final_share)
        return rate if math.isfinite(rate) else 0.0
