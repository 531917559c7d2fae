"""The result of a preparation, and its summary for the terminal."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from physkit.core.table import labelled, table

SHOWN_NAMES = 10
"""How many recordings a line names."""


@dataclass(frozen=True)
class Failure:
    """A recording that could not be prepared."""

    recording: str
    """Its name."""
    cause: str
    """Why, in one line."""


@dataclass(frozen=True)
class PrepareResult:
    """The result of a preparation."""

    dataset: str
    """Data set in `READERS`."""
    out: str
    """The store."""
    done: tuple[str, ...]
    """Recordings that were prepared, in the order of the raw tree."""
    skipped: tuple[str, ...]
    """Recordings that the store held already, as they should be."""
    failed: tuple[Failure, ...]
    """Recordings that could not be prepared; what the store held of them it holds still."""
    not_in_raw: tuple[str, ...]
    """Recordings that the store holds and the raw tree does not (any more); they are kept."""
    redone: Mapping[str, str]
    """Why recordings that were in the store were done again, by name."""
    warnings: Mapping[str, tuple[str, ...]]
    """What to know of recordings, by name."""
    notes: tuple[str, ...]
    """What was chosen for the user."""
    engine: str
    """Engine in `ENGINES`."""
    workers: int
    """Recordings that were worked on at once."""
    n_frames: int
    """Frames prepared."""
    duration_s: float
    """Seconds it took."""
    peak_rss_mb: float | None
    """Most memory that one worker held, in units of 1024 * 1024 bytes; None without work."""

    @property
    def exit_status(self) -> int:
        """What the command ends with: 1 when a recording failed."""
        return 1 if self.failed else 0

    @property
    def frames_per_s(self) -> float:
        """Frames prepared in a second by all workers together."""
        return self.n_frames / self.duration_s if self.duration_s > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {**dataclasses.asdict(self), "frames_per_s": self.frames_per_s}

    def lines(self) -> list[str]:
        """A summary, and a table of what failed."""
        n_all = len(self.done) + len(self.skipped) + len(self.failed)
        speed = f", {self.n_frames} frames, {self.frames_per_s:.0f} frames/s" if self.done else ""
        rows = [
            ("store", f"{self.out} ({self.dataset})"),
            ("prepared", f"{len(self.done)} of {n_all} recordings{speed}"),
            ("skipped", f"{len(self.skipped)} that were there already"),
        ]
        if self.peak_rss_mb is not None:
            rows.append(
                ("workers", f"{self.workers} ({self.engine}), {self.peak_rss_mb:.0f} MB at most")
            )
        if self.not_in_raw:
            rows.append(("not in the raw data", f"{_names(self.not_in_raw)} (kept)"))
        again = [f"again: {name}: {reason}" for name, reason in self.redone.items()]
        warnings = [
            f"warning: {name}: {text}" for name, texts in self.warnings.items() for text in texts
        ]
        return [
            *labelled(rows),
            *(f"note: {note}" for note in self.notes),
            *_few(again),
            *warnings,
            *self._failure_table(n_all),
        ]

    def _failure_table(self, n_all: int) -> list[str]:
        if not self.failed:
            return []
        failures = table(("", ""), [(failure.recording, failure.cause) for failure in self.failed])
        return [
            *labelled([("failed", f"{len(self.failed)} of {n_all}")]),
            *(f"  {line}" for line in failures),
        ]


def _names(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:SHOWN_NAMES])
    return shown if len(names) <= SHOWN_NAMES else f"{shown} and {len(names) - SHOWN_NAMES} more"


def _few(lines: list[str]) -> list[str]:
    if len(lines) <= SHOWN_NAMES:
        return lines
    return [*lines[:SHOWN_NAMES], f"... and {len(lines) - SHOWN_NAMES} more"]
