"""What a training run is told, and what it hands back. Imports nothing heavy."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from physkit.core.errors import InputError
from physkit.data.windows.config import AugmentConfig, RandomWindowsConfig, WindowSource

LoggerName = Literal["csv", "tensorboard", "wandb"]

_COUNTS = (
    "batch_size",
    "accumulate",
    "max_steps",
    "validate_every",
    "patience",
    "checkpoint_every",
    "checkpoint_frames",
    "log_every",
    "devices",
    "nodes",
    "threads",
)
_POSITIVE = ("validation_window_s", "clip_norm", "max_epochs", "max_minutes", "memory_gb")


@dataclass(frozen=True)
class OptimizerConfig:
    """How gradients become steps."""

    name: str = "adam"
    """adam, adamw, sgd, or a dotted path to a torch optimizer, as package.module:Class."""
    lr: float = 1e-3
    """Largest learning rate; the schedule scales it."""
    weight_decay: float = 0.0
    """Weight decay of the optimizer."""
    options: dict[str, Any] = field(default_factory=dict)
    """Other arguments of the optimizer, as in {momentum: 0.9}."""

    def __post_init__(self) -> None:
        if not (0 < self.lr < math.inf and 0 <= self.weight_decay < math.inf):
            raise InputError(
                f"optimizer: lr is {self.lr} and weight_decay {self.weight_decay}; give a learning "
                "rate above 0 and a decay of 0 or more"
            )


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate over the run, as a share of the largest."""

    name: str = "cosine"
    """constant, cosine (down to the end), or onecycle (up for 30 % of the run, then down)."""
    warmup_steps: int = 0
    """Steps over which the learning rate first rises from nothing."""
    final_share: float = 0.0
    """Share of the learning rate that cosine and onecycle end at."""

    def __post_init__(self) -> None:
        if self.warmup_steps < 0 or not 0 <= self.final_share <= 1:
            raise InputError(
                f"schedule: warmup_steps is {self.warmup_steps} and final_share "
                f"{self.final_share}; give 0 or more, and a share from 0 to 1"
            )


