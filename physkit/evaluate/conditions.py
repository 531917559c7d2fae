"""Errors by condition: skin tone, light, motion, and whatever else a predictions file names."""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from physkit.evaluate.gating import gating
from physkit.evaluate.metrics import figures
from physkit.evaluate.predictions import Condition
from physkit.evaluate.windows import WindowRow

MAX_GROUPS = 20
"""A column with more distinct values (a lux reading, say) is no grouping."""
ANSI_CTA_2065_MAPE_PERCENT = 10.0
"""Largest mean absolute percentage error that ANSI/CTA-2065 accepts of a heart-rate monitor."""
SPELLINGS: Mapping[str, str] = {
    "glasser": "glasses",  # as MMPD's files spell it
    "make_up": "makeup",
    "skin_colour": "skin_color",
}
"""Other spellings of a condition, and its one name in a report."""
_SKIN_WORDS = ("skin", "fitzpatrick", "monk")
_IDENTIFIER = re.compile(
    r"(subject|person|participant|patient|session|recording)(_?(id|no|num|number|name|index))?"
    r"|(clip|file|video)_?(id|no|num|number|name|index)|id|uuid|seed"
)
"""Columns that say who or what was recorded, or what a random generator began with."""
_FEW = 3
"""From as many people on, a column with other values for each person groups nobody."""


@dataclass(frozen=True)
class Group:
    """Errors over the windows that share one value of a condition."""

    group: str
    """The value; `missing` where it is null."""
    n_windows: int
    """Windows with it."""
    n_subjects: int
    """Subjects with it."""
    mae_bpm: float
    """Mean absolute error."""
    rmse_bpm: float
    """Root mean squared error."""
    mape_percent: float
    """Mean absolute percentage error."""
    mape_gated_percent: float
    """The same over the windows of sufficient quality."""
    snr_db: float
    """Mean signal-to-noise ratio."""


@dataclass(frozen=True)
class Breakdown:
    """Errors by one condition."""

    condition: str
    """Column of the predictions file, by its name in `common_name`."""
    groups: tuple[Group, ...]
    """One for each value, in order."""
    best: str | None
    """Group with the smallest mean absolute error."""
    worst: str | None
    """Group with the largest."""
    gap_bpm: float
    """Mean absolute error of the worst group less that of the best."""


@dataclass(frozen=True)
class AnsiVerdict:
    """Whether the error stays under the ANSI/CTA-2065 target in every skin-tone group."""

    condition: str
    """Skin-tone column."""
    limit_percent: float
    """Target of the mean absolute percentage error."""
    meets: bool
    """In every group, over all windows."""
    meets_gated: bool
    """In every group, over the windows of sufficient quality."""
    failing: tuple[str, ...]
    """Groups over the target without gating, or without any heart rate."""


def common_name(condition: str) -> str:
    """The one name of a condition: lower case, `_` for blanks and hyphens, and `SPELLINGS`."""
    name = re.sub(r"[\s-]+", "_", condition.strip().lower())
    return SPELLINGS.get(name, name)


def breakdowns(windows: Sequence[WindowRow], *, min_quality: float) -> tuple[Breakdown, ...]:
    """Errors by each condition with 2 to `MAX_GROUPS` values that groups people.

    Spellings of one condition are one. A column that says who or what was recorded is no
    condition, whether by its name or its values; nor is one in which everybody has other values.
    """
    windows = [replace(w, conditions=_by_common_name(w.conditions)) for w in windows]
    names = sorted({name for w in windows for name in w.conditions})
    found = []
    for name in names:
        values = sorted({w.conditions.get(name) for w in windows}, key=_order)
        groups = 2 <= len(values) <= MAX_GROUPS and not _is_personal(windows, name)
        if groups or (_is_skin(name) and len(values) == 1):
            found.append(_breakdown(windows, name, values, min_quality))
    return tuple(found)


def by_column(
    windows: Sequence[WindowRow], column: str, *, min_quality: float
) -> tuple[Breakdown, ...]:
    """Errors by a column that is known to group people, whatever its values."""
    values = sorted({w.conditions.get(column) for w in windows}, key=_order)
    return (_breakdown(windows, column, values, min_quality),)


