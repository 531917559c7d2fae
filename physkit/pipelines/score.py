"""`physkit score`: the metrics of a predictions file from anywhere."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from physkit.evaluate.config import ScoreConfig

if TYPE_CHECKING:
    from physkit.evaluate.result import Score


@dataclass(frozen=True)
class ScoreFileConfig:
    """Score a predictions file under a named protocol."""

    predictions: str
    """Parquet file with a row a recording: recording, subject, fps, prediction, label,
    representation (waveform or diff), and any condition columns."""
    score: ScoreConfig = field(default_factory=ScoreConfig)
    """How pulses become figures."""
    out: str | None = None
    """Folder for metrics.json, windows.parquet and report.html; nothing is written without it."""


def run(config: ScoreFileConfig) -> "Score":
    """Score the file that `config` names, and write the results where it says."""
    from physkit.evaluate.scoring import score

    how = config.score
    return score(
        config.predictions,
        protocol=how.protocol,
        window_s=how.length_s,
        hr=how.hr,
        out=config.out,
    )
