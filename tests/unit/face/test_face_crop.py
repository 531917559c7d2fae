import cv2
import numpy as np
import pytest

from physkit.face.box import Box
from physkit.face.crop import crop_face

PICTURE = np.random.default_rng(0).integers(0, 256, (72, 108, 3), dtype=np.uint8)


def test_whole_multiples_are_plain_means() -> None:
    crop = crop_face(PICTURE, Box(0.0, 0.0, 108.0, 72.0), size=36)
    means = PICTURE.reshape(36, 2, 36, 3, 3).mean(axis=(1, 3))
    assert np.abs(crop - means).max() <= 0.51


def test_published_crop_is_reproduced(face_picture: np.ndarray) -> None:
    crop = crop_face(face_picture, Box(25.0, 18.0, 420.0, 512.0))
    published = cv2.resize(face_picture[18:530, 25:445], (36, 36), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(crop, published)


def test_mean_colour_survives(face_picture: np.ndarray) -> None:
    crop = crop_face(face_picture, Box(100.0, 100.0, 300.0, 300.0))
    inside = face_picture[100:400, 100:400]
    np.testing.assert_allclose(crop.mean((0, 1)), inside.mean((0, 1)), atol=0.1)


@pytest.mark.parametrize(
    "box",
    [
        Box(-50.0, -50.0, 60.0, 60.0),
        Box(100.0, 60.0, 500.0, 500.0),
        Box(500.0, 500.0, 5.0, 5.0),
        Box(-500.0, -500.0, 5.0, 5.0),
        Box(10.2, 10.2, 0.1, 0.1),
    ],
)
def test_any_box_gives_a_crop(box: Box) -> None:
    assert crop_face(PICTURE, box, size=9).shape == (9, 9, 3)


def test_one_pixel_pictures_are_blown_up() -> None:
    crop = crop_face(np.full((1, 1, 3), 7, np.uint8), Box(0.0, 0.0, 1.0, 1.0), size=4)
    assert (crop == 7).all()
