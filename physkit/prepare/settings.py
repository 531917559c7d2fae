"""How recordings are prepared, down to every value that changes what is stored."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from physkit.face.config import FaceConfig
from physkit.face.detect.base import FaceDetector
from physkit.face.track import FaceTracker
from physkit.inference.crops import detector_file, make_detector

VERSION = 1
"""Rises whenever the same settings would give other stored values."""


@dataclass(frozen=True)
class CropSettings:
    """How a worker finds and crops faces."""

    detector: str
    """Name in `DETECTORS`."""
    detector_path: Path | None
    """Its model file, where it has one."""
    size_px: int
    """Side of the stored crops."""

    def make_detector(self) -> FaceDetector:
        """The detector, ready to use."""
        return make_detector(self.detector, self.detector_path)


def choose_crop_settings(face: FaceConfig, *, size_px: int) -> CropSettings:
    """How to crop, by these options. Raises WeightsError as `detector_file` does."""
    path = detector_file(face.detector, face.weights)
    return CropSettings(face.detector, None if path is None else path.absolute(), size_px)


def stored_settings(crop: CropSettings) -> dict[str, Any]:
    """The attribute `settings`: JSON that is equal exactly where the stored values would be.

    Raises WeightsError for a model file that is not the detector's.
    """
    detector = crop.make_detector()
    about: dict[str, Any] = {"name": crop.detector}
    if crop.detector_path is not None:
        about["sha256"] = _sha256(crop.detector_path)
    about |= dataclasses.asdict(detector.config)
    tracker = dataclasses.asdict(FaceTracker(detector).config)
    settings = {
        "version": VERSION,
        "size_px": crop.size_px,
        "detector": about,
        "tracker": tracker,
    }
    plain: dict[str, Any] = json.loads(json.dumps(settings))  # tuples become lists, as when stored
    return plain


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
