"""Blocks of configuration that every training shares. Imports nothing heavy."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from physkit.core.config import END, FLAG_ONLY, NO_EFFECT
from physkit.core.errors import InputError
from physkit.core.registry import unknown_name
from physkit.losses import LOSSES
from physkit.train import SCHEDULES

LoggerName = Literal["csv", "tensorboard", "wandb"]


def check_number(name: str, value: float | None, wanted: str, *, holds: bool) -> None:
    """Raises InputError unless `value` is None, or `holds`. wanted: what it must be, in words."""
    if value is not None and not holds:
        raise InputError(f"--{name} {value}: must be {wanted}")


def check_counts(block: str, values: Mapping[str, int | None]) -> None:
    """Raises InputError for a count under 1."""
    for name, value in values.items():
        check_number(f"{block}.{name}", value, "at least 1", holds=value is None or value >= 1)


def check_positive(block: str, values: Mapping[str, float | None]) -> None:
    """Raises InputError for a number that is not above 0, or not finite."""
    for name, value in values.items():
        holds = value is None or 0 < value < math.inf
        check_number(f"{block}.{name}", value, "above 0", holds=holds)


@dataclass(frozen=True)
class OptimConfig:
    """How gradients become steps: losses, optimizer, and the learning rate over the run."""

    optimizer: str = "adam"
    """Optimizer: {registry optimizer}, or the name of an installed plugin (see run.plugins)."""
    lr: float = 1e-3
    """Largest learning rate; the schedule scales it."""
    weight_decay: float = 0.0
    """Weight decay of the optimizer."""
    betas: tuple[float, float] | None = None
    """Averaging of gradients and of their squares in adam and adamw; null: torch's own."""
    momentum: float | None = None
    """Momentum of sgd; null: none."""
    schedule: str = "cosine"
    """Learning rate over the run: {registry schedule}. cosine goes down to the end; onecycle goes
    up for 30 % of the run, then down."""
    warmup_steps: int = 0
    """Steps over which the learning rate first rises from nothing."""
    final_share: float = 0.0
    """Share of the learning rate that cosine and onecycle end at."""
    losses: dict[str, float] = field(default_factory=lambda: {"mse": 1.0})
    """Losses by name, each with its weight: {registry loss}."""
    clip_norm: float | None = 1.0
    """Largest norm of the gradient; null leaves it as it is."""
    accumulate: int = 1
    """Batches whose gradients are added up before a step."""
    ema_decay: float | None = None
    """Decay a step of the moving average of weights, which is then validated and kept; such as
    0.999; null: none."""

    def __post_init__(self) -> None:
        if not self.losses:
            raise InputError("--optim.losses: none given; give at least one")
        for name in self.losses:
            if name not in LOSSES:
                raise unknown_name("loss", name, LOSSES)
        if self.schedule not in SCHEDULES:
            raise unknown_name("schedule", self.schedule, SCHEDULES)
        if not (0 < self.lr < math.inf and 0 <= self.weight_decay < math.inf):
            raise InputError(
                f"optim: lr is {self.lr} and weight_decay {self.weight_decay}; give a learning "
                "rate above 0 and a decay of 0 or more"
            )
        if self.warmup_steps < 0 or not 0 <= self.final_share <= 1:
            raise InputError(
                f"optim: warmup_steps is {self.warmup_steps} and final_share {self.final_share}; "
                "give 0 or more, and a share from 0 to 1"
            )
        check_counts("optim", {"accumulate": self.accumulate})
        check_positive("optim", {"clip_norm": self.clip_norm})
        share = self.ema_decay
        holds = share is None or 0 < share < 1
        check_number("optim.ema_decay", share, "a share such as 0.999", holds=holds)


