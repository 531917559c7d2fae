"""Sudden changes of the whole picture."""

import numpy as np
from jaxtyping import Float32

from physkit.media.picture import Picture

GRID_PX = 32
"""Frames are compared by about this many pixels along each side: a cut changes them all."""
SCENE_LEVEL = 6.0
"""Sudden mean change that no change of brightness or contrast explains, in grey levels of 255, that
is a cut too. Between two people before one wall it is 7 or more; within a scene at most 3 were
sudden (all changes: 11)."""
SUDDEN = 4.0
"""Times the change before it that such a change must be."""


class CutFinder:
    """Finds cuts in frames that stream by, by the mean change of a sparse grid of pixels.

    level: change between neighbours, in grey levels of 255, from which on it is a cut, if the
      change before it was less than half of it (pictures in constant commotion have no cuts).
    Another person before the same background changes less: see `SCENE_LEVEL`.
    """

    def __init__(self, level: float) -> None:
        self._level = level
        self._last_grid: Float32[np.ndarray, "rows columns"] | None = None
        self._last_change = self._last_unlike = 0.0

    def is_cut(self, picture: Picture) -> bool:
        """Whether it begins another scene than the picture before; a change of size does."""
        grid = picture.brightness_grid(GRID_PX)
        last, self._last_grid = self._last_grid, grid
        if last is None or last.shape != grid.shape:
            self._last_change = self._last_unlike = 0.0
            return last is not None
        change, unlike = float(np.abs(grid - last).mean()), _unlikeness(last, grid)
        last_change, self._last_change = self._last_change, change
        last_unlike, self._last_unlike = self._last_unlike, unlike
        is_other_scene = unlike > SCENE_LEVEL and last_unlike < unlike / SUDDEN
        return is_other_scene or (change > self._level and last_change < change / 2)


def _unlikeness(
    last: Float32[np.ndarray, "rows columns"], grid: Float32[np.ndarray, "rows columns"]
) -> float:
    """Mean change that is left when brightness and contrast of the last grid are fitted."""
    before, now = last - last.mean(), grid - grid.mean()
    power = float((before * before).sum())
    contrast = float((before * now).sum()) / power if power > 0 else 0.0
    return float(np.abs(now - contrast * before).mean())
