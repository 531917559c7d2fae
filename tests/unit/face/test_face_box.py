import pytest

from physkit.face.box import Box, box_at, overlap, shift


def test_a_box_inside_is_not_cut() -> None:
    box = Box(1.5, 2.0, 3.0, 4.0)
    assert box.clipped(10, 20) == box


def test_a_box_across_the_edge_is_cut_there() -> None:
    assert Box(-2.0, -3.0, 5.0, 6.0).clipped(10, 20) == Box(0.0, 0.0, 3.0, 3.0)
    assert Box(18.0, 8.0, 5.0, 6.0).clipped(10, 20) == Box(18.0, 8.0, 2.0, 2.0)


@pytest.mark.parametrize("x", [-5.0, 20.0, 30.0])
def test_a_box_outside_is_none(x: float) -> None:
    assert Box(x, 0.0, 5.0, 5.0).clipped(10, 20) is None


def test_overlap_is_intersection_over_union() -> None:
    box = Box(0.0, 0.0, 2.0, 2.0)
    assert overlap(box, box) == pytest.approx(1)
    assert overlap(box, box.moved(1.0, 0.0)) == pytest.approx(1 / 3)
    assert overlap(box, box.moved(2.0, 0.0)) == 0


def test_shift_counts_moves_in_widths_and_growth_both_ways() -> None:
    box = box_at(50.0, 50.0, 20.0, 20.0)
    assert shift(box, box) == 0
    assert shift(box, box.moved(3.0, 4.0)) == pytest.approx(0.25)
    assert shift(box, box_at(50.0, 50.0, 30.0, 30.0)) == pytest.approx(0.5)
    assert shift(box_at(50.0, 50.0, 30.0, 30.0), box) == pytest.approx(0.5)


def test_half_way_is_the_mean_box() -> None:
    half = Box(0.0, 2.0, 4.0, 6.0).between(Box(2.0, 4.0, 8.0, 6.0), 0.5)
    assert half == Box(1.0, 3.0, 6.0, 6.0)
