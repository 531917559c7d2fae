"""Small videos made on the spot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from clips import write_video


@pytest.fixture
def make_video() -> Callable[..., Path]:
    return write_video


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """Thirty 96x64 pictures: a red left upper corner, a blue right half, slowly brightening."""
    made = []
    for index in range(30):
        picture = np.full((64, 96, 3), 60 + index, np.uint8)
        picture[:32, :48] = (200, 30, 30)
        picture[:, 64:, 2] = 180
        made.append(picture)
    return made
