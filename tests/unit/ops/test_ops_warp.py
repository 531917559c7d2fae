"""The affine crop: fractions of a pixel, reduction without aliasing, borders."""

import cv2
import numpy as np
import pytest

from physkit.ops.warp import BACKENDS


def _shift(dx: float, dy: float = 0.0, scale: float = 1.0) -> np.ndarray:
    return np.array([[scale, 0.0, dx], [0.0, scale, dy]])


@pytest.fixture(params=list(BACKENDS))
def warp(request):
    return BACKENDS[request.param]


def test_a_64th_of_a_pixel_moves_the_picture_where_opencv_steps_by_a_32nd(warp):
    edge = np.repeat(np.array([0, 0, 255, 255], np.uint8), 3).reshape(1, 4, 3)
    ours, theirs = [], []
    for k in range(65):
        matrix = _shift(k / 64)
        ours.append(int(warp(edge, matrix, height=1, width=3)[0, 1, 0]))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        theirs.append(int(cv2.warpAffine(edge, matrix, (3, 1), flags=flags)[0, 1, 0]))
    assert ours == [int(np.rint(255 * k / 64)) for k in range(65)]
    assert len(set(ours)) == 65
    assert len(set(theirs)) == 33


def test_the_identity_keeps_every_byte(warp):
    picture = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    assert np.array_equal(warp(picture, _shift(0.0), height=7, width=5), picture)


def test_a_plane_is_sampled_exactly_through_rotation_and_scale(warp):
    y, x = np.mgrid[:40, :50].astype(np.float64)
    plane = (0.3 * x - 0.7 * y)[..., None]
    matrix = np.array([[0.6, -0.5, 20.25], [0.5, 0.6, 8.125]])
    v, u = np.mgrid[:12, :14]
    expected = 0.3 * (0.6 * u - 0.5 * v + 20.25) - 0.7 * (0.5 * u + 0.6 * v + 8.125)
    assert np.abs(warp(plane, matrix, height=12, width=14)[..., 0] - expected).max() < 1e-12


def test_a_reduced_chequerboard_is_grey(warp):
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 200.0)[..., None]
    reduced = warp(board, _shift(8.0, 8.0, 4.0), height=12, width=12)
    assert np.abs(reduced - 100.0).max() < 1e-9


def test_outside_the_picture_its_border_goes_on(warp):
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    far = warp(picture, _shift(-9.0, 30.0), height=2, width=2)
    assert np.array_equal(far, np.broadcast_to(picture[1, 0], (2, 2, 3)))


def test_a_matrix_that_is_not_finite_is_refused(warp):
    with pytest.raises(ValueError, match="nan"):
        warp(np.zeros((2, 2, 3), np.uint8), _shift(float("nan")), height=2, width=2)
