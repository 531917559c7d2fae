"""The picture of a matrix: the error of every person, and what it is on average."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from physkit.crossdomain.cells import Figures
from physkit.evaluate.report.figures import BLUE, ORANGE, as_svg, dot_alpha, dot_area

LEAST_BPM = 0.1
"""Smaller errors are drawn here: the axis is logarithmic."""
LINE = 28
"""Letters in a line of a row's name."""
TICKS_BPM = (0.1, 0.3, 1, 3, 10, 30, 100)


def subjects_svg(
    rows: Sequence[str], columns: Sequence[tuple[str, Sequence[Figures | None]]]
) -> str:
    """A panel for each tested data set; in it for each row a dot a person, and the mean with its
    95 % interval over people.

    columns: data set and the figures of its cells in the order of `rows`; None where one failed.
    """
    titles = [fill(f"tested on {name}", 80 // len(columns)) for name, _ in columns]
    names = [fill(row, LINE) for row in rows]
    n_lines = sum(max(1.5, name.count("\n") + 1) for name in names)
    height = 1.1 + 0.28 * n_lines + 0.17 * max(title.count("\n") for title in titles)
    figure = Figure(figsize=(10, height), layout="constrained")
    panels = figure.subplots(1, len(columns), sharex=True, sharey=True, squeeze=False)[0]
    most = max((len(cell.subjects) for _, cells in columns for cell in cells if cell), default=0)
    for axes, title, (_, cells) in zip(panels, titles, columns, strict=True):
        for place, cell in enumerate(cells):
            if cell is not None:
                _draw(axes, place, cell, n_dots=most * len(rows))
        axes.set_title(title, fontsize=10, parse_math=False)
        axes.set_xlabel("MAE (bpm)")
        axes.grid(axis="x", color="#e3e6ea", linewidth=0.8)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.set_axisbelow(True)
    first = panels[0]
    first.set_xscale("log")
    first.set_yticks(range(len(rows)), names, parse_math=False)
    first.set_ylim(len(rows) - 0.5, -0.5)
    largest = max((e for _, cells in columns for c in cells if c for e in _errors(c)), default=1.0)
    first.set_xlim(LEAST_BPM * 0.8, max(10.0, largest * 1.3))
    first.set_xticks([tick for tick in TICKS_BPM if tick <= max(10.0, largest * 1.3)])
    first.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    first.xaxis.set_minor_formatter(NullFormatter())
    return as_svg(figure, "people")


def _errors(cell: Figures) -> list[float]:
    return [max(error, LEAST_BPM) for error in cell.subjects.values() if np.isfinite(error)]


def _draw(axes: Axes, place: int, cell: Figures, *, n_dots: int) -> None:
    errors = _errors(cell)
    # spread by a fixed pattern, so that equal results give equal pictures
    spread = 0.22 * np.sin(2.4 * np.arange(len(errors)))
    size, alpha = dot_area(n_dots), dot_alpha(n_dots)
    axes.scatter(errors, place + spread, s=size, alpha=alpha, color=BLUE, linewidths=0)
    estimate = cell.metrics.mae_bpm
    if not np.isfinite(estimate.value):
        return
    if np.isfinite(estimate.interval).all():
        ends = np.maximum(estimate.interval, LEAST_BPM)
        axes.plot(ends, [place, place], color=ORANGE, linewidth=2, solid_capstyle="butt")
    mean = max(estimate.value, LEAST_BPM)
    axes.plot([mean], [place], "D", color=ORANGE, markersize=5)
