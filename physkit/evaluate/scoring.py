"""From recordings to a score: windows, metrics, and all else in a `Score`."""

import hashlib
import math
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast, get_args

from physkit.core.errors import InputError
from physkit.core.registry import unknown_name
from physkit.evaluate.bootstrap import N_RESAMPLES, with_intervals
from physkit.evaluate.conditions import ansi_verdicts, breakdowns
from physkit.evaluate.examples import examples
from physkit.evaluate.gating import coverage_curve, gating
from physkit.evaluate.metrics import bland_altman, figures, metrics
from physkit.evaluate.predictions import PredictedRecording, read_predictions
from physkit.evaluate.protocols import HeartRateMethod, Protocol, find_protocol
from physkit.evaluate.report.results import write_results
from physkit.evaluate.result import Score
from physkit.evaluate.variability import hrv_errors
from physkit.evaluate.windows import cut_windows
from physkit.signal.reading import MIN_QUALITY

BOOTSTRAP_SEED = 0
"""Seed of the bootstrap over subjects, so that a score can be repeated."""


def score(
    predictions: str | Path,
    *,
    protocol: str = "physkit-1",
    window_s: float | None = None,
    hr: str = "fft",
    out: str | Path | None = None,
) -> Score:
    """Score a predictions file; the options are those of `ScoreConfig`.

    Raises UnknownNameError for a misspelt protocol or method, InputError for a file that cannot be
    scored or a folder that cannot be written.
    """
    find_protocol(protocol)
    if hr not in get_args(HeartRateMethod):
        raise unknown_name("heart rate method", hr, get_args(HeartRateMethod))
    path = Path(predictions)
    recordings = read_predictions(path)
    result = score_recordings(
        recordings,
        protocol=protocol,
        window_s=None if window_s is None else float(window_s),
        hr=cast(HeartRateMethod, hr),
        predictions_file=str(path),
        predictions_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
    if out is not None:
        write_results(result, Path(out))
    return result


def score_recordings(
    recordings: Sequence[PredictedRecording],
    *,
    protocol: str,
    window_s: float | None,
    hr: HeartRateMethod,
    predictions_file: str = "",
    predictions_sha256: str = "",
) -> Score:
    """Score recordings under a named protocol.

    window_s: length of the windows; None takes the protocol's default (the whole recording, or
    30 s under physkit-1), infinity the whole recording.
    Raises UnknownNameError for a misspelt protocol, InputError for unusable input.
    """
    chosen = find_protocol(protocol)
    length_s = _window_s(chosen, window_s)
    windows = [w for r in recordings for w in cut_windows(r, chosen, window_s=length_s, hr=hr)]
    table = figures(windows)
    by_condition = breakdowns(windows, min_quality=MIN_QUALITY)
    return Score(
        protocol=chosen.name,
        settings=_settings(chosen, length_s, hr),
        versions=_versions(),
        predictions_file=predictions_file,
        predictions_sha256=predictions_sha256,
        n_recordings=len(recordings),
        n_subjects=len({r.subject for r in recordings}),
        n_windows=len(windows),
        n_windows_with_rate=int(table.has_rate.sum()),
        n_windows_unseen=sum(not window.is_seen for window in windows),
        metrics=with_intervals(metrics(table, chosen), table, windows, seed=BOOTSTRAP_SEED),
        bland_altman=bland_altman(table, chosen),
        gating=gating(table, min_quality=MIN_QUALITY),
        coverage=coverage_curve(table),
        conditions=by_condition,
        ansi_cta_2065=ansi_verdicts(by_condition),
        hrv=hrv_errors(recordings, chosen),
        windows=tuple(windows),
        examples=examples(recordings, windows, chosen),
    )


def _window_s(protocol: Protocol, asked_s: float | None) -> float | None:
    if asked_s is None:
        return protocol.default_window_s
    if not asked_s > 0:
        raise InputError(f"window_s is {asked_s}; give seconds above 0, or inf for the whole")
    return None if math.isinf(asked_s) else asked_s


def _settings(protocol: Protocol, window_s: float | None, hr: HeartRateMethod) -> Mapping[str, Any]:
    return {
        "window_s": window_s,
        "step_s": protocol.step_s if window_s is not None else None,
        "hr": hr,
        "heart_rate": protocol.heart_rate,
        "low_hz": protocol.low_hz,
        "high_hz": protocol.high_hz,
        "snr": protocol.snr,
        "rmse_error": protocol.rmse_error,
        "bland_altman_factor": protocol.bland_altman_factor,
        "min_quality": MIN_QUALITY,
        "bootstrap_resamples": N_RESAMPLES,
        "bootstrap_seed": BOOTSTRAP_SEED,
    }


def _versions() -> Mapping[str, str]:
    names = ("physkit", "numpy", "scipy", "pyarrow")
    return {"python": platform.python_version()} | {name: version(name) for name in names}
