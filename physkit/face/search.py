"""Finding the face to follow in one picture."""

from physkit.face.box import Box, box_at, shift
from physkit.face.detect.base import Detection, FaceDetector
from physkit.media.frames import Frame
from physkit.media.picture import Picture

ACQUIRE_CONFIDENCE = 0.5
"""From this confidence on a new face is believed."""
KEEP_CONFIDENCE = 0.25
"""From this confidence on a face is believed where it was just before."""
GATE = 0.75
"""Face widths (or share of its size) between two boxes from which on they are of two faces."""
WINDOW_SIZE = 2.2
"""Side of the square in which a known face is looked for, in widths of its box."""
WINDOW_MIN_FACE = 1 / (WINDOW_SIZE * (1 + GATE))
"""The smallest face in such a window that passes for the known one, in sides of the window."""
REMEMBER_S = 2.0
"""How long in seconds a lost face is preferred over larger ones if it comes back."""


class FaceSearch:
    """Looks for the same face again and again.

    A known face is searched in a window around it, which is quick and shows it at the size that
    the detector sees best. A new one must be found twice: in the whole
    picture and in such a window.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self._detector = detector
        self._last_box: Box | None = None
        self._last_seen_s = 0.0

    def find(self, frame: Frame, near: Box | None) -> Detection | None:
        """The face near a box, or else the one to follow anew; boxes are the detector's own."""
        face = None
        if near is not None:
            face = self._find_near(frame.whole_picture, near, KEEP_CONFIDENCE, is_known=True)
        if face is None:
            face = self._find_anywhere(frame)
        if face is not None:
            self._last_box, self._last_seen_s = face.box, frame.timestamp_s
        return face

    def _find_near(
        self, picture: Picture, near: Box, confidence: float, *, is_known: bool = False
    ) -> Detection | None:
        """The face nearest to a box. is_known: it was there in the frame searched before."""
        side = WINDOW_SIZE * near.width
        window = box_at(near.centre_x, near.centre_y, side, side).clipped(
            picture.height, picture.width
        )
        if window is None:
            return None
        left, top = int(window.x), int(window.y)
        right, bottom = round(window.x + window.width), round(window.y + window.height)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        if is_known:
            min_face_px = WINDOW_MIN_FACE * min(bottom - top, right - left)
            face = self._detector.glimpse(picture, near, min_face_px=min_face_px)
            if face is not None:
                return face
        part = picture.part(top, bottom, left, right)
        (found,) = self._detector.detect([part], min_face=WINDOW_MIN_FACE)
        faces = [
            face
            for face in (face.moved(float(left), float(top)) for face in found)
            if face.confidence >= confidence and shift(near, face.box) <= GATE
        ]
        return min(faces, key=lambda face: shift(near, face.box), default=None)

    def _find_anywhere(self, frame: Frame) -> Detection | None:
        """The face that was lost shortly before, or else the largest certain one."""
        faces = self._detector.detect([frame.rgb])[0]
        for face in sorted(faces, key=lambda f: self._rank(f, frame.timestamp_s), reverse=True):
            confirmed = self._find_near(frame.whole_picture, face.box, ACQUIRE_CONFIDENCE)
            if confirmed is not None:
                return confirmed
        return None

    def _rank(self, face: Detection, now_s: float) -> tuple[bool, float]:
        last = self._last_box
        is_known = (
            last is not None
            and now_s - self._last_seen_s <= REMEMBER_S
            and shift(last, face.box) <= GATE
        )
        return is_known, face.box.area
