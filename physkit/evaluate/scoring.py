"""From recordings to a score: windows, metrics, and all else in a `Score`."""

import hashlib
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast, get_args

from physkit.core.causes import cause_of
from physkit.core.errors import InputError
from physkit.core.machine import this_commit
from physkit.core.registry import unknown_name
from physkit.evaluate.bootstrap import N_RESAMPLES, with_intervals
from physkit.evaluate.conditions import Breakdown, ansi_verdicts, breakdowns, by_column
from physkit.evaluate.examples import examples
from physkit.evaluate.gating import coverage_curve, gating
from physkit.evaluate.metrics import bland_altman, figures, metrics
from physkit.evaluate.predictions import (
    USES,
    LeftOut,
    PredictedRecording,
    Sources,
    read_sources,
    read_usable,
)
from physkit.evaluate.protocols import HeartRateMethod, Protocol, find_protocol
from physkit.evaluate.report.results import write_results
from physkit.evaluate.result import Score
from physkit.evaluate.variability import hrv_errors
from physkit.evaluate.windows import WindowRow, cut_windows
from physkit.signal.reading import MIN_QUALITY

USED = "used for"
"""What a table calls the use that weights made of people."""
BOOTSTRAP_SEED = 0
"""Seed of the bootstrap over subjects, so that a score can be repeated."""


def score(
    predictions: str | Path,
    *,
    protocol: str = "physkit-1",
    window_s: float | None = None,
    hr: str = "fft",
    out: str | Path | None = None,
    left_out: Sequence[LeftOut] = (),
) -> Score:
    """Score a predictions file; the options are those of `ScoreConfig`.

    left_out: recordings that are known to lack in the file, to be told with those that cannot be
    scored.
    Raises UnknownNameError for a misspelt protocol or method, InputError for a file of which
    nothing can be scored, or a folder that cannot be written.
    """
    find_protocol(protocol)
    if hr not in get_args(HeartRateMethod):
        raise unknown_name("heart rate method", hr, get_args(HeartRateMethod))
    path = Path(predictions)
    recordings, unreadable = read_usable(path)
    if not recordings:
        raise InputError(unreadable[0][1])
    result = score_recordings(
        recordings,
        protocol=protocol,
        window_s=None if window_s is None else float(window_s),
        hr=cast(HeartRateMethod, hr),
        predictions_file=str(path),
        predictions_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        left_out=(*left_out, *unreadable),
        sources=read_sources(path),
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
    left_out: Sequence[LeftOut] = (),
    sources: Sources = (),
) -> Score:
    """Score recordings under a named protocol; one that cannot be scored is left out.

    window_s: length of the windows; None takes the protocol's default (the whole recording, or
    30 s under physkit-1), infinity the whole recording.
    left_out: what was left out before. sources: what the predictions come from.
    Raises UnknownNameError for a misspelt protocol, InputError where nothing can be scored.
    """
    chosen = find_protocol(protocol)
    length_s = _window_s(chosen, window_s)
    windows: list[WindowRow] = []
    scored: list[PredictedRecording] = []
    unscored: list[LeftOut] = []
    for recording in recordings:
        try:
            windows += cut_windows(recording, chosen, window_s=length_s, hr=hr)
            scored.append(recording)
        except Exception as error:  # noqa: BLE001 (told as left out: the others must go on)
            unscored.append((recording.recording, cause_of(error)))
    if unscored and not scored:
        raise InputError(unscored[0][1])
    by_use, warning = _by_use(windows, scored)
    if by_use and any(r.used_for == "nothing" for r in scored):
        scored = [r for r in scored if r.used_for == "nothing"]
        new = {(r.recording, r.subject) for r in scored}
        windows = [w for w in windows if (w.recording, w.subject) in new]
    table = figures(windows)
    by_condition = (*by_use, *breakdowns(windows, min_quality=MIN_QUALITY))
    return Score(
        protocol=chosen.name,
        settings=_settings(chosen, length_s, hr),
        versions=_versions(),
        predictions_file=predictions_file,
        predictions_sha256=predictions_sha256,
        n_recordings=len(scored),
        n_subjects=len({r.subject for r in scored}),
        n_windows=len(windows),
        n_windows_with_rate=int(table.has_rate.sum()),
        n_windows_unseen=sum(not window.is_seen for window in windows),
        metrics=with_intervals(metrics(table, chosen), table, windows, seed=BOOTSTRAP_SEED),
        bland_altman=bland_altman(table, chosen),
        gating=gating(table, min_quality=MIN_QUALITY),
        coverage=coverage_curve(table),
        conditions=by_condition,
        ansi_cta_2065=ansi_verdicts(by_condition),
        hrv=hrv_errors(scored, chosen),
        windows=tuple(windows),
        examples=examples(scored, windows, chosen),
        left_out=(*left_out, *unscored),
        warning=warning,
        sources=sources,
    )


def _by_use(
    windows: Sequence[WindowRow], recordings: Sequence[PredictedRecording]
) -> tuple[tuple[Breakdown, ...], str | None]:
    """Errors by what the weights were given people for, and a warning where they know some."""
    people = {use: {r.subject for r in recordings if r.used_for == use} for use in USES}
    counts = [
        f"{len(people[use])} whom they were {told}"
        for use, told in (("train", "trained on"), ("validation", "chosen by"))
        if people[use]
    ]
    if not counts:
        return (), None
    use_of = {(r.recording, r.subject): r.used_for for r in recordings}
    marked = [replace(w, conditions={USED: use_of[w.recording, w.subject]}) for w in windows]
    known = f"the weights know {' and '.join(counts)}"
    if people["nothing"]:
        warning = f"{known}: figures are of the {len(people['nothing'])} others, except by {USED}"
    else:
        warning = f"{known}, and nobody else is here: these figures say nothing of new people"
    return by_column(marked, USED, min_quality=MIN_QUALITY), warning


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
    own = {"python": platform.python_version(), "commit": this_commit()}
    return own | {name: version(name) for name in names}
