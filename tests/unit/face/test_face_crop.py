from pathlib import Path

import cv2
import numpy as np
import pytest

from physkit.face.box import Box
from physkit.face.crop import crop_face, crop_tracked
from physkit.face.track import TrackedFrame
from physkit.media.open import open_frames

PICTURE = np.random.default_rng(0).integers(0, 256, (72, 108, 3), dtype=np.uint8)


def test_whole_multiples_are_plain_means() -> None:
    crop = crop_face(PICTURE, Box(0.0, 0.0, 108.0, 72.0), size=36)
    means = PICTURE.reshape(36, 2, 36, 3, 3).mean(axis=(1, 3))
    assert np.abs(crop - means).max() <= 0.51


def test_published_crop_is_reproduced(face_picture: np.ndarray) -> None:
    crop = crop_face(face_picture, Box(25.0, 18.0, 420.0, 512.0))
    published = cv2.resize(face_picture[18:530, 25:445], (36, 36), interpolation=cv2.INTER_AREA)
    difference = np.abs(crop.astype(int) - published)
    assert difference.max() <= 1  # OpenCV rounds means that lie half way either way
    assert np.count_nonzero(difference) < 0.002 * difference.size


def test_a_tracked_frame_is_cropped_as_its_whole_picture_is(
    assets: Path, face_picture: np.ndarray
) -> None:
    with open_frames(assets / "videos" / "face.mp4") as source:
        frame = next(iter(source))
    for box in (Box(25.0, 18.0, 420.0, 512.0), Box(101.3, 77.7, 203.1, 250.9)):
        tracked = TrackedFrame(frame, box, 1.0, 0)
        np.testing.assert_array_equal(crop_tracked(tracked), crop_face(face_picture, box))
    assert "rgb" not in vars(frame)  # the whole was never converted
    assert crop_tracked(TrackedFrame(frame, None, 0.0, None)) is None


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
