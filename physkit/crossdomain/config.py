"""What a matrix is made of. Imports nothing heavy."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from physkit.core.errors import InputError
from physkit.core.registry import unknown_name

UNION = "+"
"""Joins the names of data sets that are trained on together."""
DEFAULT_FOLDS = 5
FIXED = ("out", "train", "validation", "resume", "seed")
"""Options of physkit fit that the matrix decides."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class DataSet:
    """A store, and how its people are divided when it is both trained and tested on."""

    store: str
    """Store that physkit prep wrote."""
    split: str = "random"
    """A shipped split (mmpd, pure or ubfc), or random: folds drawn from the names of the people in
    the store."""
    n_folds: int | None = None
    """Folds of a random split; by default 5."""
    split_seed: int | None = None
    """Seed of a random split; by default 0."""
    people: str | None = None
    """Whose people these are. Two stores with one name here are taken to hold the same people where
    subjects are called alike. By default the data set that the store was prepared from; give a
    synthetic store a name of its own where the real one is in the matrix too."""

    def __post_init__(self) -> None:
        if self.split != "random" and (self.n_folds, self.split_seed) != (None, None):
            raise InputError(
                f"data: split '{self.split}' is fixed; n_folds and split_seed are for a random one"
            )


@dataclass(frozen=True)
class CrossdomainConfig:
    """Trains on each data set and tests on each: a matrix of errors, and one report of it."""

    data: dict[str, DataSet]
    """Data sets by a name of your choice; each has store, split, n_folds, split_seed, people."""
    out: str
    """Folder of the matrix; of an earlier run too, which is then completed."""
    train: list[str] = field(default_factory=list)
    """Data sets to train on, one row each; a+b is a row that is trained on both."""
    test: list[str] = field(default_factory=list)
    """Data sets to test on, one column each; by default all."""
    models: list[str] = field(default_factory=list)
    """Rows that need no training: classical methods, networks whose weights were pulled, or weights
    files."""
    fit: dict[str, Any] = field(default_factory=dict)
    """Options of physkit fit for all trainings: network, windows, optimizer, steps. Not out, train,
    validation, resume and seed, which the matrix decides."""
    folds: int | None = None
    """How many folds are trained and tested where people of the trained set are tested; by default
    all of the split, so that everyone is tested."""
    across: Literal["everyone", "fold-0"] = "everyone"
    """What is tested on other data sets: a network trained on everyone, or that of fold 0, which
    saves a training for each row and knows fewer people."""
    protocol: str = "physkit-1"
    """toolbox-2023, toolbox-2024-06, toolbox-2024-12, toolbox-2025-03, physllm or physkit-1."""
    window_s: float | Literal["inf"] | None = None
    """Length of the tested windows in seconds; by default the whole recording, and 30 s every
    second under physkit-1; inf is always the whole recording."""
    hr: Literal["fft", "peak"] = "fft"
    """Heart rate from the spectrum, or from the intervals between peaks."""
    seed: int = 0
    """Seed of every training."""
    chunk_frames: int = 128
    """Frames that a tested model reads at once; changes speed and memory, not the result."""
    threads: int | None = None
    """CPU threads of a tested model; by default half of the cores."""
    device: str = "cpu"
    """Torch device of a tested model: cpu, cuda, cuda:1, ..."""

    def __post_init__(self) -> None:
        self._check_numbers()
        if not self.out:
            raise InputError("--out: empty; name a folder for the matrix")
        if not self.data:
            raise InputError("data: no data sets; name at least one with its store")
        if not (self.train or self.models):
            raise InputError("train: empty, and models too; name what is to be tested")
        for name in FIXED:
            if name in self.fit:
                raise InputError(f"fit: {name} is for the matrix to decide; remove it")
        for name in ("devices", "nodes"):
            if self.fit.get(name, 1) != 1:
                raise InputError(
                    f"fit: {name} {self.fit[name]}: a matrix trains in one process; leave it out, "
                    "or give each of several matrices a device and an --out of its own"
                )
        self._check_names()

    def _check_names(self) -> None:
        for name in self.data:
            if not _NAME.fullmatch(name):
                raise InputError(
                    f"data: '{name}' cannot be a name; use letters, digits, '.', '_' and '-'"
                )
        for name in [part for row in self.train for part in members(row)] + self.test:
            if name not in self.data:
                raise unknown_name("data set", name, self.data)
        self._check_rows()

    def _check_rows(self) -> None:
        for option in ("train", "test", "models"):
            names = getattr(self, option)
            for name in names:
                if names.count(name) > 1:
                    raise InputError(f"{option}: '{name}' is listed twice")
        for model in self.models:
            if model in self.train:
                raise InputError(f"models: '{model}' is a data set too; call that otherwise")
        for row in self.train:
            if len(set(members(row))) < len(members(row)):
                raise InputError(f"train: '{row}' names a data set twice")

    def _check_numbers(self) -> None:
        if self.folds is not None and self.folds < 1:
            raise InputError(f"--folds {self.folds}: must be at least 1")
        if self.seed < 0:
            raise InputError(f"--seed {self.seed}: must be 0 or more")
        if self.chunk_frames < 1:
            raise InputError(f"--chunk_frames {self.chunk_frames}: must be at least 1")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"--threads {self.threads}: must be at least 1")

    @property
    def tested(self) -> tuple[str, ...]:
        """The columns."""
        return tuple(self.test or self.data)


def members(row: str) -> tuple[str, ...]:
    """The data sets that a row is trained on."""
    return tuple(row.split(UNION))
