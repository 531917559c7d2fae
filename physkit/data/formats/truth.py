"""What is true of synthetic recordings: kept beside the tree, in a folder that no reader reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from physkit.core.errors import InputError
from physkit.core.files import below, visible, whole_file
from physkit.core.text import decode_text
from physkit.core.types import Pulse
from physkit.data.recording import Condition

TRUTH_FOLDER = "synthetic"
CONDITIONS_SUFFIX = ".conditions.json"
TRUTH_SUFFIX = ".truth.npz"
PARAMETERS = "parameters"
"""Key of the parameters among the conditions."""


class Told(NamedTuple):
    """What stands beside a synthetic recording in words and numbers."""

    conditions: dict[str, Condition]
    parameters: dict[str, Condition]


@dataclass(frozen=True, eq=False)
class Truth:
    """What the generator knows of one recording."""

    conditions: Mapping[str, Condition]
    """Condition columns, as data sets have them."""
    heart_rate_bpm: float
    """Mean rate of the beats whose feet lie in the recording."""
    beat_times_s: Float[np.ndarray, "beats"]
    """Feet of those beats in seconds since the first frame."""
    pulse: Pulse
    """Blood volume at the true times of the frames."""
    face_boxes: Float[np.ndarray, "t 4"]
    """The face from hairline to chin in every frame: x, y, width, height in pixels."""
    parameters: Mapping[str, Condition] = field(default_factory=dict)
    """Every parameter of the generator, and who was drawn: seed, and numbers of person and session.
    They differ from person to person, and so are no conditions that group people."""


def write_truth(root: Path, name: str, truth: Truth) -> None:
    """Keeps the truth of the recording called `name`. Raises InputError where it cannot."""
    folder = root / TRUTH_FOLDER
    folder.mkdir(exist_ok=True)
    with whole_file(folder / f"{name}{TRUTH_SUFFIX}") as unfinished:
        np.savez(
            unfinished,
            heart_rate_bpm=truth.heart_rate_bpm,
            beat_times_s=truth.beat_times_s,
            pulse=truth.pulse.samples,
            timestamps_s=truth.pulse.timestamps_s,
            face_boxes=truth.face_boxes,
        )
    with whole_file(folder / f"{name}{CONDITIONS_SUFFIX}") as unfinished:
        told = {**truth.conditions, PARAMETERS: dict(truth.parameters)}
        unfinished.write_text(json.dumps(told, indent=1), encoding="utf-8")


def read_truth(root: Path, name: str) -> Truth:
    """The truth of the recording called `name`. Raises InputError where none is kept."""
    path = below(root, f"{TRUTH_FOLDER}/{name}{TRUTH_SUFFIX}")
    try:
        told = _read(below(root, f"{TRUTH_FOLDER}/{name}{CONDITIONS_SUFFIX}"))
        with np.load(path, allow_pickle=False) as arrays:
            return Truth(
                conditions=told.conditions,
                parameters=told.parameters,
                heart_rate_bpm=float(arrays["heart_rate_bpm"]),
                beat_times_s=arrays["beat_times_s"],
                pulse=Pulse(arrays["pulse"], arrays["timestamps_s"]),
                face_boxes=arrays["face_boxes"],
            )
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{path}: no readable truth of a synthetic recording ({error}); "
            "write the data anew with physkit synth"
        ) from error


def read_told(root: Path) -> dict[str, Told]:
    """Conditions and parameters of the synthetic recordings under a root by name; empty for real
    ones.

    Raises InputError for a file that is damaged.
    """
    folder = root / TRUTH_FOLDER
    return {
        path.name.removesuffix(CONDITIONS_SUFFIX): _read(path)
        for path in (visible(folder) if folder.is_dir() else [])
        if path.name.endswith(CONDITIONS_SUFFIX)
    }


def _read(path: Path) -> Told:
    try:
        values = json.loads(decode_text(path.read_bytes()), parse_constant=_refuse)
        if not isinstance(values, dict):
            raise ValueError("no JSON object")
        parameters = values.pop(PARAMETERS, {})
        if not isinstance(parameters, dict):
            raise ValueError(f"{PARAMETERS} are no JSON object")
        for column, value in (*values.items(), *parameters.items()):
            if not isinstance(value, Condition):
                raise ValueError(f"{column} is neither text nor a number nor true or false")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: damaged ({error}); remove it and run the same physkit synth again"
        ) from error
    return Told(values, parameters)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
