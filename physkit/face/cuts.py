"""Sudden changes of the whole picture."""

import numpy as np
from jaxtyping import Float32

from physkit.media.picture import Picture

GRID_PX = 32
"""Frames are compared by about this many pixels along each side: a cut changes them all."""


class CutFinder:
    """Finds cuts in frames that stream by, by the mean change of a sparse grid of pixels.

    level: change between neighbours, in grey levels of 255, from which on it is a cut, if the
      change before it was less than half of it (pictures in constant commotion have no cuts).
    """

    def __init__(self, level: float) -> None:
        self._level = level
        self._last_grid: Float32[np.ndarray, "rows columns"] | None = None
        self._last_change = 0.0

    def is_cut(self, picture: Picture) -> bool:
        """Whether it begins another scene than the picture before; a change of size does."""
        grid = picture.brightness_grid(GRID_PX)
        last, self._last_grid = self._last_grid, grid
        if last is None or last.shape != grid.shape:
            self._last_change = 0.0
            return last is not None
        change = float(np.abs(grid - last).mean())
        last_change, self._last_change = self._last_change, change
        return change > self._level and last_change < change / 2