@dataclass(frozen=True)
class TrainerConfig:
    """How steps are computed, on what, and how many there are."""

    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """fp32, or mixed precision in bf16 or fp16; recurrences and losses stay in fp32."""
    validate_every: int = 200
    """Optimizer steps between validations; there is one at the end too."""
    checkpoint_frames: int | None = None
    """Frames between which the backward pass recomputes instead of storing: less memory, more
    time; null stores all. Networks that cannot do so refuse it."""
    max_steps: int | None = field(default=None, metadata=END)
    """End after so many optimizer steps; of several limits the first ends the run."""
    max_epochs: float | None = field(default=None, metadata=END)
    """End after so many times as many windows as an epoch has."""
    max_minutes: float | None = field(default=None, metadata=END)
    """End after so many minutes, those before a resumption included."""
    patience: int | None = field(default=None, metadata=END)
    """Validations without a better heart-rate error after which the run ends; null: never."""
    accelerator: Literal["auto", "cpu", "gpu"] = field(default="auto", metadata=NO_EFFECT)
    """cpu, gpu, or auto: a GPU where there is one."""
    devices: int = field(default=1, metadata=NO_EFFECT)
    """Training processes on each node: GPUs, or processes on the CPU."""
    nodes: int = field(default=1, metadata=NO_EFFECT)
    """Nodes; start this command on each of them by torchrun or SLURM (docs/training.md)."""
    strategy: Literal["auto", "ddp", "fsdp"] = field(default="auto", metadata=NO_EFFECT)
    """How processes share a training: auto (ddp where there are several), ddp (each holds the whole
    network), or fsdp (each holds a part of it; GPUs only)."""

    def __post_init__(self) -> None:
        names = ("validate_every", "checkpoint_frames", "max_steps", "patience", "devices", "nodes")
        check_counts("trainer", {name: getattr(self, name) for name in names})
        check_positive("trainer", {n: getattr(self, n) for n in ("max_epochs", "max_minutes")})

    def check_end(self) -> None:
        """Raises InputError where nothing ends the run."""
        if not any((self.max_steps, self.max_epochs, self.max_minutes)):
            raise InputError(
                "trainer: no end is set; give --trainer.max_steps, --trainer.max_epochs or "
                "--trainer.max_minutes"
            )

    @property
    def n_processes(self) -> int:
        """Training processes on all nodes together."""
        return self.devices * self.nodes


@dataclass(frozen=True)
class RunConfig:
    """How a run is carried out and logged: nothing here changes the weights that come out."""

    resume: bool = False
    """Go on with the run in out, exactly; begins one where there is none."""
    checkpoint_every: int = 50
    """Optimizer steps between states that a killed run resumes from."""
    loggers: list[LoggerName] = field(default_factory=lambda: ["csv"])
    """Where losses, errors, speed and memory are logged: {registry logger}."""
    log_every: int = 10
    """Optimizer steps between rows of the log."""
    wandb_mode: Literal["offline", "online"] = "offline"
    """offline writes W&B's files into out only; online sends them."""
    wandb_project: str = "physkit"
    """Project of the run in W&B."""
    plots: int = 3
    """Validation clips whose waveforms are drawn at each validation."""
    workers: int = 1
    """Processes that read windows, for each training process; 0 reads in the process itself."""
    threads: int | None = None
    """CPU threads of each training process; by default all cores, shared by the processes."""
    memory_gb: float | None = None
    """Memory that training may take, in GB; by default what is free. More is refused at once."""
    plugins: bool = field(default=False, metadata={FLAG_ONLY: "true"})
    """Allow optimizers of installed packages, by their names in the entry points
    physkit.optimizers. Only as a flag of the command line: a file cannot allow them."""

    def __post_init__(self) -> None:
        names = ("checkpoint_every", "log_every", "threads")
        check_counts("run", {name: getattr(self, name) for name in names})
        check_positive("run", {"memory_gb": self.memory_gb})
        for name in ("workers", "plots"):
            value = getattr(self, name)
            check_number(f"run.{name}", value, "0 or more", holds=value >= 0)
