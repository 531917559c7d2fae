"""`physkit score`: the metrics of a predictions file from anywhere."""

from dataclasses import dataclass
from pathlib import Path
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
    return score(
        config.predictions,
        protocol=config.protocol,
        window_s=float("inf") if config.window_s == "inf" else config.window_s,
        hr=config.hr,
        out=config.out,
    )


def score(
    predictions: str | Path,
    *,
    protocol: str = "physkit-1",
    window_s: float | None = None,
    hr: Literal["fft", "peak"] = "fft",
    out: str | Path | None = None,
) -> "Score":
    """Score a predictions file; the options are those of `ScoreConfig`.

    Raises UnknownNameError for a misspelt protocol or method, InputError for a file that cannot be
    scored or a folder that cannot be written.
    """
    # imported here: the command line reads this module for its options only
    import hashlib
    from typing import get_args

    from physkit.core.registry import unknown_name
    from physkit.evaluate.predictions import read_predictions
    from physkit.evaluate.protocols import HeartRateMethod, find_protocol
    from physkit.evaluate.scoring import score_recordings

    find_protocol(protocol)
    if hr not in get_args(HeartRateMethod):
        raise unknown_name("heart rate method", hr, get_args(HeartRateMethod))
    path = Path(predictions)
    recordings = read_predictions(path)
    result = score_recordings(
        recordings,
        protocol=protocol,
        window_s=None if window_s is None else float(window_s),
        hr=hr,
        predictions_file=str(path),
        predictions_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    if out is not None:
        from physkit.evaluate.report.results import write_results

        write_results(result, Path(out))
    return result
