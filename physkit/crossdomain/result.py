"""What came of a matrix, and how it is told."""

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from physkit.core.table import table

if TYPE_CHECKING:
    from physkit.crossdomain.cells import Figures
    from physkit.crossdomain.plan import Cell, MatrixPlan
    from physkit.crossdomain.trainings import Trained

LATEX = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)
"""What LaTeX reads as text for signs that mean something to it."""


@dataclass(frozen=True)
class Failure:
    """A training or a cell that could not be finished."""

    name: str
    """Which."""
    cause: str
    """Why, in one line."""


@dataclass(frozen=True)
class TestedData:
    """A data set of the matrix, and who is in it."""

    name: str
    """As the matrix calls it."""
    store: str
    """Its store."""
    dataset: str
    """Data set that the store was prepared from."""
    split: str
    """How its people are divided."""
    n_subjects: int
    """People who are trained or tested on."""
    n_recordings: int
    """Their recordings."""
    checksum: str
    """Of those recordings."""


@dataclass(frozen=True, eq=False)
class CrossdomainResult:
    """The matrix."""

    plan: "MatrixPlan"
    """What it takes."""
    data: tuple[TestedData, ...]
    """The data sets."""
    figures: Mapping["Cell", "Figures"]
    """The cells that are finished."""
    trained: tuple["Trained", ...]
    """The networks that are."""
    failures: Mapping["Cell", Failure]
    """Why the other cells are not."""
    settings: Mapping[str, Any]
    """What was asked for."""
    notes: tuple[str, ...]
    """What to know of it."""
    out: Path
    """Folder of the matrix."""
    seconds: float
    """Time that this run took."""

    @property
    def exit_status(self) -> int:
        """0 only when every cell is finished, with every recording read."""
        left_out = [figures.left_out for figures in self.figures.values()]
        return 1 if self.failures or any(left_out) or any(t.left_out for t in self.trained) else 0

    def to_dict(self) -> dict[str, Any]:
        """What matrix.json holds; NaN becomes None."""
        from physkit.evaluate.result import plain

        return {
            "rows": list(self.plan.rows),
            "columns": list(self.plan.columns),
            "cells": [plain(row) for row in self.table()],
            "failed": [dataclasses.asdict(failure) for failure in self.failures.values()],
            "data": [dataclasses.asdict(data) for data in self.data],
            "trainings": [
                plain(dataclasses.asdict(one)) | {"weights": str(one.weights)}
                for one in self.trained
            ],
            "settings": plain(self.settings),
            "notes": list(self.notes),
            "out": str(self.out),
            "seconds": self.seconds,
        }

    def table(self) -> list[dict[str, Any]]:
        """A row a cell with every figure, finished or not."""
        return [self._row(cell) for cell in self.plan.cells]

    def _row(self, cell: "Cell") -> dict[str, Any]:
        from physkit.evaluate.result import METRIC_LABELS

        row: dict[str, Any] = {
            "train": cell.row,
            "test": cell.column,
            "folds": len(cell.readings) if cell.is_within else None,
            "cause": self.failures[cell].cause if cell in self.failures else None,
        }
        figures = self.figures.get(cell)
        if figures is None:
            return row
        row |= {
            "n_subjects": figures.n_subjects,
            "n_recordings": figures.n_recordings,
            "n_windows": figures.n_windows,
            "n_windows_with_rate": figures.n_windows_with_rate,
            "n_left_out": len(figures.left_out),
        }
        for name in METRIC_LABELS:
            estimate = getattr(figures.metrics, name)
            row |= {
                name: estimate.value,
                f"{name}_standard_error": estimate.standard_error,
                f"{name}_low": estimate.interval[0],
                f"{name}_high": estimate.interval[1],
            }
        return row

    def lines(self) -> list[str]:
        """The errors as a matrix, then what failed and where the report lies."""
        left_out = {
            (data, name): cause
            for cell, figures in self.figures.items()
            for data, (name, cause) in ((cell.column, entry) for entry in figures.left_out)
        }
        cells = self.mae_table()
        return [
            "MAE in bpm: trained on (rows), tested on (columns)",
            *table(cells[0], cells[1:]),
            *(f"failed: {failure.name}: {failure.cause}" for failure in self.failures.values()),
            *(f"left out: {data}: {name}: {cause}" for (data, name), cause in left_out.items()),
            *(f"left out: training {t.name}: {one}" for t in self.trained for one in t.left_out),
            *(f"note: {note}" for note in self.notes),
            f"report {self.out / 'report.html'}",
        ]

    def mae_table(self) -> list[tuple[str, ...]]:
        """The errors in bpm as texts: a head, then a row for each row of the matrix."""
        from physkit.evaluate.result import shown

        def told(cell: "Cell") -> str:
            figures = self.figures.get(cell)
            return shown(figures.metrics.mae_bpm.value, 2) if figures else "failed"

        cells = {(cell.row, cell.column): told(cell) for cell in self.plan.cells}
        columns = self.plan.columns
        rows = [(row, *(cells[row, column] for column in columns)) for row in self.plan.rows]
        return [("", *columns), *rows]


def matrix_markdown(cells: Sequence[Sequence[str]]) -> str:
    """A table, its head first, as Markdown."""
    rule = ["---", *["---:"] * (len(cells[0]) - 1)]
    escaped = [[text.replace("|", r"\|") for text in row] for row in cells]
    return "".join(f"| {' | '.join(row)} |\n" for row in (escaped[0], rule, *escaped[1:]))


def matrix_latex(cells: Sequence[Sequence[str]]) -> str:
    """A table, its head first, as a LaTeX tabular with the rules of booktabs."""
    rows = [" & ".join(text.translate(LATEX) for text in row) + r" \\" for row in cells]
    columns = "l" + "r" * (len(cells[0]) - 1)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", rows[0], r"\midrule", *rows[1:]]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def matrix_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """The table of cells as CSV; what has no value is empty."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: "" if _is_missing(value) else value for name, value in row.items()})
    return stream.getvalue()


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))
