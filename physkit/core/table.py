"""Tables as plain lines, for results that are printed."""

from collections.abc import Iterable, Sequence

LABEL_WIDTH = 20
"""Characters of a label, its gap included: the same in every command, so that their lines align."""
WIDEST = 1_000_000
"""Characters of a line: no cell is ever cut or wrapped, whatever the terminal."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int = 1) -> list[str]:
    """Lines with aligned columns, without colours or frames.

    head: names of the columns; a row may be shorter. texts: columns from the first that hold texts,
    which start at the left; the others hold numbers, which end at the right. A last column without
    a name holds remarks: text too.
    """
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(head))
    for index, name in enumerate(head):
        is_text = index < texts or not name
        grid.add_column(name, justify="left" if is_text else "right", no_wrap=True)
    for row in rows:
        grid.add_row(*(" ".join(cell.split()) for cell in row))
    console = Console(
        width=WIDEST,
        color_system=None,
        force_jupyter=False,
        markup=False,
        emoji=False,
        highlight=False,
    )
    with console.capture() as captured:
        console.print(grid)
    return [line.rstrip() for line in captured.get().splitlines()]


def cell(value: float | None, form: str) -> str:
    """A number as a cell; a dash where there is none."""
    return "-" if value is None else format(value, form)


def labelled(rows: Iterable[tuple[str, str]]) -> list[str]:
    """A line for each label and its value."""
    return [f"{label:{LABEL_WIDTH}s}{value}" for label, value in rows]
