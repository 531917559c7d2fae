"""Opens frames by name: a video file, a folder of images or a camera."""

from pathlib import Path

from physkit.core.errors import InputError
from physkit.media.camera import Camera
from physkit.media.frames import (
    CAMERA_PREFIX,
    CROPS_SUFFIXES,
    FrameSource,
    check_exists,
    check_fps,
    unused_fps,
)
from physkit.media.images import ImageFolder
from physkit.media.video import VideoFile


def open_frames(source: str | Path, *, fps: float | None = None) -> FrameSource:
    """The frames of a video file, a folder of images, or a camera (`camera:0`).

    fps: frame rate in Hz of a source without a clock of its own (a folder whose names are not
      nanosecond timestamps, a raw elementary stream). Where a source has times, those are used,
      and its warnings say so.
    Raises InputError, with file, problem and fix, when the source cannot be opened.
    """
    if fps is not None:
        check_fps(source, fps)
    text = str(source)
    if text.startswith(CAMERA_PREFIX):
        camera = Camera(text)
        camera.notes = unused_fps(text, fps, "its frames are timed as they come")
        return camera
    path = Path(source)
    check_exists(path)
    if path.is_dir():
        return ImageFolder(path, fps=fps)
    if path.suffix.lower() in CROPS_SUFFIXES:
        raise InputError(f"{path}: holds face crops, not a video; read it as crops")
    return VideoFile(path, fps=fps)
