"""Following one face through a video with a box that keeps still."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from physkit.face.box import Box, shift
from physkit.face.cuts import CutFinder
from physkit.face.dead_band import DeadBand
from physkit.face.detect.base import Detection, FaceBoxRule, FaceDetector
from physkit.face.numbers import FaceNumbers
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
    position_band: float = DeadBand.position_band
    """Face widths by which a detection may lie off before the box moves."""
    size_band: float = DeadBand.size_band
    """Share by which a detection may differ in size before the box grows or shrinks."""
    max_step: float = 0.15
    """Face widths between two detections beyond which the frames between are searched too."""
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
    face_number: int | None = None
    """Number of the face, from 0; see `FaceNumbers`. None without a face."""


def visible_face(frame: Frame, box: Box, rule: FaceBoxRule, min_visible: float) -> Box | None:
    """What of the face shows in the picture; None where less than `min_visible` of it does.

    box: the detector's. rule: from the detector's boxes to face boxes.
    """
    face_box = rule.apply(box)
    picture = frame.whole_picture
    visible = face_box.clipped(picture.height, picture.width)
    is_shown = visible is not None and visible.area >= min_visible * face_box.area
    return visible if is_shown else None


@dataclass(frozen=True, eq=False)
class _SearchedFrame:
    """One frame in which the face was searched for."""

    position: int
    """Index among the pending frames; -1 is the last frame before them."""
    timestamp_s: float
    face: Detection | None
    """The face in it, by the detector's own box."""


class FaceTracker:
    """Follows one face through frames that stream by.

    The detector runs every `detect_every_s`, near the last place of the face. Where two detections
    disagree (a face in one only, or far apart), the frames between them are bisected. So a face
    appears and disappears exact to a frame and is never made up. At a cut, the frames on both
    sides are searched. Between detections that agree, the box is interpolated in time. The box
    stays still while detections lie within a dead band around it. Of several faces the largest is
    taken and then kept. Face boxes are cut off at the picture's edges.

    One tracker follows one video; make another for the next.
    """

    def __init__(self, detector: FaceDetector, config: TrackerConfig | None = None) -> None:
        self.config = config or TrackerConfig()
        self._face_box = detector.face_box
        self._search = FaceSearch(detector)
        self._cuts = CutFinder(self.config.cut_level)
        self._dead_band = DeadBand(self.config.position_band, self.config.size_band)
        self._pending: list[Frame] = []
        self._last_searched: _SearchedFrame | None = None
        self._held: Box | None = None
        self._segment = -1
        self._numbers = FaceNumbers()

    def track(self, frames: Iterable[Frame]) -> Iterator[TrackedFrame]:
        """Every frame, in order, at most `max_lookahead_frames` late."""
        for frame in frames:
            if frame.picture is None:
                yield from self._finish()
                yield TrackedFrame(frame, None, 0.0, None)
                continue
            if self._cuts.is_cut(frame.picture):
                yield from self._finish()
                self._last_searched = None
                self._numbers.forget()
            self._pending.append(frame)
            if self._is_due():
                yield from self._finish()
        yield from self._finish()

    def _is_due(self) -> bool:
        """Whether the latest pending frame has to be searched."""
        if self._last_searched is None or len(self._pending) >= self.config.max_lookahead_frames:
            return True
        waited_s = self._pending[-1].timestamp_s - self._last_searched.timestamp_s
        return waited_s >= self.config.detect_every_s

    def _finish(self) -> Iterator[TrackedFrame]:
        """Searches the last pending frame, and hands out all of them."""
        if not self._pending:
            return
        before = self._last_searched
        near = before.face if before else None
        last = self._search_at(len(self._pending) - 1, near)
        searched = [last] if before is None else self._fill(before, last)
        for latest in searched:
            held_before = self._held
            self._hold(before, latest)
            first = before.position + 1 if before else latest.position
            for position in range(first, latest.position + 1):
                yield self._tracked(self._pending[position], before, held_before, latest)
            before = latest
        self._last_searched = replace(searched[-1], position=-1)
        self._pending.clear()

    def _search_at(self, position: int, near: Detection | None) -> _SearchedFrame:
        frame = self._pending[position]
        face = self._search.find(frame, near.box if near else None)
        return _SearchedFrame(position, frame.timestamp_s, face)

    def _fill(self, start: _SearchedFrame, end: _SearchedFrame) -> list[_SearchedFrame]:
        """Searched frames after `start`, up to `end`; neighbours agree."""
        if end.position - start.position == 1 or self._agree(start, end):
            return [end]
        middle = self._search_at((start.position + end.position) // 2, start.face or end.face)
        return [*self._fill(start, middle), *self._fill(middle, end)]

    def _agree(self, a: _SearchedFrame, b: _SearchedFrame) -> bool:
        if a.face is None or b.face is None:
            return a.face is b.face
        return shift(a.face.box, b.face.box) <= self.config.max_step

    def _hold(self, before: _SearchedFrame | None, latest: _SearchedFrame) -> None:
        """Moves the held box as far as the latest detection demands."""
        if latest.face is None:
            self._held = None
            return
        known = before.face if before else None
        box, is_followed = latest.face.box, True
        if known is None or self._held is None or shift(known.box, box) > GATE:
            is_followed = False
            self._segment += 1
            self._held = box
        else:
            self._held = self._dead_band.moved(self._held, box)
        self._numbers.see(box, latest.timestamp_s, is_followed=is_followed)

    def _tracked(
        self,
        frame: Frame,
        before: _SearchedFrame | None,
        held_before: Box | None,
        latest: _SearchedFrame,
    ) -> TrackedFrame:
        """A frame after one searched frame, up to and including the next."""
        nothing = TrackedFrame(frame, None, 0.0, None)
        if latest.face is None or self._held is None:
            return nothing
        box, confidence = self._held, latest.face.confidence
        if before and before.face and held_before and frame.timestamp_s < latest.timestamp_s:
            passed_s = frame.timestamp_s - before.timestamp_s
            box = held_before.between(box, passed_s / (latest.timestamp_s - before.timestamp_s))
            confidence = min(confidence, before.face.confidence)
        visible = visible_face(frame, box, self._face_box, self.config.min_visible)
        if visible is None:
            return nothing
        return TrackedFrame(frame, visible, confidence, self._segment, self._numbers.latest)
