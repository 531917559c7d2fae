"""Area means are exact, whatever the sizes."""

from fractions import Fraction
from itertools import pairwise
from math import floor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from physkit.media.area import area_resized


def by_definition(channel: np.ndarray, height: int, width: int) -> np.ndarray:
    """Mean of the area that each new pixel covers, in fractions, rounded half up."""

    def shares(old: int, new: int) -> list[list[Fraction]]:
        edges = [Fraction(i * old, new) for i in range(new + 1)]
        return [
            [
                max(Fraction(0), min(stop, Fraction(p + 1)) - max(start, Fraction(p)))
                for p in range(old)
            ]
            for start, stop in pairwise(edges)
        ]

    rows, columns = shares(channel.shape[0], height), shares(channel.shape[1], width)
    area = Fraction(channel.shape[0] * channel.shape[1], height * width)
    values = channel.astype(object)
    sums = np.array(rows, object) @ values @ np.array(columns, object).T
    return np.vectorize(lambda s: floor(s / area + Fraction(1, 2)), otypes=[np.uint8])(sums)


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(*[st.integers(1, 24)] * 4).filter(lambda s: s[0] >= s[2] and s[1] >= s[3]),
    seed=st.integers(0, 99),
)
def test_every_mean_is_exact(sides: tuple[int, int, int, int], seed: int) -> None:
    old_height, old_width, height, width = sides
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (old_height, old_width, 3), dtype=np.uint8)
    small = area_resized(pixels, height=height, width=width)
    for channel in range(3):
        expected = by_definition(pixels[..., channel], height, width)
        np.testing.assert_array_equal(small[..., channel], expected)


@pytest.mark.parametrize(("height", "width"), [(313, 257), (512, 420), (101, 1999)])
def test_large_pictures_equal_opencv_up_to_its_rounding(height: int, width: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    theirs = cv2.resize(pixels, (36, 36), interpolation=cv2.INTER_AREA)
    difference = np.abs(area_resized(pixels, height=36, width=36).astype(int) - theirs)
    assert difference.max() <= 1
    assert np.count_nonzero(difference) < 0.005 * difference.size


@pytest.mark.parametrize("level", [0, 1, 254, 255])
def test_a_plain_picture_keeps_its_colour_up_to_the_largest_size(level: int) -> None:
    for shape in ((2900, 2900, 3), (3100, 3000, 3), (37, 36, 3), (5, 700, 3)):
        small = area_resized(np.full(shape, level, np.uint8), height=36, width=36)
        assert (small == level).all()


def test_parts_of_other_arrays_are_taken_as_they_lie() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (90, 80, 3), dtype=np.uint8)
    for view in (pixels[::-1], pixels[3:77, 5:66], pixels[:, ::-1], pixels[..., ::-1]):
        np.testing.assert_array_equal(
            area_resized(view, height=9, width=8),
            area_resized(np.ascontiguousarray(view), height=9, width=8),
        )
