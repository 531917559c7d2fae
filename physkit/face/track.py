"""Following one face through a video with a box that keeps still."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from physkit.face.box import Box, shift
from physkit.face.cuts import CutFinder
from physkit.face.detect.base import Detection, FaceBoxRule, FaceDetector
from physkit.face.leash import Leash
from physkit.face.search import GATE, FaceSearch
from physkit.media.frames import Frame

CUT_LEVEL = 25.0
MIN_VISIBLE = 0.5


@dataclass(frozen=True)
class TrackerConfig:
    """When to look for the face, and how still its box is held."""

    detect_every_s: float = 0.5
    """Longest time in seconds between detections."""
    max_lookahead_frames: int = 16
    """Longest run of frames that are held back until the next detection."""
    position_band: float = Leash.position_band
    """Face widths by which a detection may lie off before the box moves."""
    size_band: float = Leash.size_band
    """Share by which a detection may differ in size before the box grows or shrinks."""
    max_step: float = 0.15
    """Face widths between two detections beyond which the frames between are looked at too."""
    cut_level: float = CUT_LEVEL
    """Sudden mean change from one frame to the next, in grey levels of 255, that is a cut."""
    min_visible: float = MIN_VISIBLE
    """Share of the face box that must lie in the picture; the rest is cut off."""


@dataclass(frozen=True, eq=False)
class TrackedFrame:
    """A frame and the face in it."""

    frame: Frame
    """The frame as it came."""
    box: Box | None
    """Face box within the picture, in pixels; None where no face was seen."""
    confidence: float
    """Confidence of the detection, interpolated between detections; 0 without a face."""
    segment: int | None
    """Number of the unbroken stretch of one face, from 0; None without a face."""


def visible_face(frame: Frame, box: Box, rule: FaceBoxRule, min_visible: float) -> Box | None:
    """What of the face shows in the picture; None where less than `min_visible` of it does.

    box: the detector's. rule: from the detector's boxes to face boxes.
    """
    face_box = rule.apply(box)
    visible = face_box.clipped(frame.picture.height, frame.picture.width)
    is_shown = visible is not None and visible.area >= min_visible * face_box.area
    return visible if is_shown else None


@dataclass(frozen=True, eq=False)
class _Look:
    """One frame that was looked at."""

    position: int
    """Which of the pending frames; -1 is the last frame before them."""
    timestamp_s: float
    face: Detection | None
    """The face in it, by the detector's own box."""


class FaceTracker:
    """Follows one face through frames that stream by.

    The face is looked for every `detect_every_s`, in the surroundings of where it was. Where two
    such looks disagree (a face in one only, or far apart) the frames between are bisected, so that
    a face comes and goes exact to a frame and is never made up; a cut is looked at on both sides.
    Between looks that agree the box is interpolated in time. It follows the looks on a leash: it
    stays put while they are within a dead band around it. Of several faces the largest is taken
    and then kept. Face boxes are cut off at the picture's edges.

    One tracker follows one video; make another for the next.
    """

    def __init__(self, detector: FaceDetector, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self._face_box = detector.face_box
        self._search = FaceSearch(detector)
        self._cuts = CutFinder(self.config.cut_level)
        self._leash = Leash(self.config.position_band, self.config.size_band)
        self._pending: list[Frame] = []
        self._last_look: _Look | None = None
        self._held: Box | None = None
        self._segment = -1

    def track(self, frames: Iterable[Frame]) -> Iterator[TrackedFrame]:
        """Every frame, in order, at most `max_lookahead_frames` late."""
        for frame in frames:
            if self._cuts.is_cut(frame.picture):
                yield from self._finish()
                self._last_look = None
            self._pending.append(frame)
            if self._is_due():
                yield from self._finish()
        yield from self._finish()

    def _is_due(self) -> bool:
        """Whether the latest pending frame is one to look at."""
        if self._last_look is None or len(self._pending) >= self.config.max_lookahead_frames:
            return True
        waited_s = self._pending[-1].timestamp_s - self._last_look.timestamp_s
        return waited_s >= self.config.detect_every_s

    def _finish(self) -> Iterator[TrackedFrame]:
        """Looks at the last pending frame, and hands out all of them."""
        if not self._pending:
            return
        before = self._last_look
        near = before.face if before else None
        last = self._look(len(self._pending) - 1, near)
        looks = [last] if before is None else self._fill(before, last)
        for look in looks:
            held_before = self._held
            self._hold(before, look)
            first = before.position + 1 if before else look.position
            for position in range(first, look.position + 1):
                yield self._tracked(self._pending[position], before, held_before, look)
            before = look
        self._last_look = replace(looks[-1], position=-1)
        self._pending.clear()

    def _look(self, position: int, near: Detection | None) -> _Look:
        frame = self._pending[position]
        face = self._search.find(frame, near.box if near else None)
        return _Look(position, frame.timestamp_s, face)

    def _fill(self, start: _Look, end: _Look) -> list[_Look]:
        """The looks after `start`, up to `end`, that it takes for neighbours to agree."""
        if end.position - start.position == 1 or self._agree(start, end):
            return [end]
        middle = self._look((start.position + end.position) // 2, start.face or end.face)
        return [*self._fill(start, middle), *self._fill(middle, end)]

    def _agree(self, a: _Look, b: _Look) -> bool:
        if a.face is None or b.face is None:
            return a.face is b.face
        return shift(a.face.box, b.face.box) <= self.config.max_step

    def _hold(self, before: _Look | None, look: _Look) -> None:
        """Moves the held box to where a look allows it to stay."""
        if look.face is None:
            self._held = None
            return
        known = before.face if before else None
        if known is None or self._held is None or shift(known.box, look.face.box) > GATE:
            self._segment += 1
            self._held = look.face.box
        else:
            self._held = self._leash.pull(self._held, look.face.box)

    def _tracked(
        self, frame: Frame, before: _Look | None, held_before: Box | None, look: _Look
    ) -> TrackedFrame:
        """A frame after one look, up to and including the next."""
        nothing = TrackedFrame(frame, None, 0.0, None)
        if look.face is None or self._held is None:
            return nothing
        box, confidence = self._held, look.face.confidence
        if before and before.face and held_before and frame.timestamp_s < look.timestamp_s:
            passed_s = frame.timestamp_s - before.timestamp_s
            box = held_before.between(box, passed_s / (look.timestamp_s - before.timestamp_s))
            confidence = min(confidence, before.face.confidence)
        visible = visible_face(frame, box, self._face_box, self.config.min_visible)
        if visible is None:
            return nothing
        return TrackedFrame(frame, visible, confidence, self._segment)
