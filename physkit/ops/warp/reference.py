"""A crop by an affine matrix in float64: the definition that fast forms are compared with."""

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import NDArray


def warp(
    picture: Shaped[NDArray[np.generic], "h w c"],
    matrix: Float[NDArray[np.float64], "2 3"],
    *,
    height: int,
    width: int,
) -> Shaped[NDArray[np.generic], "height width c"]:
    """The picture at the points to which `matrix` maps output pixels, of the picture's dtype.

    `picture` is uint8 or float, at least one pixel; `matrix` maps (column, row, 1) of an output
    pixel's centre to (x, y) in the picture, in pixels. Raises ValueError for a matrix that is not
    finite and for an empty picture.
    """
    if picture.size == 0 or not np.isfinite(matrix).all():
        raise ValueError(f"warp: a picture {picture.shape} by the matrix {matrix.tolist()}")
    v, u = np.mgrid[:height, :width].astype(np.float64)
    columns, x_weights = _taps(matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2], matrix[0, :2])
    rows, y_weights = _taps(matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 2], matrix[1, :2])
    columns = columns.clip(0, picture.shape[1] - 1)
    rows = rows.clip(0, picture.shape[0] - 1)
    out = np.zeros((height, width, picture.shape[2]))
    for j, y_weight in zip(rows, y_weights, strict=True):
        for i, x_weight in zip(columns, x_weights, strict=True):
            out += (y_weight * x_weight)[..., None] * picture[j, i]
    if picture.dtype == np.uint8:
        out = np.rint(out).clip(0, 255)
    return out.astype(picture.dtype)


def _taps(
    centre: NDArray[np.float64], slope: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The positions (k height width) that each output pixel reads on one axis, and their weights.

    `centre` (height width) is where the pixel lies; `slope` is how it moves with column and row.
    """
    reach = max(1.0, float(np.hypot(*slope)))
    first = np.floor(centre - reach).astype(np.int64) + 1
    positions = first + np.arange(int(np.ceil(2 * reach)))[:, None, None]
    weights = np.maximum(0.0, 1.0 - np.abs(positions - centre) / reach)
    return positions, weights / weights.sum(axis=0)
