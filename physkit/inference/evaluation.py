"""What running a model over recordings of stores says about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from physkit.evaluate.predictions import LeftOut
from physkit.evaluate.result import Score


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
