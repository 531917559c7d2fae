"""The report of a matrix: one HTML file that asks the network for nothing."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from physkit.core.files import whole_file
from physkit.crossdomain.cells import Figures
from physkit.crossdomain.figures import LEAST_BPM, subjects_svg
from physkit.crossdomain.result import (
    CrossdomainResult,
    matrix_csv,
    matrix_latex,
    matrix_markdown,
)
from physkit.evaluate.report.render import as_picture, render
from physkit.evaluate.result import METRIC_LABELS, shown

_STOPS = ((0.5, (214, 237, 223)), (3.0, (253, 243, 211)), (20.0, (236, 142, 112)))
"""Errors in bpm, and the colours for them: green, yellow, red. Dark text is legible on all."""

Table = tuple[Sequence[str], Sequence[tuple[str, ...]]]
"""Head and rows."""


def matrix_html(result: CrossdomainResult) -> str:
    """The whole report as one HTML document."""
    by_column = _by_column(result)
    training_notes = [f"{one.name}: {note}" for one in result.trained for note in one.notes]
    return render(
        "crossdomain/matrix.html.j2",
        result=result,
        plan=result.plan,
        cells={(cell.row, cell.column): cell for cell in result.plan.cells},
        headline=_headline(result),
        troubles=_troubles(result),
        colour=_colour,
        scale=[error for error, _ in _STOPS],
        people=as_picture(subjects_svg(result.plan.rows, by_column)),
        least_bpm=LEAST_BPM,
        figures=_figures(result),
        conditions=list(_conditions(by_column)),
        data=_data(result),
        trainings=_trainings(result),
        training_notes=dict.fromkeys(training_notes),
        settings=json.dumps(dict(result.settings), indent=1, default=str),
        versions=_versions(result),
    )


def _headline(result: CrossdomainResult) -> str:
    n_cells, n_failed = len(result.plan.cells), len(result.failures)
    state = "all finished" if not n_failed else f"{n_failed} failed"
    score, seed = result.settings["score"], result.settings["seed"]
    window = score["window_s"]
    length = {None: "the protocol's windows", "inf": "whole recordings"}.get(
        window, f"{window} s windows"
    )
    return (
        f"{n_cells} cells, {state}. Heart rate by {score['hr']} under {score['protocol']}, "
        f"{length}; seed {seed}."
    )


def _troubles(result: CrossdomainResult) -> list[str]:
    """What failed and why; what could not be read of the other cells."""
    left_out = {
        (cell.column, name): cause
        for cell, figures in result.figures.items()
        for name, cause in figures.left_out
    }
    told = [f"{f.name} failed: {f.cause}" for f in result.failures.values()]
    return told + [
        f"{data}: {name} is left out: {cause}" for (data, name), cause in left_out.items()
    ]


def _colour(mae_bpm: float) -> str:
    """The background for an error, as CSS writes it; empty where there is no error."""
    if not math.isfinite(mae_bpm):
        return ""
    at = math.log(max(mae_bpm, _STOPS[0][0]))
    stops = [math.log(error) for error, _ in _STOPS]
    channels = zip(*(colour for _, colour in _STOPS), strict=True)
    return "#" + "".join(f"{round(np.interp(at, stops, channel)):02x}" for channel in channels)


def _by_column(result: CrossdomainResult) -> list[tuple[str, list[Figures | None]]]:
    """Each data set tested on, with the figures of its cells in the order of the rows."""
    cells = {(cell.row, cell.column): result.figures.get(cell) for cell in result.plan.cells}
    return [
        (column, [cells[row, column] for row in result.plan.rows]) for column in result.plan.columns
    ]


def _figures(result: CrossdomainResult) -> Table:
    head = ["trained on", "tested on", "people", "recordings", "windows"]
    head += [f"{label} ({unit})" if unit else label for label, unit in METRIC_LABELS.values()]
    rows = []
    for cell, figures in result.figures.items():
        estimates = (getattr(figures.metrics, name) for name in METRIC_LABELS)
        rows.append(
            (
                cell.row,
                cell.column,
                str(figures.n_subjects),
                str(figures.n_recordings),
                f"{figures.n_windows_with_rate} of {figures.n_windows}",
                *(f"{shown(e.value, 3)} ± {shown(e.standard_error, 3)}" for e in estimates),
            )
        )
    return head, rows


Told = Mapping[str, Any]
"""What a cell's metrics.json says of one condition."""
Group = tuple[str, int, list[float | None]]
"""A value of a condition, the people with it, and the error of each row in bpm."""


