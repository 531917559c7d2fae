"""What a training run is told, and what it hands back. Imports nothing heavy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from physkit.core.config import NO_EFFECT, Names
from physkit.core.errors import InputError
from physkit.core.registry import unknown_name
from physkit.data.splits import StoreConfig
from physkit.data.windows.config import DataConfig
from physkit.evaluate.config import ScoreConfig
from physkit.models.facephys.config import FacePhysConfig
from physkit.nn.config import ModelConfig
from physkit.train.config import OptimConfig, RunConfig, TrainerConfig

VERSION = 1
"""Rises when a config of this version could no longer be read as it was meant."""
MOVED = {
    "model_config": "model",
    "windows": "data",
    "batch_size": "data.batch_size",
    "validation_window_s": "data.validation_window_s",
    "optimizer": "optim.optimizer, optim.lr, optim.weight_decay",
    "schedule": "optim.schedule, optim.warmup_steps, optim.final_share",
    "protocol": "score.protocol",
    "window_s": "score.window_s",
    "hr": "score.hr",
    **{name: f"optim.{name}" for name in ("losses", "clip_norm", "accumulate", "ema_decay")},
    **{
        name: f"trainer.{name}"
        for name in (
            *("precision", "validate_every", "checkpoint_frames", "max_steps", "max_epochs"),
            *("max_minutes", "patience", "accelerator", "devices", "nodes"),
        )
    },
    **{
        name: f"run.{name}"
        for name in (
            *("resume", "checkpoint_every", "loggers", "log_every", "wandb_mode"),
            *("wandb_project", "plots", "workers", "threads", "memory_gb"),
        )
    },
}
"""Where keys of configs from before version 1 are now."""


@dataclass(frozen=True)
class FitConfig:
    """Trains one network on windows of some stores, and keeps the weights that read others best."""

    out: str = field(metadata=NO_EFFECT)
    """Folder of the run: config.yaml, best.safetensors, last.safetensors, state.ckpt, logs and
    plots."""
    stores: dict[str, StoreConfig] = field(metadata=NO_EFFECT)
    """Stores by a name of your choice: {ubfc: {store: ubfc.zarr, split: ubfc}}. A store that is
    used for one purpose alone gives everyone in it; a store that is used for several is divided by
    its split, or by its lists of people."""
    train: Names = field(default_factory=list, metadata=NO_EFFECT)
    """Names of the stores to train on; by default all."""
    validation: Names = field(default_factory=list, metadata=NO_EFFECT)
    """Names of the stores by whose heart rates the best weights are chosen; by default those of
    train."""
    test: Names = field(default_factory=list, metadata=NO_EFFECT)
    """Names of the stores for physkit test; by default those of train, where validation is not
    given either."""
    model: ModelConfig = field(default_factory=FacePhysConfig)
    """Network to train, and its size: a piece of configs/model, or the class of its config."""
    init_weights: str | None = field(default=None, metadata=NO_EFFECT)
    """Weights file to begin with; by default random weights from the seed. FacePhys takes those of
    crops of another size too: small crops are quick to learn on."""
    data: DataConfig = field(default_factory=DataConfig)
    """Windows, their variation, and batches."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Losses, optimizer and learning rate."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """Precision, limits and processes."""
    seed: int = 0
    """Decides the initial weights, dropout at each step and, unless data.seed does, the windows."""
    score: ScoreConfig = field(default_factory=ScoreConfig, metadata=NO_EFFECT)
    """How physkit validate and physkit test score."""
    run: RunConfig = field(default_factory=RunConfig, metadata=NO_EFFECT)
    """Resumption, loggers, workers: what never changes the weights."""
    version: int = field(default=VERSION, metadata=NO_EFFECT)
    """Version of this config's layout."""

    def __post_init__(self) -> None:
        if not self.out:
            raise InputError("--out: empty; name a folder for the run")
        if not self.stores:
            raise InputError("--stores: none given; give at least one")
        if self.version > VERSION:
            raise InputError(f"version {self.version}: of a newer physkit; update this one")
        if self.seed < 0:
            raise InputError(f"--seed {self.seed}: must be 0 or more")
        for purpose in ("train", "validation", "test"):
            for name in getattr(self, purpose):
                if name not in self.stores:
                    raise unknown_name(f"store in {purpose}", name, self.stores)
        self.trainer.check_end()
        n_processes = self.trainer.n_processes
        if self.data.batch_size % n_processes:
            raise InputError(
                f"--data.batch_size {self.data.batch_size} cannot be shared among {n_processes} "
                f"processes; give {n_processes * -(-self.data.batch_size // n_processes)}"
            )

    @property
    def purposes(self) -> Mapping[str, Sequence[str]]:
        """Names of the stores to train on, to validate and to test by, defaults filled in."""
        train = self.train or list(self.stores)
        validation = self.validation or train
        test = self.test or ([] if self.validation else train)
        return {"train": train, "validation": validation, "test": test}

    @property
    def populations(self) -> Mapping[str, str]:
        """By a store's address, whose people it holds, where that is not its data set."""
        return {store.store: store.people for store in self.stores.values() if store.people}


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
    """What was chosen without being asked for, and who is not there or too short to train on."""
    left_out: tuple[str, ...] = ()
    """Recordings that could not be read, with the cause; one sentence each."""

    @property
    def exit_status(self) -> int:
        """0 only when every recording could be read."""
        return 1 if self.left_out else 0

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
            "left_out": list(self.left_out),
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """The outcome as a person reads it in a terminal."""
        return [
            f"{self.n_steps} steps in {self.seconds:.0f} s, loss {self.loss:.4f}",
            f"validation MAE {self.validation_mae_bpm:.2f} bpm, after step {self.best_step}",
            *(f"left out: {cause}" for cause in self.left_out),
            *(f"note: {note}" for note in self.notes),
            f"best {self.best}",
            f"last {self.last}",
        ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
