"""3x3 convolutions of one plane size by fewer multiplications: Winograd's minimal filtering.

A tile of m x m results takes (m + 2)^2 products where the sum over taps takes 9 m^2: 36 in place
of 144 for m = 4. Between two fixed linear maps, of a tile of the input and to a tile of the output,
it is a product of matrices for each of the (m + 2)^2 planes. Lavin and Gray, arXiv 1509.09308.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

TAPS = 3


class Filtering(NamedTuple):
    """The linear maps of one axis, for tiles of m results: their rows are what comes out."""

    split: tuple[tuple[float, ...], ...]
    """Of m + 2 inputs, to as many planes."""
    kernel: tuple[tuple[float, ...], ...]
    """Of 3 taps, to m + 2 planes."""
    join: tuple[tuple[float, ...], ...]
    """Of m + 2 planes, to m results."""


FILTERINGS = {
    3: Filtering(  # from the values at 0, 1, -1, 2 and infinity
        split=(
            (2, -1, -2, 1, 0),
            (0, -2, -1, 1, 0),
            (0, 2, -3, 1, 0),
            (0, -1, 0, 1, 0),
            (0, 2, -1, -2, 1),
        ),
        kernel=(
            (1 / 2, 0, 0),
            (-1 / 2, -1 / 2, -1 / 2),
            (-1 / 6, 1 / 6, -1 / 6),
            (1 / 6, 1 / 3, 2 / 3),
            (0, 0, 1),
        ),
        join=((1, 1, 1, 1, 0), (0, 1, -1, 2, 0), (0, 1, 1, 4, 1)),
    ),
    4: Filtering(  # and at -2
        split=(
            (4, 0, -5, 0, 1, 0),
            (0, -4, -4, 1, 1, 0),
            (0, 4, -4, -1, 1, 0),
            (0, -2, -1, 2, 1, 0),
            (0, 2, -1, -2, 1, 0),
            (0, 4, 0, -5, 0, 1),
        ),
        kernel=(
            (1 / 4, 0, 0),
            (-1 / 6, -1 / 6, -1 / 6),
            (-1 / 6, 1 / 6, -1 / 6),
            (1 / 24, 1 / 12, 1 / 6),
            (1 / 24, -1 / 12, 1 / 6),
            (0, 0, 1),
        ),
        join=(
            (1, 1, 1, 1, 1, 0),
            (0, 1, -1, 2, -2, 0),
            (0, 1, 1, 4, 4, 0),
            (0, 1, -1, 8, -8, 1),
        ),
    ),
}
"""By tile side. Larger tiles save little more, and lose digits of float32."""
LEAST_SIDE = 7
"""Smaller planes are convolved as fast by the sum over taps."""
LARGE_SIDE = 13
"""From which tiles of 4 are the faster ones."""


@dataclass(frozen=True)
class Tiling:
    """The tiles of planes (height width)."""

    height: int
    """Rows of a plane."""
    width: int
    """Columns of a plane."""

    @property
    def pays(self) -> bool:
        """Whether planes are large enough for it to be faster."""
        return min(self.height, self.width) >= LEAST_SIDE

    def kernel(self, weight: Float[np.ndarray, "3 3 c o"]) -> Float[np.ndarray, "q c o"]:
        """What the planes of `split` are multiplied by, for a convolution with `weight`."""
        down, across = (np.array(self._filtering(n).kernel) for n in (self.height, self.width))
        planes = np.einsum("ak,bl,klco->baco", down, across, weight)
        return planes.reshape(-1, *weight.shape[2:])

    def split(self, x: Float[Array, "b h w c"]) -> Float[Array, "q n c"]:
        """Every plane of every tile, of `x` with a border of zeros."""
        (rows, down), (columns, across) = self._tiles(self.height), self._tiles(self.width)
        below, right = rows * down - self.height + 1, columns * across - self.width + 1
        x = jnp.pad(x, ((0, 0), (1, below), (1, right), (0, 0)))
        # An axis a time, each into one array: taken at once they are computed many times over.
        steps = [x[:, i : i + down * (rows - 1) + 1 : down] for i in range(down + TAPS - 1)]
        x = jnp.stack(_apply(self._filtering(self.height).split, steps))
        steps = [
            x[:, :, :, i : i + across * (columns - 1) + 1 : across]
            for i in range(across + TAPS - 1)
        ]
        x = jnp.stack(_apply(self._filtering(self.width).split, steps))
        return x.reshape(x.shape[0] * x.shape[1], -1, x.shape[-1])

    def join(self, planes: Float[Array, "q n o"]) -> Float[Array, "b h w o"]:
        """The convolution's results, of the products of planes."""
        (rows, down), (columns, across) = self._tiles(self.height), self._tiles(self.width)
        n_out = planes.shape[-1]
        shape = (across + TAPS - 1, down + TAPS - 1, -1, rows, columns, n_out)
        x = planes.reshape(shape)
        x = jnp.stack(_apply(self._filtering(self.width).join, list(x)), axis=4)
        x = jnp.stack(_apply(self._filtering(self.height).join, list(x)), axis=2)
        x = x.reshape(-1, rows * down, columns * across, n_out)
        return x[:, : self.height, : self.width]

    def _tiles(self, side: int) -> tuple[int, int]:
        """How many there are along an axis, and how many results each has there."""
        m = 4 if side >= LARGE_SIDE else 3
        return -(-side // m), m

    def _filtering(self, side: int) -> Filtering:
        return FILTERINGS[self._tiles(side)[1]]


def _apply(rows: Sequence[Sequence[float]], xs: Sequence[Array]) -> list[Array]:
    """For each row the sum of `xs` by its weights, with no product by 0 or 1."""
    return [
        sum(_times(weight, x) for weight, x in zip(row, xs, strict=True) if weight)  # type: ignore[misc]
        for row in rows
    ]


def _times(weight: float, x: Array) -> Array:
    return x if weight == 1 else -x if weight == -1 else weight * x
