from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from physkit.core.errors import UnknownNameError, WeightsError
from physkit.face.box import Box, overlap
from physkit.face.detect import DETECTORS
from physkit.face.detect.base import FaceDetector
from physkit.face.detect.haar import HaarConfig, HaarDetector
from physkit.media.frames import Frame

PUBLISHED_BOX = Box(25.0, 18.0, 420.0, 512.0)
"""Face box in face.mp4 for which the released FacePhys was measured."""
FACE = 0.5
"""Confidence of a face."""

ReadVideo = Callable[[str], list[Frame]]


def smooth_noise(sigma_px: float) -> np.ndarray:
    rng = np.random.default_rng(int(sigma_px))
    noise = cv2.GaussianBlur(rng.normal(size=(480, 640, 3)), (0, 0), sigma_px)
    return cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def shuffled(picture: np.ndarray, side: int) -> np.ndarray:
    """The picture cut into squares that lie in a random order."""
    rows, columns = picture.shape[0] // side, picture.shape[1] // side
    parts = picture[: rows * side, : columns * side].reshape(rows, side, columns, side, 3)
    parts = parts.swapaxes(1, 2).reshape(-1, side, side, 3)
    parts = np.random.default_rng(side).permutation(parts)
    return (
        parts.reshape(rows, columns, side, side, 3)
        .swapaxes(1, 2)
        .reshape(rows * side, columns * side, 3)
    )


def test_face_box_is_the_published_one(detector: FaceDetector, face_picture: np.ndarray) -> None:
    (faces,) = detector.detect([face_picture])
    assert faces[0].confidence > 0.7
    assert overlap(detector.face_box.apply(faces[0].box), PUBLISHED_BOX) > 0.9


@pytest.mark.parametrize("name", ["single_face.mp4", "WolfgangLanger_Pexels.mp4"])
def test_detectors_agree_on_the_face_box(assets: Path, read_video: ReadVideo, name: str) -> None:
    picture = read_video(name)[0].rgb
    haar = DETECTORS["haar"]()
    blazeface = DETECTORS["blazeface"](assets / "faces" / "blaze_face_short_range.tflite")
    boxes = [d.face_box.apply(d.detect([picture])[0][0].box) for d in (haar, blazeface)]
    assert overlap(*boxes) > 0.7


def test_boxes_follow_mirroring_and_scale(detector: FaceDetector, face_picture: np.ndarray) -> None:
    height, width = face_picture.shape[:2]
    mirrored = np.ascontiguousarray(face_picture[:, ::-1])
    larger = cv2.resize(face_picture, (2 * width, 2 * height))
    plain, flipped, doubled = (
        detector.detect([picture])[0][0].box for picture in (face_picture, mirrored, larger)
    )
    back = Box(width - flipped.x - flipped.width, flipped.y, flipped.width, flipped.height)
    assert overlap(plain, back) > 0.85
    assert overlap(plain, doubled.scaled(0.5)) > 0.85


@pytest.mark.parametrize("width_px", [100, 160, 300])
def test_small_faces_in_large_pictures_are_found(
    detector: FaceDetector, face_picture: np.ndarray, width_px: int
) -> None:
    scale = width_px / PUBLISHED_BOX.width
    if isinstance(detector, HaarDetector) and width_px < 0.14 * 1080:
        pytest.skip("the cascade looks for faces above an eighth of the picture's shorter side")
    picture = np.full((1080, 1920, 3), 90, np.uint8)
    small = cv2.resize(face_picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture[300 : 300 + small.shape[0], 700 : 700 + small.shape[1]] = small
    face = detector.detect([picture])[0][0]
    expected = PUBLISHED_BOX.scaled(scale).moved(700.0, 300.0)
    assert face.confidence > FACE
    assert overlap(detector.face_box.apply(face.box), expected) > 0.6


def test_five_faces_are_found_by_blazeface(assets: Path) -> None:
    picture = cv2.imread(str(assets / "videos" / "multi_face.jpg"))[..., ::-1]
    blazeface = DETECTORS["blazeface"](assets / "faces" / "blaze_face_short_range.tflite")
    faces = blazeface.detect([np.ascontiguousarray(picture)])[0]
    assert sum(face.confidence > FACE for face in faces) == 5
    assert faces == sorted(faces, key=lambda face: -face.confidence)


def test_landmarks_lie_on_the_face(assets: Path, face_picture: np.ndarray) -> None:
    blazeface = DETECTORS["blazeface"](assets / "faces" / "blaze_face_short_range.tflite")
    landmarks = blazeface.detect([face_picture])[0][0].landmarks
    right_eye, left_eye, nose, mouth = landmarks[:4]
    np.testing.assert_allclose(right_eye, (165, 220), atol=20)
    np.testing.assert_allclose(left_eye, (318, 240), atol=20)
    np.testing.assert_allclose(nose, (230, 325), atol=30)
    np.testing.assert_allclose(mouth, (225, 395), atol=25)


def test_a_batch_equals_single_pictures(detector: FaceDetector, face_picture: np.ndarray) -> None:
    black = np.zeros((90, 160, 3), np.uint8)
    batch = detector.detect([face_picture, black, face_picture])
    assert [len(faces) for faces in batch] == [1, 0, 1]
    assert batch[0][0].box == batch[2][0].box == detector.detect([face_picture])[0][0].box


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((480, 640, 3), np.uint8),
        np.full((480, 640, 3), 255, np.uint8),
        np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8),
        *[smooth_noise(sigma) for sigma in (2.0, 6.0, 16.0, 48.0)],
    ],
)
def test_featureless_pictures_hold_no_face(detector: FaceDetector, picture: np.ndarray) -> None:
    assert all(face.confidence < FACE for face in detector.detect([picture])[0])


@pytest.mark.parametrize("side", [24, 48])
def test_shuffled_faces_are_no_faces(
    detector: FaceDetector, face_picture: np.ndarray, side: int
) -> None:
    picture = shuffled(face_picture, side)
    assert all(face.confidence < FACE for face in detector.detect([picture])[0])


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (16, 16), (40, 7)])
def test_tiny_pictures_are_no_trouble(detector: FaceDetector, shape: tuple[int, int]) -> None:
    assert detector.detect([np.full((*shape, 3), 128, np.uint8)]) == [[]]
    assert detector.detect([np.full((*shape, 3), 128, np.uint8)], min_face=0.3) == [[]]


def test_unknown_cascade_is_named() -> None:
    with pytest.raises(UnknownNameError, match="haarcascade_frontalface_alt2"):
        HaarDetector(HaarConfig(cascade="haarcascade_frontalface_alt3"))


@pytest.mark.parametrize("content", [None, b"", b"not a model" * 50])
def test_damaged_model_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.tflite") as caught:
        DETECTORS["blazeface"](path)
    assert "\n" not in str(caught.value)


def test_cut_model_is_refused(assets: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes((assets / "faces" / "blaze_face_short_range.tflite").read_bytes()[:100_000])
    with pytest.raises(WeightsError, match=r"cut\.tflite"):
        DETECTORS["blazeface"](path)


def test_another_model_is_refused(assets: Path) -> None:
    with pytest.raises(WeightsError, match="another model"):
        DETECTORS["blazeface"](assets / "facephys" / "model.tflite")
