"""The cells of a matrix: each in a folder of its own, and never done twice."""

import json
import math
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from physkit.core.errors import InputError
from physkit.core.naming import natural_order
from physkit.crossdomain.config import CrossdomainConfig
from physkit.crossdomain.finished import content_key, read_note, write_note
from physkit.crossdomain.plan import Cell, Reading
from physkit.data.people import People
from physkit.evaluate.metrics import Estimate, Metrics
from physkit.evaluate.predictions import (
    LeftOut,
    PredictedRecording,
    Sources,
    with_even_conditions,
    write_predictions,
)
from physkit.evaluate.scoring import score
from physkit.inference.evaluation import sources_of
from physkit.inference.inference import choose_model, known_people
from physkit.inference.recordings import predict_recordings, readable_recordings
from physkit.weights.file import sha256
from physkit.weights.manifest import weights_at_hand

VERSION = 2
"""Rises whenever the same network and data would give another cell."""


@dataclass(frozen=True)
class Network:
    """What reads the pulse in a cell."""

    model: str
    """Name in MODELS, or auto for that of the weights."""
    weights: Path | None
    """Its weights file; None for a classical method."""
    key: str
    """Of what decides the weights."""


@dataclass(frozen=True, eq=False)
class Figures:
    """What a finished cell's files say."""

    settings: Mapping[str, Any]
    """Settings of the protocol."""
    versions: Mapping[str, str]
    """Versions of what scored it."""
    predictions_sha256: str
    """Checksum of its predictions."""
    n_recordings: int
    """Recordings read."""
    n_subjects: int
    """People they are of."""
    n_windows: int
    """Windows scored."""
    n_windows_with_rate: int
    """Windows in which both heart rates exist."""
    metrics: Metrics
    """The six aggregates with their errors."""
    conditions: tuple[Mapping[str, Any], ...]
    """Errors by condition, as in metrics.json."""
    subjects: Mapping[str, float]
    """Mean absolute error of each person in bpm; NaN without any heart rate."""
    left_out: tuple[LeftOut, ...]
    """Recordings that could not be read, each with the cause."""
    seconds: float
    """Time that it took to read and score them."""
    folder: Path
    """Where the files lie."""
    is_new: bool
    """Whether this run made them."""


def fixed_network(model: str) -> Network:
    """The network of a row that needs no training.

    model: name in MODELS, or a weights file.
    Raises UnknownNameError or WeightsError for one that cannot be used.
    """
    path = Path(model) if Path(model).suffix or "/" in model else None
    name, _, _ = choose_model("auto" if path else model, str(path) if path else None)
    if path is None and (found := weights_at_hand(name)):
        path = found[1]
    return Network(name, path, f"{name} {sha256(path)}" if path else name)


def cell_folder(
    cell: Cell,
    networks: list[Network],
    config: CrossdomainConfig,
    data: Mapping[str, People],
    out: Path,
) -> Path:
    """Where a cell lies; another folder for whatever would change it."""
    parts = [reading.part for reading in cell.readings]
    key = content_key(
        {
            "version": VERSION,
            "networks": [network.key for network in networks],
            "test": [[list(p.subjects), data[p.data].checksum(p.subjects)] for p in parts],
            "score": asdict(config.score),
        }
    )
    row = cell.row.replace("/", "_")
    return out / "cells" / f"{row}-on-{cell.column}-{key}"


def make_cell(
    cell: Cell,
    networks: list[Network],
    config: CrossdomainConfig,
    data: Mapping[str, People],
    folder: Path,
    *,
    progress: bool,
) -> Figures:
    """Reads and scores a cell with one network for each of its readings, or finds it finished.

    Raises PhyskitError where nothing of it can be read.
    """
    if read_note(folder) is not None:
        return _figures(folder, is_new=False)
    began_s = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    predicted: list[PredictedRecording] = []
    left_out: dict[str, str] = {}
    sources: list[Mapping[str, Any]] = []
    for reading, network in zip(cell.readings, networks, strict=True):
        pulses, unread, of = _read(reading, network, config, data, progress=progress)
        predicted += pulses
        left_out |= dict(unread)
        sources += of
    if not predicted:
        causes = "; ".join(f"{name}: {cause}" for name, cause in left_out.items())
        raise InputError(f"no recording of {cell.column} could be read ({causes})")
    write_predictions(
        with_even_conditions(predicted), folder / "predictions.parquet", sources=sources
    )
    result = score(
        folder / "predictions.parquet",
        protocol=config.score.protocol,
        window_s=config.score.length_s,
        hr=config.score.hr,
        out=folder,
        left_out=tuple(left_out.items()),
    )
    seconds = round(time.monotonic() - began_s, 3)
    write_note(folder, {"left_out": dict(result.left_out), "seconds": seconds})
    return _figures(folder, is_new=True)


def _read(
    reading: Reading,
    network: Network,
    config: CrossdomainConfig,
    data: Mapping[str, People],
    *,
    progress: bool,
) -> tuple[list[PredictedRecording], list[LeftOut], Sources]:
    """The pulses of some people by one network, and what they come from."""
    weights = None if network.weights is None else str(network.weights)
    name, model, _ = choose_model(network.model, weights)
    store = data[reading.part.data].store
    recordings, damaged = readable_recordings(store, reading.part.subjects)
    predicted, unread = predict_recordings(
        recordings,
        model,
        chunk_frames=config.compute.chunk_frames,
        device=config.compute.device,
        threads=config.compute.threads,
        progress=progress,
        uses=known_people(network.weights),
    )
    return predicted, [*damaged, *unread], sources_of(name, network.weights, recordings)


def _figures(folder: Path, *, is_new: bool) -> Figures:
    note = read_note(folder) or {}
    try:
        said = json.loads((folder / "metrics.json").read_text("utf-8"))
        subjects = _subject_errors(pq.read_table(folder / "windows.parquet"))
        return Figures(
            settings=said["settings"],
            versions=said["versions"],
            predictions_sha256=said["predictions_sha256"],
            n_recordings=said["n_recordings"],
            n_subjects=said["n_subjects"],
            n_windows=said["n_windows"],
            n_windows_with_rate=said["n_windows_with_rate"],
            metrics=Metrics(**{k: _estimate(v) for k, v in said["metrics"].items()}),
            conditions=tuple(said["conditions"]),
            subjects=subjects,
            left_out=tuple(note["left_out"].items()),
            seconds=note["seconds"],
            folder=folder,
            is_new=is_new,
        )
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise InputError(
            f"{folder}: its files are damaged ({error}); remove that folder"
        ) from error


def _estimate(said: Mapping[str, Any]) -> Estimate:
    low, high = (_number(end) for end in said["interval"])
    return Estimate(_number(said["value"]), _number(said["standard_error"]), (low, high))


def _number(said: float | None) -> float:
    return math.nan if said is None else said


def _subject_errors(windows: pa.Table) -> dict[str, float]:
    """Mean absolute error of each person, over the windows that have both heart rates."""
    names = ("subject", "heart_rate_bpm", "label_heart_rate_bpm")
    errors: dict[str, list[float]] = defaultdict(list)
    for subject, rate, label in zip(*(windows[name].to_pylist() for name in names), strict=True):
        known = errors[subject]
        if rate is not None and label is not None:
            known.append(abs(rate - label))
    return {
        subject: sum(known) / len(known) if known else math.nan
        for subject, known in sorted(errors.items(), key=lambda item: natural_order(item[0]))
    }