def _conditions(
    by_column: list[tuple[str, list[Figures | None]]],
) -> Iterator[tuple[str, list[tuple[str, list[Group], list[float | None]]]]]:
    """Each data set tested on and its conditions: name, groups, and the gap of each row in bpm."""
    for column, cells in by_column:
        tables = [
            (name, list(_groups(told)), [one["gap_bpm"] if one else None for one in told])
            for name, told in _breakdowns(cells).items()
        ]
        if tables:
            yield column, tables


def _breakdowns(cells: Sequence[Figures | None]) -> dict[str, list[Told | None]]:
    """By condition, what each row's cell tells of it; None where it tells nothing.

    Those that group people: the error of each is drawn elsewhere.
    """
    told = [{b["condition"]: b for b in cell.conditions} if cell else {} for cell in cells]
    names = dict.fromkeys(name for by_name in told for name in by_name)
    found = {name: [by_name.get(name) for by_name in told] for name in names}
    return {name: rows for name, rows in found.items() if any(map(_is_shared, rows))}


def _is_shared(told: Told | None) -> bool:
    groups = told["groups"] if told else ()
    return any(group["n_subjects"] > 1 for group in groups)


def _groups(told: list[Told | None]) -> Iterator[Group]:
    by_group = [{g["group"]: g for g in one["groups"]} if one else {} for one in told]
    # rows that saw fewer people know fewer groups, in the same order
    longest_first = sorted(by_group, key=len, reverse=True)
    for group in dict.fromkeys(group for groups in longest_first for group in groups):
        known = [groups.get(group) for groups in by_group]
        n_people = max(one["n_subjects"] for one in known if one)
        yield _short(group), n_people, [one["mae_bpm"] if one else None for one in known]


def _short(group: str) -> str:
    """A fraction with as many digits as tell something."""
    try:
        return f"{float(group):.3g}" if "." in group else group
    except ValueError:
        return group


def _data(result: CrossdomainResult) -> Table:
    head = ("data set", "store", "prepared from", "division", "people", "recordings", "checksum")
    rows = [
        (d.name, d.store, d.dataset, d.split, str(d.n_subjects), str(d.n_recordings), d.checksum)
        for d in result.data
    ]
    return head, rows


def _trainings(result: CrossdomainResult) -> Table:
    head = (
        *("training", "people", "validating", "steps"),
        *("validation MAE (bpm)", "seconds", "sha256"),
    )
    rows = [
        (
            one.name,
            str(one.n_trained),
            str(one.n_validated),
            str(one.n_steps),
            shown(one.validation_mae_bpm, 2),
            shown(one.seconds, 0),
            one.sha256[:16],
        )
        for one in result.trained
    ]
    return head, rows


def _versions(result: CrossdomainResult) -> str:
    """Protocol and versions of what scored the first cell; empty where none is finished."""
    first = next(iter(result.figures.values()), None)
    facts: dict[str, Any] = dict(first.settings) | dict(first.versions) if first else {}
    return "; ".join(f"{name} {value}" for name, value in facts.items())


def write_results(result: CrossdomainResult) -> None:
    """Write matrix.json, .csv, .md and .tex, and report.html.

    Raises InputError where that cannot be.
    """
    texts = {
        "matrix.json": json.dumps(result.to_dict(), indent=1, allow_nan=False) + "\n",
        "matrix.csv": matrix_csv(result.table()),
        "matrix.md": matrix_markdown(result.mae_table()),
        "matrix.tex": matrix_latex(result.mae_table()),
        "report.html": matrix_html(result),
    }
    for name, text in texts.items():
        with whole_file(result.out / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
