"""What a matrix is made of. Imports nothing heavy."""

import re
from dataclasses import dataclass, field
from typing import Literal

from physkit.core.config import Names
from physkit.core.errors import InputError
from physkit.core.registry import unknown_name
from physkit.data.splits import StoreConfig
from physkit.data.windows.config import DataConfig
from physkit.evaluate.config import ScoreConfig
from physkit.models.facephys.config import FacePhysConfig
from physkit.nn.config import ModelConfig
from physkit.runtime.config import ComputeConfig
from physkit.train.config import OptimConfig, RunConfig, TrainerConfig

UNION = "+"
"""Joins the names of stores that are trained on together."""
MOVED = {
    "fit": "model, data, optim, trainer and run",
    "protocol": "score.protocol",
    "window_s": "score.window_s",
    "hr": "score.hr",
    "chunk_frames": "compute.chunk_frames",
    "threads": "compute.threads",
    "device": "compute.device",
}
"""Where keys of configs from before version 1 are now."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class CrossdomainConfig:
    """Trains on each data set and tests on each: a matrix of errors, and one report of it."""

    out: str
    """Folder of the matrix; of an earlier run too, which is then completed."""
    stores: dict[str, StoreConfig]
    """Stores by a name of your choice: {ubfc: {store: ubfc.zarr, split: ubfc}}."""
    train: Names = field(default_factory=list)
    """Stores to train on, one row each; a+b is a row that is trained on both."""
    test: Names = field(default_factory=list)
    """Stores to test on, one column each; by default all."""
    models: Names = field(default_factory=list)
    """Rows that need no training: classical methods, networks whose weights were pulled, or weights
    files."""
    model: ModelConfig = field(default_factory=FacePhysConfig)
    """Network to train, and its size: a piece of configs/model, or the class of its config."""
    init_weights: str | None = None
    """Weights file that every training begins with; by default random weights from the seed."""
    data: DataConfig = field(default_factory=DataConfig)
    """Windows, their variation, and batches."""
    optim: OptimConfig = field(default_factory=OptimConfig)
    """Losses, optimizer and learning rate."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """Precision and limits of each training."""
    run: RunConfig = field(default_factory=RunConfig)
    """Loggers, workers and states of each training."""
    folds: int | None = None
    """How many folds are trained and tested where people of the trained set are tested; by default
    all of the split, so that everyone is tested."""
    across: Literal["everyone", "fold-0"] = "everyone"
    """What is tested on other data sets: a network trained on everyone, or that of fold 0, which
    saves a training for each row and knows fewer people."""
    score: ScoreConfig = field(default_factory=ScoreConfig)
    """How every cell is scored."""
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    """What a tested model runs on."""
    seed: int = 0
    """Seed of every training."""

    def __post_init__(self) -> None:
        if self.folds is not None and self.folds < 1:
            raise InputError(f"--folds {self.folds}: must be at least 1")
        if self.seed < 0:
            raise InputError(f"--seed {self.seed}: must be 0 or more")
        if not self.out:
            raise InputError("--out: empty; name a folder for the matrix")
        if not self.stores:
            raise InputError("stores: none given; name at least one")
        if not (self.train or self.models):
            raise InputError("train: empty, and models too; name what is to be tested")
        if self.train:
            self.trainer.check_end()
        if self.trainer.n_processes != 1:
            raise InputError(
                f"trainer: {self.trainer.n_processes} processes: a matrix trains in one process; "
                "leave devices and nodes out, or give each of several matrices a device and an "
                "--out of its own"
            )
        self._check_names()

    def _check_names(self) -> None:
        for name, store in self.stores.items():
            if not _NAME.fullmatch(name):
                raise InputError(
                    f"stores: '{name}' cannot be a name; use letters, digits, '.', '_' and '-'"
                )
            if store.has_lists or store.fold is not None:
                raise InputError(
                    f"stores: {name}: a matrix goes through all folds of a split; leave fold and "
                    "lists of people out"
                )
        for name in [part for row in self.train for part in members(row)] + list(self.test):
            if name not in self.stores:
                raise unknown_name("store", name, self.stores)
        self._check_rows()

    def _check_rows(self) -> None:
        for option in ("train", "test", "models"):
            names = getattr(self, option)
            for name in names:
                if names.count(name) > 1:
                    raise InputError(f"{option}: '{name}' is listed twice")
        for model in self.models:
            if model in self.train:
                raise InputError(f"models: '{model}' is a store too; call that otherwise")
        for row in self.train:
            if len(set(members(row))) < len(members(row)):
                raise InputError(f"train: '{row}' names a store twice")

    @property
    def tested(self) -> tuple[str, ...]:
        """The columns."""
        return tuple(self.test or self.stores)


def members(row: str) -> tuple[str, ...]:
    """The stores that a row is trained on."""
    return tuple(row.split(UNION))
