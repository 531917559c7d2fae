"""What running a model over recordings of stores says about it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physkit.core.naming import natural_order
from physkit.evaluate.predictions import LeftOut, Sources
from physkit.evaluate.result import Score

if TYPE_CHECKING:
    from physkit.data.store import StoredRecording


def sources_of(
    model: str, weights: Path | None, recordings: Sequence["StoredRecording"]
) -> Sources:
    """What predictions come from, one entry for each store: model, weights and recordings.

    Weights: path, checksum, the commit and the people of their training. Store: path, data set,
    people, how it was prepared, and a checksum over what is known of those recordings.
    """
    stores: dict[str, list[StoredRecording]] = {}
    for recording in recordings:
        stores.setdefault(recording.store, []).append(recording)
    told = None if weights is None else _told_of_weights(weights)
    return [
        {"model": model, "weights": told, "store": _told_of_store(path, of)}
        for path, of in stores.items()
    ]


def _told_of_weights(path: Path) -> dict[str, Any]:
    from physkit.weights.file import sha256
    from physkit.weights.load import read_any_weights

    about = read_any_weights(path)[0].provenance
    data = about.get("data")
    people = {
        use: {entry["store"]: entry["subjects"] for entry in entries}
        for use, entries in (data.items() if isinstance(data, dict) else ())
    }
    return {
        "path": str(path),
        "sha256": sha256(path),
        "commit": about.get("commit"),
        "source": about.get("source"),
        "people": people or None,
    }


def _told_of_store(path: str, recordings: Sequence["StoredRecording"]) -> dict[str, Any]:
    about = {recording.name: dict(recording.attributes) for recording in recordings}
    text = json.dumps(about, sort_keys=True, default=str)
    return {
        "path": path,
        "dataset": recordings[0].dataset,
        "people": sorted({recording.subject for recording in recordings}, key=natural_order),
        "n_recordings": len(recordings),
        "prepared": dict(recordings[0].settings),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


@dataclass(frozen=True, eq=False)
class EvaluateResult:
    """The score of a model on a store."""

    score: Score
    """Every figure, under the protocol that was asked for."""
    model: str
    """Model that read the pulse."""
    out: Path
    """Folder of the results."""
    notes: tuple[str, ...]
    """What was chosen without being asked for."""

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Recordings that could not be read or scored, each with the cause."""
        return self.score.left_out

    @property
    def exit_status(self) -> int:
        """0 only when every recording was read and scored."""
        return self.score.exit_status

    def to_dict(self) -> dict[str, Any]:
        """The score's JSON object, with `model`, `notes` and `out`."""
        return self.score.to_dict() | {
            "model": self.model,
            "notes": list(self.notes),
            "out": str(self.out),
        }

    def lines(self) -> list[str]:
        """The figures and what was left out, then what was read and where the files lie."""
        return [
            *self.score.lines(),
            f"model {self.model}",
            *(f"note: {note}" for note in self.notes),
            f"report {self.out / 'report.html'}",
        ]
