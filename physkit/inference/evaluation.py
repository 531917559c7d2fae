"""What running a model over recordings of stores says about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from physkit.evaluate.result import Score


@dataclass(frozen=True, eq=False)
class EvaluateResult:
    """The score of a model on a store."""

    score: Score
    """Every figure, under the protocol that was asked for."""
    model: str
    """Model that read the pulse."""
    left_out: tuple[tuple[str, str], ...]
    """Recordings that could not be read, each with the cause."""
    out: Path
    """Folder of the results."""
    notes: tuple[str, ...]
    """What was chosen without being asked for."""

    @property
    def exit_status(self) -> int:
        """0 only when every recording was read."""
        return 1 if self.left_out else 0

    def to_dict(self) -> dict[str, Any]:
        """The score's JSON object, with `model`, `left_out`, `notes` and `out`."""
        return self.score.to_dict() | {
            "model": self.model,
            "left_out": [{"recording": name, "cause": cause} for name, cause in self.left_out],
            "notes": list(self.notes),
            "out": str(self.out),
        }

    def lines(self) -> list[str]:
        """The figures, then what was left out and where the files lie."""
        return [
            f"model {self.model}",
            *self.score.lines(),
            *(f"left out: {name}: {cause}" for name, cause in self.left_out),
            *(f"note: {note}" for note in self.notes),
            f"report {self.out / 'report.html'}",
        ]