def _by_common_name(conditions: Mapping[str, Condition]) -> dict[str, Condition]:
    """Where two spellings have a value, that of the common name counts."""
    found: dict[str, Condition] = {}
    for column in sorted(conditions, key=lambda column: column != common_name(column)):
        name = common_name(column)
        if found.get(name) is None:
            found[name] = conditions[column]
    return found


def ansi_verdicts(found: Sequence[Breakdown]) -> tuple[AnsiVerdict, ...]:
    """The verdict for each skin-tone column: one named after skin, Fitzpatrick or Monk.

    ANSI/CTA-2065 asks for a mean absolute percentage error under 10 %.
    """
    limit = ANSI_CTA_2065_MAPE_PERCENT
    return tuple(
        AnsiVerdict(
            condition=b.condition,
            limit_percent=limit,
            # NaN is not under the limit: a group that was never answered does not meet it
            meets=all(g.mape_percent < limit for g in b.groups),
            meets_gated=all(g.mape_gated_percent < limit for g in b.groups),
            failing=tuple(g.group for g in b.groups if not g.mape_percent < limit),
        )
        for b in found
        if _is_skin(b.condition)
    )


def _is_personal(windows: Sequence[WindowRow], name: str) -> bool:
    """Whether a column tells people or recordings apart, or measures each person."""
    if _IDENTIFIER.fullmatch(name):
        return True
    people: dict[Condition, set[str]] = defaultdict(set)
    for window in windows:
        people[window.conditions.get(name)].add(window.subject)
    if any(len(subjects) > 1 for subjects in people.values()):
        return False
    n_people = len({window.subject for window in windows})
    if any(isinstance(value, float) and value % 1 != 0 for value in people):
        return n_people > 1
    if _is_skin(name):  # people of one skin tone each are still judged by it
        return False
    return n_people >= _FEW or all(_identifies(w.conditions.get(name), w) for w in windows)


def _identifies(value: Condition, window: WindowRow) -> bool:
    """Whether a value is the name of the window's subject or recording, or the subject's number."""
    digits = re.search(r"\d+$", window.subject)
    number = str(int(digits[0])) if digits else window.subject
    text = str(int(value)) if isinstance(value, float) and value % 1 == 0 else str(value)
    return text in (window.subject, window.recording, number)


def _is_skin(name: str) -> bool:
    return any(word in name.lower() for word in _SKIN_WORDS)


def _order(value: Condition) -> tuple[int, float, str]:
    """Numbers by size, then text by letter, then what is missing."""
    if isinstance(value, int | float):
        return (0, float(value), "")
    return (1, 0.0, value) if value is not None else (2, 0.0, "")


def _breakdown(
    windows: Sequence[WindowRow], name: str, values: Sequence[Condition], min_quality: float
) -> Breakdown:
    groups = tuple(
        _group(value, [w for w in windows if w.conditions.get(name) == value], min_quality)
        for value in values
    )
    known = [g for g in groups if math.isfinite(g.mae_bpm)]
    if not known:
        return Breakdown(name, groups, None, None, float("nan"))
    best = min(known, key=lambda g: g.mae_bpm)
    worst = max(known, key=lambda g: g.mae_bpm)
    return Breakdown(name, groups, best.group, worst.group, worst.mae_bpm - best.mae_bpm)


def _group(value: Condition, windows: Sequence[WindowRow], min_quality: float) -> Group:
    table = figures(windows)
    gated = gating(table, min_quality=min_quality)
    squares, ratios = table.error_bpm**2, table.snr_db[np.isfinite(table.snr_db)]
    return Group(
        group="missing" if value is None else str(value),
        n_windows=len(windows),
        n_subjects=len({w.subject for w in windows}),
        mae_bpm=gated.mae_bpm,
        rmse_bpm=float(np.sqrt(squares.mean())) if squares.size else float("nan"),
        mape_percent=gated.mape_percent,
        mape_gated_percent=gated.mape_gated_percent,
        snr_db=float(ratios.mean()) if ratios.size else float("nan"),
    )
