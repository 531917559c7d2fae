"""The report of a matrix: one HTML file that asks the network for nothing."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from physkit.core.files import whole_file
from physkit.crossdomain.cells import Figures
from physkit.crossdomain.figures import subjects_svg
from physkit.crossdomain.plan import Cell
from physkit.crossdomain.result import CrossdomainResult, matrix_csv
from physkit.evaluate.report.html import document, table
from physkit.evaluate.result import METRIC_LABELS, shown

_STYLE = """
.matrix { border-collapse: separate; border-spacing: 4px; margin: 1rem 0 .4rem -4px }
.matrix th { border: 0; text-align: center; padding: .3rem .5rem }
.matrix th.row { text-align: right; max-width: 14rem; overflow-wrap: anywhere }
.matrix td { text-align: center; padding: .55rem .9rem; border-radius: 6px; line-height: 1.35;
             min-width: 8.5rem }
.matrix td.within { box-shadow: inset 0 0 0 2px #22262b }
.matrix td.failed { background: repeating-linear-gradient(45deg, #eceef1 0 6px, #fff 6px 12px) }
.matrix tr.models:not(.models ~ .models) > * { border-top: 3px double #8a8f98 }
.matrix b { font-size: 1.3rem } .matrix small, .matrix a { display: block; color: #22262b }
.matrix a { text-decoration: none } .matrix a:hover b { text-decoration: underline }
.heat td { padding: .2rem .7rem; min-width: 3.5rem } .heat { margin: .4rem 1.6rem 1rem 0 }
.heats { display: flex; flex-wrap: wrap; align-items: flex-start }
.scale { display: inline-block; width: 9rem; height: .7rem; border-radius: 3px; margin: 0 .4rem }
.bad { border-left: 4px solid #b3402a; padding: .3rem .9rem; background: #fbeeea }
pre { white-space: pre-wrap; background: #f5f6f8; padding: .8rem 1rem; border-radius: 6px }
.wide { overflow-x: auto } .wide th, .wide td { white-space: nowrap }
"""
_STOPS = ((0.5, (214, 237, 223)), (3.0, (253, 243, 211)), (20.0, (236, 142, 112)))
"""Errors in bpm, and the colours for them: green, yellow, red. Dark text is legible on all."""


def matrix_html(result: CrossdomainResult) -> str:
    """The whole report as one HTML document."""
    body = [
        "<h1>Trained on each, tested on each</h1>",
        f"<p>{escape(_headline(result))}</p>",
        *_failures(result),
        _matrix(result),
        _legend(result),
        *(f'<p class="small">{escape(_sentence(note))}</p>' for note in result.notes),
        "<h2>Every person</h2>",
        *_people(result),
        "<h2>All figures</h2>",
        _figures(result),
        *_conditions(result),
        "<h2>Data sets</h2>",
        _data(result),
        "<h2>Trainings</h2>",
        *_trainings(result),
        "<h2>Settings and provenance</h2>",
        *_provenance(result),
    ]
    return document("Cross-domain matrix", body, style=_STYLE)


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."


def _headline(result: CrossdomainResult) -> str:
    n_cells, n_failed = len(result.plan.cells), len(result.failures)
    state = "all finished" if not n_failed else f"{n_failed} failed"
    window = result.settings["window_s"]
    length = {None: "the protocol's windows", "inf": "whole recordings"}.get(
        window, f"{window} s windows"
    )
    return (
        f"{n_cells} cells, {state}. Heart rate by {result.settings['hr']} under "
        f"{result.settings['protocol']}, {length}; seed {result.settings['seed']}."
    )


def _failures(result: CrossdomainResult) -> Iterator[str]:
    """What failed and why; what could not be read of the other cells."""
    left_out = {
        (cell.column, name): cause
        for cell, figures in result.figures.items()
        for name, cause in figures.left_out
    }
    told = [f"{f.name} failed: {f.cause}" for f in result.failures.values()]
    told += [f"{data}: {name} is left out: {cause}" for (data, name), cause in left_out.items()]
    if told:
        yield f'<div class="bad">{"<br>".join(escape(line) for line in told)}</div>'


def _matrix(result: CrossdomainResult) -> str:
    cells = {(cell.row, cell.column): cell for cell in result.plan.cells}
    head = "".join(f"<th>{escape(column)}</th>" for column in result.plan.columns)
    n_columns = len(result.plan.columns)
    rows = [
        f'<tr><th></th><th colspan="{n_columns}">tested on</th></tr>',
        f"<tr><th></th>{head}</tr>",
    ]
    for row in result.plan.rows:
        is_model = row in result.settings["models"]
        told = escape(row) if is_model else f"<small>trained on</small>{escape(row)}"
        drawn = "".join(_cell(result, cells[row, column]) for column in result.plan.columns)
        kind = ' class="models"' if is_model else ""
        rows.append(f'<tr{kind}><th class="row">{told}</th>{drawn}</tr>')
    return f'<div class="wide"><table class="matrix">{"".join(rows)}</table></div>'


def _cell(result: CrossdomainResult, cell: Cell) -> str:
    figures = result.figures.get(cell)
    if figures is None:
        cause = escape(result.failures[cell].cause, quote=True)
        return f'<td class="failed" title="{cause}"><b>failed</b></td>'
    m = figures.metrics
    low, high = (shown(end, 2) for end in m.mae_bpm.interval)
    link = escape(f"{figures.folder.relative_to(result.out)}/report.html", quote=True)
    return (
        f'<td class="{"within" if cell.is_within else "across"}" {_heat(m.mae_bpm.value)}>'
        f'<a href="{link}"><b>{shown(m.mae_bpm.value, 2)}</b></a>'
        f"<small>{low} to {high}</small>"
        f"<small>RMSE {shown(m.rmse_bpm.value, 2)}, MAPE {shown(m.mape_percent.value, 1)} %</small>"
        f"<small>r {shown(m.pearson.value, 2)}, {figures.n_subjects} people</small></td>"
    )


def _heat(mae_bpm: float) -> str:
    """The background for an error; none where there is no error."""
    return f'style="background:{_colour(mae_bpm)}"' if math.isfinite(mae_bpm) else ""


def _colour(mae_bpm: float) -> str:
    at = math.log(max(mae_bpm, _STOPS[0][0]))
    stops = [math.log(error) for error, _ in _STOPS]
    channels = zip(*(colour for _, colour in _STOPS), strict=True)
    return "#" + "".join(f"{round(np.interp(at, stops, channel)):02x}" for channel in channels)


def _legend(result: CrossdomainResult) -> str:
    colours = ", ".join(_colour(error) for error, _ in _STOPS)
    within = [cell for cell in result.plan.cells if cell.is_within]
    told = ""
    if within:
        told = (
            " Framed: fold by fold on unseen people of the same data set; the pulses of all folds "
            "are scored together."
        )
    return (
        '<p class="small">MAE of the heart rate in bpm, with the 95 % bootstrap interval over '
        f'people. {_STOPS[0][0]:g}<span class="scale" style="background:linear-gradient(90deg, '
        f'{colours})"></span>{_STOPS[-1][0]:g} bpm.{told}</p>'
    )


def _by_column(result: CrossdomainResult) -> list[tuple[str, list[Figures | None]]]:
    """Each data set tested on, with the figures of its cells in the order of the rows."""
    cells = {(cell.row, cell.column): result.figures.get(cell) for cell in result.plan.cells}
    return [
        (column, [cells[row, column] for row in result.plan.rows]) for column in result.plan.columns
    ]


def _people(result: CrossdomainResult) -> Iterator[str]:
    yield subjects_svg(result.plan.rows, _by_column(result))
    yield (
        '<p class="small">A dot is the error of one person over all windows; the diamond is the '
        "mean over windows, the bar its 95 % bootstrap interval over people. The axis is "
        "logarithmic, and errors under 0.1 bpm are drawn there.</p>"
    )


def _figures(result: CrossdomainResult) -> str:
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
    note = '<p class="small">± standard error over windows, as the protocol defines it; windows '
    return f'<div class="wide small">{table(head, rows)}</div>{note}with a heart rate of all.</p>'


def _conditions(result: CrossdomainResult) -> Iterator[str]:
    """For each data set tested on and each condition of it, MAE by group and row."""
    found = [(column, _breakdowns(cells)) for column, cells in _by_column(result)]
    if any(breakdowns for _, breakdowns in found):
        yield "<h2>MAE by condition (bpm)</h2>"
    for column, breakdowns in found:
        if breakdowns:
            yield f"<p>Tested on {escape(column)}</p>"
            drawn = (_breakdown(name, told, result.plan.rows) for name, told in breakdowns.items())
            yield f'<div class="heats small">{"".join(drawn)}</div>'


Breakdowns = dict[str, list[Mapping[str, Any] | None]]
"""By condition, what each row's cell tells of it; None where it tells nothing."""


def _breakdowns(cells: Sequence[Figures | None]) -> Breakdowns:
    """Those that group people: the error of each is drawn elsewhere."""
    told = [{b["condition"]: b for b in cell.conditions} if cell else {} for cell in cells]
    names = dict.fromkeys(name for by_name in told for name in by_name)
    found = {name: [by_name.get(name) for by_name in told] for name in names}
    return {name: rows for name, rows in found.items() if any(map(_is_shared, rows))}


def _is_shared(breakdown: Mapping[str, Any] | None) -> bool:
    groups = breakdown["groups"] if breakdown else ()
    return any(group["n_subjects"] > 1 for group in groups)


def _breakdown(name: str, told: list[Mapping[str, Any] | None], rows: Sequence[str]) -> str:
    by_group = [{g["group"]: g for g in one["groups"]} if one else {} for one in told]
    # rows that saw fewer people know fewer groups, in the same order
    longest_first = sorted(by_group, key=len, reverse=True)
    groups = dict.fromkeys(group for groups in longest_first for group in groups)
    head = "".join(f"<th>{escape(text)}</th>" for text in (name, "people", *rows))
    lines = [f"<tr>{head}</tr>"]
    for group in groups:
        n_people = max(groups[group]["n_subjects"] for groups in by_group if group in groups)
        drawn = "".join(_group(groups.get(group)) for groups in by_group)
        lines.append(f"<tr><td>{escape(_short(group))}</td><td>{n_people}</td>{drawn}</tr>")
    gaps = "".join(f"<td>{_told(one and one['gap_bpm'])}</td>" for one in told)
    lines.append(f"<tr><td>gap, worst to best</td><td></td>{gaps}</tr>")
    return f'<table class="heat">{"".join(lines)}</table>'


def _short(group: str) -> str:
    """A fraction with as many digits as tell something."""
    try:
        return f"{float(group):.3g}" if "." in group else group
    except ValueError:
        return group


def _group(group: Mapping[str, Any] | None) -> str:
    mae_bpm = None if group is None else group["mae_bpm"]
    heat = "" if mae_bpm is None else _heat(mae_bpm)
    return f"<td {heat}>{_told(mae_bpm)}</td>"


def _told(value: Any) -> str:
    return "-" if value is None else shown(value, 2)


def _data(result: CrossdomainResult) -> str:
    head = ("data set", "store", "prepared from", "division", "people", "recordings", "checksum")
    rows = [
        (d.name, d.store, d.dataset, d.split, str(d.n_subjects), str(d.n_recordings), d.checksum)
        for d in result.data
    ]
    return f'<div class="wide small">{table(head, rows)}</div>'


def _trainings(result: CrossdomainResult) -> Iterator[str]:
    if not result.trained:
        yield "<p>None.</p>"
        return
    head = (
        "training",
        "people",
        "validating",
        "steps",
        "validation MAE (bpm)",
        "seconds",
        "sha256",
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
    yield f'<div class="wide small">{table(head, rows)}</div>'
    notes = dict.fromkeys(f"{one.name}: {note}" for one in result.trained for note in one.notes)
    yield from (f'<p class="small">{escape(note)}</p>' for note in notes)


def _provenance(result: CrossdomainResult) -> Iterator[str]:
    text = json.dumps(dict(result.settings), indent=1, default=str)
    yield f'<pre class="small">{escape(text)}</pre>'
    first = next(iter(result.figures.values()), None)
    facts: dict[str, Any] = dict(first.settings) | dict(first.versions) if first else {}
    told = "; ".join(f"{name} {value}" for name, value in facts.items())
    yield f'<p class="small">Protocol and versions: {escape(told)}.</p>' if told else ""
    for cell, figures in result.figures.items():
        yield (
            f'<p class="small">{escape(cell.name)}: predictions sha256 '
            f"{figures.predictions_sha256[:16]}</p>"
        )


def write_results(result: CrossdomainResult) -> None:
    """Write matrix.json, matrix.csv and report.html. Raises InputError where that cannot be."""
    texts = {
        "matrix.json": json.dumps(result.to_dict(), indent=1, allow_nan=False) + "\n",
        "matrix.csv": matrix_csv(result.table()),
        "report.html": matrix_html(result),
    }
    for name, text in texts.items():
        with whole_file(result.out / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
