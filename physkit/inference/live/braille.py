"""A line drawn in characters of two by four dots."""

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Float

DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Which bit of a braille character each of its dots is."""
BLANK = 0x2800
TRIM = (2.0, 98.0)
"""Percentiles of the samples between which the line has its full height."""


def drawn_line(
    samples: Float[np.ndarray, "t"],
    times_s: Float[np.ndarray, "t"],
    *,
    columns: int,
    rows: int,
    window_s: float,
    unicode: bool,
) -> list[str]:
    """The last `window_s` of a signal, the latest at the right, as `rows` lines of text.

    NaN are gaps. unicode: in braille; else in asterisks.
    """
    dots = _dots(samples, times_s, width=2 * columns, height=4 * rows, window_s=window_s)
    cells = rearrange(dots, "(row y) (column x) -> row column y x", y=4, x=2)
    if not unicode:
        return ["".join("*" if cell.any() else " " for cell in row) for row in cells]
    codes = BLANK + (cells * DOTS).sum(axis=(2, 3))
    return ["".join(chr(code) for code in row) for row in codes]


def _dots(
    samples: Float[np.ndarray, "t"],
    times_s: Float[np.ndarray, "t"],
    *,
    width: int,
    height: int,
    window_s: float,
) -> Bool[np.ndarray, "height width"]:
    """Dots that are set, the first row on top; neighbours in time are joined."""
    dots = np.zeros((height, width), bool)
    seen = np.isfinite(samples)
    if not seen.any():
        return dots
    low, high = np.percentile(samples[seen], TRIM)
    spread = max(high - low, 1e-9)
    share = np.clip((samples - low) / spread, 0, 1) if high > low else 0.5 + 0 * samples
    age_s = times_s[-1] - times_s
    x = np.floor((1 - age_s / window_s) * width - 1e-9)
    last: tuple[int, int] | None = None
    for column, level in zip(x.tolist(), ((1 - share) * (height - 1)).tolist(), strict=True):
        if not 0 <= column < width or level != level:
            last = None
            continue
        here = int(column), round(level)
        _join(dots, last or here, here)
        last = here
    return dots


def _join(dots: Bool[np.ndarray, "height width"], a: tuple[int, int], b: tuple[int, int]) -> None:
    """Sets the dots between two of them, a not being to the right of b."""
    n = max(b[0] - a[0], abs(b[1] - a[1]), 1)
    columns = np.rint(np.linspace(a[0], b[0], n + 1)).astype(int)
    rows = np.rint(np.linspace(a[1], b[1], n + 1)).astype(int)
    dots[rows, columns] = True
