"""Numbers in text files, however they are separated, with decimal points or decimal commas."""

import re
from pathlib import Path

from physkit.core.errors import InputError

DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
SHOWN_CHARACTERS = 40
"""How much of a line its error shows."""


def separator_of(line: str) -> str | None:
    """What stands between the cells of a line of a table; None is blanks."""
    return next((mark for mark in (";", "\t", ",") if mark in line), None)


def cells(line: str, separator: str | None) -> list[str]:
    """The cells of a line, without blanks and quotes; decimal commas are points afterwards."""
    parts = [part.strip().strip('"') for part in line.split(separator)]
    return parts if separator == "," else [_with_point(part) for part in parts]


def number_rows(path: Path, lines: list[str]) -> list[list[str]]:
    """The numbers of every line, as texts with decimal points.

    They may stand between blanks, semicolons, or commas. Raises InputError where commas may stand
    between numbers as well as within them.
    """
    if any(";" in line for line in lines):
        separator: str | None = ";"
    elif any(len(line.split()) > 1 for line in lines):
        return [[_with_point(part) for part in re.split(r",?\s+", line.strip())] for line in lines]
    elif any("." in line for line in lines):
        separator = ","
    else:
        separator = None
    rows = [[cell for cell in cells(line, separator) if cell] for line in lines]
    for row, line in zip(rows, lines, strict=True):
        if separator is None and any("," in cell for cell in row):
            raise InputError(
                f"{path}: {shown(line)}: commas between numbers or within them? Write decimal "
                "points, or semicolons between the numbers"
            )
    return rows


def shown(line: str) -> str:
    """The beginning of a line, in quotes, with every invisible character spelled out."""
    return repr(line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]}...")


def _with_point(cell: str) -> str:
    return cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell
