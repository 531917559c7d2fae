"""Live cameras by OpenCV."""

import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2

from physkit.core.errors import InputError
from physkit.media.frames import CAMERA_PREFIX, CameraLostError, Frame, FrameSource
from physkit.media.picture import PixelPicture


class Camera(FrameSource):
    """A camera by its number, as `camera:0`; it never ends of itself.

    Times are those of the system's monotonic clock at which each frame arrived.

    Raises InputError when there is no such camera or it delivers nothing, and CameraLostError while
    iterating when it stops delivering.
    """

    def __init__(self, name: str) -> None:
        number = name.removeprefix(CAMERA_PREFIX)
        if not (number.isascii() and number.isdecimal()):
            raise InputError(f"{name}: a camera is named by its number, as in camera:0")
        # OpenCV complains on stderr about a missing device, so Linux is asked first.
        is_missing = sys.platform == "linux" and not Path(f"/dev/video{int(number)}").exists()
        capture = None if is_missing else cv2.VideoCapture(int(number))
        if capture is None or not capture.isOpened():
            raise InputError(
                f"{name}: no camera of that number can be opened; connect it, or close the "
                "program that uses it"
            )
        self._capture = capture
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        super().__init__(name=name, fps=fps if fps > 0 else math.nan, n_frames=None)

    def close(self) -> None:
        """Gives the camera back."""
        self._capture.release()

    def _read(self) -> Iterator[Frame]:
        start_s: float | None = None
        last_s = -math.inf
        while True:
            is_grabbed = self._capture.grab()
            now_s = time.monotonic()
            is_read, bgr = self._capture.retrieve() if is_grabbed else (False, None)
            if not is_read or bgr is None:
                if start_s is None:
                    raise InputError(
                        f"{self.name}: the camera delivers no picture; close the program that "
                        "uses it, or reconnect it"
                    )
                raise CameraLostError(
                    f"{self.name}: the camera stopped delivering after {last_s:.2f} s; reconnect it"
                )
            start_s = now_s if start_s is None else start_s
            if now_s - start_s > last_s:
                last_s = now_s - start_s
                yield Frame(PixelPicture(bgr, order="bgr"), last_s)