@dataclass(frozen=True)
class FitConfig:
    """Trains one network on windows of some stores, and keeps what reads others best."""

    out: str
    """Folder of the run: best.safetensors, last.safetensors, state.ckpt, logs and plots."""
    train: list[WindowSource]
    """Stores, and the people in them, to train on: [{store: a.zarr, subjects: [s1, s2]}]."""
    validation: list[WindowSource]
    """Stores and people by whose heart rates the best weights are chosen; nobody of train."""
    test: list[WindowSource] = field(default_factory=list)
    """Stores and people for physkit test; nobody of train or validation."""
    model: str = "facephys"
    """Network to train: a name in MODELS."""
    model_config: dict[str, Any] = field(default_factory=dict)
    """Fields of the network's config that differ from its defaults."""
    init_weights: str | None = None
    """Weights file to begin with; by default random weights from the seed. FacePhys takes those of
    crops of another size too: small crops are quick to learn on."""
    losses: dict[str, float] = field(default_factory=lambda: {"mse": 1.0})
    """Losses by name (mse, neg_pearson, spectral), each with its weight."""
    windows: RandomWindowsConfig = field(
        default_factory=lambda: RandomWindowsConfig(augment=AugmentConfig())
    )
    """Windows trained on; `windows.seed` decides which are drawn."""
    validation_window_s: float | None = None
    """Length of validation windows in seconds; by default each unbroken stretch whole."""
    batch_size: int = 4
    """Windows in a batch, over all processes."""
    accumulate: int = 1
    """Batches whose gradients are added up before a step."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """Optimizer and learning rate."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """Learning rate over the run."""
    clip_norm: float | None = 1.0
    """Largest norm of the gradient; null leaves it as it is."""
    max_steps: int | None = None
    """End after so many optimizer steps; of several limits the first ends the run."""
    max_epochs: float | None = None
    """End after so many times as many windows as an epoch has."""
    max_minutes: float | None = None
    """End after so many minutes, those before a resumption included."""
    validate_every: int = 200
    """Optimizer steps between validations; there is one at the end too."""
    patience: int | None = None
    """Validations without a better heart-rate error after which the run ends; null: never."""
    ema_decay: float | None = None
    """Decay a step of the moving average of weights, which is then validated and kept; such as
    0.999; null: none."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """fp32, or mixed precision in bf16 or fp16; recurrences and losses stay in fp32."""
    checkpoint_frames: int | None = None
    """Frames between which the backward pass recomputes instead of storing: less memory, more
    time; null stores all. Networks that cannot do so refuse it."""
    checkpoint_every: int = 50
    """Optimizer steps between states that a killed run resumes from."""
    resume: bool = False
    """Go on with the run in out, exactly; begins one where there is none."""
    seed: int = 0
    """Decides the initial weights, and dropout at each step."""
    loggers: list[LoggerName] = field(default_factory=lambda: ["csv"])
    """Where losses, errors, speed and memory are logged: csv, tensorboard, wandb."""
    wandb_mode: Literal["offline", "online"] = "offline"
    """offline writes W&B's files into out only; online sends them."""
    wandb_project: str = "physkit"
    """Project of the run in W&B."""
    log_every: int = 10
    """Optimizer steps between rows of the log."""
    plots: int = 3
    """Validation clips whose waveforms are drawn at each validation."""
    workers: int = 1
    """Processes that read windows, for each training process; 0 reads in the process itself."""
    threads: int | None = None
    """CPU threads of each training process; by default all cores, shared by the processes."""
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """cpu, gpu, or auto: a GPU where there is one."""
    devices: int = 1
    """Training processes on each node: GPUs, or processes on the CPU."""
    nodes: int = 1
    """Nodes; start this command on each of them by torchrun or SLURM (docs/training.md)."""
    memory_gb: float | None = None
    """Memory that training may take, in GB; by default what is free. More is refused at once."""

    def __post_init__(self) -> None:
        for name in ("out", "train", "validation", "losses"):
            if not getattr(self, name):
                raise InputError(f"--{name}: none given; give at least one")
        if not any((self.max_steps, self.max_epochs, self.max_minutes)):
            raise InputError("no end is set; give --max_steps, --max_epochs or --max_minutes")
        n_processes = self.devices * self.nodes
        if n_processes > 0 and self.batch_size % n_processes:
            raise InputError(
                f"--batch_size {self.batch_size} cannot be shared among {n_processes} processes; "
                f"give {n_processes * -(-self.batch_size // n_processes)}"
            )
        self._check("at least 1", lambda value: value >= 1, _COUNTS)
        self._check("above 0", lambda value: 0 < value < math.inf, _POSITIVE)
        self._check("0 or more", lambda value: value >= 0, ("seed", "workers", "plots"))
        self._check("a share such as 0.999", lambda value: 0 < value < 1, ("ema_decay",))

    def _check(self, wanted: str, holds: Callable[[float], bool], names: tuple[str, ...]) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None and not holds(value):
                raise InputError(f"--{name} {value}: must be {wanted}")


@dataclass(frozen=True)
class FitResult:
    """What a training run made."""

    out: Path
    """Folder of the run."""
    best: Path
    """Weights with the smallest heart-rate error on the validation windows."""
    last: Path
    """Weights after the last step."""
    validation_mae_bpm: float
    """Mean absolute heart-rate error of the best weights; NaN where no rate could be read."""
    best_step: int
    """Optimizer step after which it was reached."""
    n_steps: int
    """Optimizer steps taken, those before a resumption included."""
    loss: float
    """Training loss of the last step."""
    seconds: float
    """Time it took, that before a resumption included."""
    notes: tuple[str, ...] = ()
    """What was left out, or chosen without being asked for."""

    def to_dict(self) -> dict[str, Any]:
        """A JSON object with these names; NaN becomes null."""
        return {
            "out": str(self.out),
            "best": str(self.best),
            "last": str(self.last),
            "validation_mae_bpm": _finite(self.validation_mae_bpm),
            "best_step": self.best_step,
            "n_steps": self.n_steps,
            "loss": _finite(self.loss),
            "seconds": self.seconds,
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """The outcome as a person reads it in a terminal."""
        return [
            f"{self.n_steps} steps in {self.seconds:.0f} s, loss {self.loss:.4f}",
            f"validation MAE {self.validation_mae_bpm:.2f} bpm, after step {self.best_step}",
            *(f"note: {note}" for note in self.notes),
            f"best {self.best}",
            f"last {self.last}",
        ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
