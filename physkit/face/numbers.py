"""Which of the faces in a video are one face: numbers for them."""

from physkit.face.box import Box, shift
from physkit.face.search import GATE

SAME_FACE_S = 5.0
"""A face found in the place of one that was lost for no longer than this is the same face."""


class FaceNumbers:
    """Numbers faces from 0, by place and time: no face is recognised.

    A face that is found again in its place within `SAME_FACE_S` keeps its number. After a cut, in
    another place or later it may be somebody else, and gets a new one.
    """

    def __init__(self) -> None:
        self._last_seen: dict[int, tuple[Box, float]] = {}
        self._n_faces = 0
        self._latest = -1

    @property
    def latest(self) -> int:
        """Number of the face that was seen last; -1 before the first."""
        return self._latest

    def forget(self) -> None:
        """A cut: every face that follows is a new one."""
        self._last_seen.clear()

    def see(self, box: Box, time_s: float, *, is_followed: bool) -> None:
        """A face. is_followed: it was followed to here from the one before."""
        if not is_followed or self._latest not in self._last_seen:
            self._latest = self._known(box, time_s)
        self._last_seen[self._latest] = box, time_s

    def _known(self, box: Box, time_s: float) -> int:
        for number, (last, last_s) in self._last_seen.items():
            if time_s - last_s <= SAME_FACE_S and shift(last, box) <= GATE:
                return number
        self._n_faces += 1
        return self._n_faces - 1
