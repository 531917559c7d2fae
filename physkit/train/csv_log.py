"""A log as one CSV file that a resumed run goes on with."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from physkit.core.files import whole_file


class CsvLog(Logger):
    """A row for each call, with a fixed header: step first, then `columns`, empty where unknown.

    Lightning's CSVLogger deletes the rows of a run that is resumed.
    after_step: a resumed run's step; rows of later steps, and a half-written one, are dropped.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, after_step: int = 0) -> None:
        super().__init__()
        self.path = path
        self.columns = ("step", *columns)
        self._after_step = after_step
        self._is_begun = False

    @property
    def name(self) -> str:
        """csv."""
        return "csv"

    @property
    def version(self) -> str:
        """None."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Not in this file."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Append a row."""
        if not self._is_begun:
            self._begin()
        row = {"step": step, **metrics}
        values = [row.get(name, "") for name in self.columns]
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line([repr(v) if isinstance(v, float) else str(v) for v in values]))

    def _begin(self) -> None:
        """The file as the resumed run left it; only now, for other processes have this log too."""
        kept = _rows_until(self.path, self._after_step) if self._after_step else []
        with whole_file(self.path) as unfinished:
            text = "".join(map(_line, [list(self.columns), *kept]))
            unfinished.write_text(text, encoding="utf-8")
        self._is_begun = True


def read_csv_log(path: Path) -> list[dict[str, str]]:
    """The rows of a log."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _rows_until(path: Path, step: int) -> list[list[str]]:
    """Whole rows up to a step, without the header; none where there is no file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    rows = [next(csv.reader([line])) for line in lines[1:] if line.endswith("\n")]
    return [row for row in rows if row and int(row[0]) <= step]


def _line(values: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
