"""The trainings of a matrix: each in a folder of its own, and never done twice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from physkit.core.config import decisive
from physkit.core.errors import InputError
from physkit.crossdomain.config import CrossdomainConfig
from physkit.crossdomain.finished import content_key, read_note, write_note
from physkit.crossdomain.plan import Part, Training
from physkit.data.people import People
from physkit.data.splits import StoreConfig
from physkit.train.run.config import FitConfig

VERSION = 1
"""Rises whenever the same settings and data would give another network."""


@dataclass(frozen=True)
class Trained:
    """A network of the matrix, ready to be tested."""

    name: str
    """Its training."""
    weights: Path
    """Those with the smallest heart-rate error on the people who validate."""
    sha256: str
    """Checksum of the weights file."""
    validation_mae_bpm: float
    """That error; NaN where no rate could be read."""
    n_steps: int
    """Optimizer steps."""
    seconds: float
    """Time it took."""
    n_trained: int
    """People trained on."""
    n_validated: int
    """People who validate."""
    notes: tuple[str, ...]
    """What the training had to say."""
    left_out: tuple[str, ...]
    """Recordings that it could not read; one sentence each."""
    is_new: bool
    """Whether this run trained it."""


def config_of(
    training: Training, config: CrossdomainConfig, data: Mapping[str, People], out: Path
) -> FitConfig:
    """What a training is told. Raises InputError for weights to begin with that are not there."""
    stores = {
        part.data: StoreConfig(
            data[part.data].config.store,
            people=part.population,
            train=_subjects(training.train, part.data),
            validation=_subjects(training.validation, part.data),
        )
        for part in (*training.train, *training.validation)
    }
    options = FitConfig(
        out="unnamed",
        stores=stores,
        train=[part.data for part in training.train],
        validation=[part.data for part in training.validation],
        model=config.model,
        init_weights=config.init_weights,
        data=config.data,
        optim=config.optim,
        trainer=config.trainer,
        run=replace(config.run, resume=True),
        seed=config.seed,
        score=config.score,
    )
    key = _key(training, options, data)
    return replace(options, out=str(out / "trainings" / f"{training.name}-{key}"))


def _subjects(parts: Sequence[Part], data: str) -> tuple[str, ...]:
    return tuple(subject for part in parts if part.data == data for subject in part.subjects)


def train(training: Training, config: FitConfig, *, progress: bool) -> Trained:
    """Trains a network, or finishes what was begun, or finds it finished.

    Raises PhyskitError as the training does.
    """
    folder = Path(config.out)
    note = read_note(folder)
    is_new = note is None
    if note is None:
        from physkit.train.run.fit import fit
        from physkit.weights.file import sha256

        result = fit(config, progress=progress)
        mae_bpm = result.validation_mae_bpm
        note = {
            "weights": str(result.best.relative_to(folder)),
            "sha256": sha256(result.best),
            "validation_mae_bpm": mae_bpm if math.isfinite(mae_bpm) else None,
            "n_steps": result.n_steps,
            "seconds": result.seconds,
            "notes": list(result.notes),
            "left_out": list(result.left_out),
        }
        write_note(folder, note)
    mae_bpm = note["validation_mae_bpm"]
    return Trained(
        name=training.name,
        weights=folder / note["weights"],
        sha256=note["sha256"],
        validation_mae_bpm=math.nan if mae_bpm is None else mae_bpm,
        n_steps=note["n_steps"],
        seconds=note["seconds"],
        n_trained=sum(len(part.subjects) for part in training.train),
        n_validated=sum(len(part.subjects) for part in training.validation),
        notes=tuple(note["notes"]),
        left_out=tuple(note.get("left_out", ())),
        is_new=is_new,
    )


def _key(training: Training, config: FitConfig, data: Mapping[str, People]) -> str:
    from physkit.weights.file import sha256

    settings = decisive(config)
    if config.init_weights is not None:
        try:
            settings["init_weights"] = sha256(Path(config.init_weights))
        except OSError as error:
            raise InputError(
                f"init_weights {config.init_weights}: {error.strerror}; check the path"
            ) from error
    return content_key(
        {
            "version": VERSION,
            "settings": settings,
            "train": _contents(training.train, data),
            "validation": _contents(training.validation, data),
        }
    )


def _contents(parts: tuple[Part, ...], data: Mapping[str, People]) -> list[Any]:
    """Who, and a checksum of their recordings; wherever the store lies."""
    return [[list(part.subjects), data[part.data].checksum(part.subjects)] for part in parts]
