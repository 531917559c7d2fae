"""Detectors on the real models, and the frames of the real videos."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from physkit.face.detect import DETECTORS
from physkit.face.detect.base import FaceDetector
from physkit.media.frames import Frame
from physkit.media.open import open_frames


@pytest.fixture(params=list(DETECTORS))
def detector(request: pytest.FixtureRequest) -> FaceDetector:
    if request.param == "blazeface":
        assets: Path = request.getfixturevalue("assets")
        return DETECTORS["blazeface"](assets / "faces" / "blaze_face_short_range.tflite")
    return DETECTORS[request.param]()


@pytest.fixture(scope="session")
def read_video(assets: Path) -> Callable[[str], list[Frame]]:
    def read(name: str) -> list[Frame]:
        with open_frames(assets / "videos" / name) as source:
            return list(source)

    return read


@pytest.fixture(scope="session")
def face_picture(assets: Path) -> np.ndarray:
    """The first frame of face.mp4, whose published face box is 25, 18, 420, 512."""
    with open_frames(assets / "videos" / "face.mp4") as source:
        return next(iter(source)).rgb
