"""`physkit score`: the metrics of a predictions file from anywhere."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from physkit.evaluate.result import Score


@dataclass(frozen=True)
class ScoreConfig:
    """Score a predictions file under a named protocol."""

    predictions: str
    """Parquet file with a row a recording: recording, subject, fps, prediction, label,
    representation (waveform or diff), and any condition columns."""
    protocol: str = "physkit-1"
    """toolbox-2023, toolbox-2024-06, toolbox-2024-12, toolbox-2025-03, physllm or physkit-1."""
    window_s: float | Literal["inf"] | None = None
    """Window length in seconds; by default the whole recording, and 30 s every second under
    physkit-1; inf is always the whole recording."""
    hr: Literal["fft", "peak"] = "fft"
    """Heart rate from the spectrum, or from the intervals between peaks."""
    out: str | None = None
    """Folder for metrics.json, windows.parquet and report.html; nothing is written without it."""


def run(config: ScoreConfig) -> "Score":
    """Score the file that `config` names, and write the results where it says."""
    from physkit.evaluate.scoring import score

    return score(
        config.predictions,
        protocol=config.protocol,
        window_s=float("inf") if config.window_s == "inf" else config.window_s,
        hr=config.hr,
        out=config.out,
    )
