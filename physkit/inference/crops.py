"""From a video, a camera or a crops file to one stream of face crops on the true clock."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from physkit.core.errors import InputError, WeightsError
from physkit.face.box import Box
from physkit.face.config import AUTO, FaceConfig
from physkit.face.crop import crop_tracked
from physkit.face.detect import DETECTORS
from physkit.face.detect.base import FaceDetector
from physkit.face.track import FaceTracker, TrackedFrame
from physkit.inference.prefetch import prefetch
from physkit.media.crops import Crops, read_crops
from physkit.media.frames import FrameSource
from physkit.media.picture import resized

DECODED_AHEAD = 16
"""Pictures that are decoded before the tracker asks for them; a raw one takes a megabyte."""
TRACKED_AHEAD = 16
"""Pictures that are tracked before they are cropped: about as many as one look lets go."""


@dataclass(frozen=True, eq=False)
class TimedCrop:
    """What one frame shows of the face."""

    timestamp_s: float
    """Presentation time in seconds."""
    crop: np.ndarray | None
    """RGB (size, size, 3), uint8 or float32 in [0, 1]; None where there is no face."""
    segment: int | None
    """Number of the unbroken stretch of one face; None without a face."""
    box: Box | None = None
    """Where the face lies in the frame, in pixels; None without a face, or where it is unknown."""
    confidence: float = 0.0
    """Confidence of the face; 0 without one, or where it is unknown."""
    face_number: int | None = 0
    """Number of the face: others may belong to somebody else. None without a face."""

    @classmethod
    def of_tracked(cls, seen: TrackedFrame, *, size: int) -> "TimedCrop":
        """What a tracked frame shows, as a crop of size x size pixels."""
        return cls(
            timestamp_s=seen.frame.timestamp_s,
            crop=crop_tracked(seen, size=size),
            segment=seen.segment,
            box=seen.box,
            confidence=seen.confidence,
            face_number=seen.face_number,
        )


def make_tracker(face: FaceConfig) -> tuple[FaceTracker, str]:
    """A tracker of faces, and the name of its detector.

    "auto": blazeface where its model file is given or was pulled, else haar, which needs none.
    Raises WeightsError where a model file is needed and none is there.
    """
    found, name = choose_detector(face)
    return FaceTracker(found), name


def choose_detector(face: FaceConfig) -> tuple[FaceDetector, str]:
    """The detector and its name; see `make_tracker`."""
    detector = face.detector
    if detector == AUTO:
        detector = "blazeface" if face.weights or _pulled_blazeface() else "haar"
    return make_detector(detector, detector_file(detector, face.weights)), detector


def detector_file(detector: str, weights: str | None) -> Path | None:
    """The model file of a detector: as given, or as pulled; None for one that takes none.

    Raises WeightsError where one is needed and none is there, or one is given in vain.
    """
    if detector != "blazeface":
        if weights:
            raise WeightsError(
                f"{weights}: detector '{detector}' takes no model file; "
                "leave --face.weights out or choose --face.detector blazeface"
            )
        return None
    model_path = Path(weights) if weights else _pulled_blazeface()
    if model_path is None:
        raise WeightsError(
            "detector 'blazeface' needs its model: give --face.weights FILE, "
            "or fetch it once by physkit weights pull blazeface"
        )
    return model_path


def make_detector(detector: str, model_path: Path | None) -> FaceDetector:
    """The detector called `detector` on its model file, where it has one."""
    factory = DETECTORS[detector]
    made: FaceDetector = factory() if model_path is None else factory(model_path)
    return made


def _pulled_blazeface() -> Path | None:
    # imported here: it brings torch, which the workers of a preparation have no room for
    from physkit.weights.manifest import find_weights

    return find_weights("blazeface")


def tracked_crops(
    source: FrameSource, tracker: FaceTracker, *, size: int
) -> Generator[TimedCrop, None, None]:
    """The face in every frame of a video, as crops of size x size pixels.

    Decoding, tracking and cropping run at the same time, each in a thread of its own; cropping in
    that of the caller. Close the generator before the source where not all of it is used.
    """
    decoded = prefetch(source, depth=DECODED_AHEAD)
    with closing(decoded), closing(prefetch(tracker.track(decoded), depth=TRACKED_AHEAD)) as ahead:
        for seen in ahead:
            yield TimedCrop.of_tracked(seen, size=size)


def stored_crops(crops: Crops, *, size: int) -> Iterator[TimedCrop]:
    """Crops that were prepared elsewhere, area-resized where their size is another."""
    for crop, timestamp_s in zip(crops.frames, crops.timestamps_s, strict=True):
        picture = np.asarray(crop)
        if picture.shape[:2] != (size, size):
            picture = resized(picture, height=size, width=size)
        yield TimedCrop(float(timestamp_s), picture, 0)


def crops_of_file(
    path: str,
    *,
    size: int,
    fps: float | None = None,
    face: FaceConfig | None = None,
) -> tuple[Iterator[TimedCrop], int, tuple[str, ...]]:
    """The crops of a crops file, size x size pixels, their number, and what to tell the user.

    fps: frame rate in Hz of a file without timestamps. face: as the user gave it.
    Raises InputError where a detector was given, and for a file that cannot be used.
    """
    if face is not None and face != FaceConfig():
        raise InputError(f"{path}: crops need no detector; leave --face out")
    crops = read_crops(path, fps=fps)
    check_crop_size(path, crops, size=size)
    return stored_crops(crops, size=size), len(crops.frames), crops.notes


def check_crop_size(path: str, crops: Crops, *, size: int) -> None:
    """Raises InputError for crops smaller than the model's input: detail cannot be made up."""
    height, width = crops.frames.shape[1:3]
    if min(height, width) < size:
        raise InputError(
            f"{path}: crops are {width}x{height} pixels, the model reads {size}x{size}; "
            "cut larger crops from the video"
        )
