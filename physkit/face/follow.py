"""Following one face in a live picture, every frame answered before the next one comes."""

import math
from dataclasses import dataclass, field

from physkit.core.units import MAX_GAP_S
from physkit.face.box import Box, shift
from physkit.face.cuts import CutFinder
from physkit.face.dead_band import DeadBand
from physkit.face.detect.base import Detection, FaceDetector
from physkit.face.numbers import FaceNumbers
from physkit.face.search import GATE, FaceSearch
from physkit.face.track import CUT_LEVEL, MIN_VISIBLE, TrackedFrame, visible_face
from physkit.media.frames import Frame


@dataclass(frozen=True)
class FollowerConfig:
    """When to look for the face, and how still its box is held."""

    detect_every_s: float = 0.2
    """Longest time in seconds between detections, and how late a face that left is missed."""
    dead_band: DeadBand = field(default_factory=DeadBand)
    """How far a detection may lie from the box before the box moves."""
    cut_level: float = CUT_LEVEL
    """Sudden mean change from one frame to the next, in grey levels of 255, that is a cut."""
    min_visible: float = MIN_VISIBLE
    """Share of the face box that must lie in the picture; the rest is cut off."""


@dataclass(frozen=True)
class _BoxMove:
    """The movement of the held box from one detection to the next."""

    start: Box
    goal: Box
    since_s: float
    duration_s: float

    def at(self, now_s: float) -> Box:
        return self.start.between(self.goal, min(1.0, (now_s - self.since_s) / self.duration_s))


class FaceFollower:
    """What `FaceTracker` does where no frame may wait for a later one.

    Between two detections the face is taken to be where the first one showed it. The box moves
    evenly to that place until the next detection, since a jump would look like a pulse. A face
    that one detection misses, and that is back in its place within MAX_GAP_S, is the same face.

    One follower follows one picture stream; make another for the next.
    """

    def __init__(self, detector: FaceDetector, config: FollowerConfig | None = None) -> None:
        self.config = config or FollowerConfig()
        self._face_box = detector.face_box
        self._search = FaceSearch(detector)
        self._cuts = CutFinder(self.config.cut_level)
        self._face: Detection | None = None
        self._move: _BoxMove | None = None
        self._searched_s = -math.inf
        self._seen_s = -math.inf
        self._segment = -1
        self._numbers = FaceNumbers()

    def see(self, frame: Frame) -> TrackedFrame:
        """The frame and the face in it. Frames come in order of time; some may be left out."""
        if frame.picture is None:
            return TrackedFrame(frame, None, 0.0, None)
        now_s = frame.timestamp_s
        if self._cuts.is_cut(frame.picture):
            self._face = self._move = None
            self._searched_s = -math.inf
            self._numbers.forget()
        if now_s - self._searched_s >= self.config.detect_every_s:
            self._search_in(frame)
        visible = None
        if self._face is not None and self._move is not None:
            box = self._move.at(now_s)
            visible = visible_face(frame, box, self._face_box, self.config.min_visible)
        if self._face is None or visible is None:
            return TrackedFrame(frame, None, 0.0, None)
        confidence, number = self._face.confidence, self._numbers.latest
        return TrackedFrame(frame, visible, confidence, self._segment, number)

    def _search_in(self, frame: Frame) -> None:
        now_s = self._searched_s = frame.timestamp_s
        self._face = self._search.find(frame, self._face.box if self._face else None)
        if self._face is None:
            return
        seen, held = self._face.box, None
        if self._move is not None and now_s - self._seen_s <= MAX_GAP_S:
            held = self._move.at(now_s)
        is_followed = held is not None and shift(held, seen) <= GATE
        if held is None or not is_followed:
            self._segment += 1
            held, goal = seen, seen
        else:
            goal = self.config.dead_band.moved(held, seen)
        self._numbers.see(seen, now_s, is_followed=is_followed)
        self._move = _BoxMove(held, goal, now_s, self.config.detect_every_s)
        self._seen_s = now_s
