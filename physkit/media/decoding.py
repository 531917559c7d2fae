"""From the packets of a video stream to its pictures, none of which is lost without a trace."""

import heapq
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import av

STRICT = {"mjpeg": {"err_detect": "explode"}}
"""Decoder options by codec. Without this one, half a JPEG is a picture with a grey rest."""

PAIRED_FORMATS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
PAIRED_CODECS = frozenset({"h264", "hevc", "vp9", "av1"})
"""Where every packet shows one picture, at a time that the packet states. Elsewhere a packet may
rightly show none: VP8's hidden frames, MPEG-4's "not coded", a second field."""

CARELESS_CODECS = frozenset({"mpeg4", "h263", "flv1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2"})
"""Whose decoders predict pictures before the first key picture from nothing, and hand them out."""

MULTIPART = "mpjpeg"
MULTIPART_END_BYTES = 256
"""A boundary that ends the last part and begins no other is shorter."""

Opened = tuple[av.container.InputContainer, av.VideoStream]


@dataclass(frozen=True)
class LostPicture:
    """A picture that was sent and could not be decoded."""

    pts: int | None
    """When it was to be shown, in units of the stream's time base."""
    dts: int | None = None
    """When it was to be decoded; None where `pts` is known."""
    duration: int = 0
    """How long it was to be shown; 0 where unknown."""
    is_before_key: bool = False
    """Whether it comes before the first key picture, so that it needs what the file lacks."""


class Decoding:
    """Decodes a stream once. Pictures come in order of time, lost ones in their places.

    failure: what the decoder said of the last packet that it could not decode.
    n_packets: packets so far that hold something.
    """

    def __init__(self, opened: Opened) -> None:
        self.container, self.stream = opened
        self.failure: str | None = None
        self.n_packets = 0
        self._n_untimed = 0
        self._n_failed = 0
        self._key_pts: int | None = None
        self._has_key_picture = False
        self._expected: list[tuple[int, int]] = []
        codec = self.stream.codec_context.codec.canonical_name
        self._is_careless = codec in CARELESS_CODECS
        self._is_paired = codec in PAIRED_CODECS and self.container.format.name in PAIRED_FORMATS
        self.stream.codec_context.options = STRICT.get(codec, {})

    @property
    def is_threadless(self) -> bool:
        """Whether one thread decodes, so that what fails belongs to the packet just sent."""
        return bool(self.stream.codec_context.thread_count == 1)

    @property
    def is_owed(self) -> bool:
        """Whether pictures are missing that may be had, or lost, at the end."""
        return bool(self._expected) or self._n_failed > 0 or self._n_untimed > 0

    def __iter__(self) -> Iterator[av.VideoFrame | LostPicture]:
        """All but what is missing at the end. Raises av.FFmpegError where the container breaks."""
        for packet in self._packets():
            try:
                pictures = packet.decode()
            except av.FFmpegError as error:
                self.failure = error.strerror
                if packet.size and packet.pts is None:
                    yield LostPicture(None, packet.dts, packet.duration or 0)
                else:
                    self._n_failed += 1
                continue
            for picture in pictures:
                self._n_untimed -= picture.pts is None
                self._is_paired = self._is_paired and not picture.interlaced_frame
                yield from self._lost_before(picture.pts)
                yield self._checked(picture)

    def lost_at_end(self) -> Iterator[LostPicture]:
        """The pictures of the last packets, which never came."""
        left = [heapq.heappop(self._expected) for _ in range(len(self._expected))]
        yield from self._lost(left)

    def _packets(self) -> Iterator[av.Packet]:
        """The packets, and the empty one that ends the stream."""
        end_byte = 0
        try:
            for packet in self.container.demux(self.stream):
                if packet.size:
                    self._expect(packet)
                    end_byte = (packet.pos or 0) + packet.size
                yield packet
        except av.FFmpegError:
            is_multipart = self.container.format.name == MULTIPART
            if not is_multipart or self.container.size - end_byte > MULTIPART_END_BYTES:
                raise

    def _expect(self, packet: av.Packet) -> None:
        self.n_packets += 1
        if packet.pts is None:
            self._n_untimed += 1
        if packet.pts is None or packet.is_discard:
            return
        if packet.is_keyframe and self._key_pts is None:
            self._key_pts = packet.pts
        heapq.heappush(self._expected, (packet.pts, packet.duration or 0))

    def _lost_before(self, pts: int | None) -> Iterator[LostPicture]:
        """What should have come before a picture, which has come."""
        passed = []
        while pts is not None and self._expected and self._expected[0][0] <= pts:
            expected = heapq.heappop(self._expected)
            if expected[0] < pts:
                passed.append(expected)
        yield from self._lost(passed)

    def _lost(self, passed: list[tuple[int, int]]) -> Iterator[LostPicture]:
        """Which of the expected pictures are lost: all, or as many as the decoder failed at."""
        first_pts = -1 if self._key_pts is None else self._key_pts
        early = [one for one in passed if one[0] < first_pts]
        late = passed[len(early) :]
        n_kept = len(late) if self._is_paired else min(self._n_failed, len(late))
        self._n_failed = max(0, self._n_failed - len(passed))
        for pts, duration in early:
            yield LostPicture(pts, None, duration, is_before_key=True)
        for pts, duration in late[len(late) - n_kept :]:
            yield LostPicture(pts, None, duration)

    def _checked(self, picture: av.VideoFrame) -> av.VideoFrame | LostPicture:
        """The picture, unless it is damaged."""
        self._has_key_picture = self._has_key_picture or picture.key_frame
        is_early = self._is_careless and not self._has_key_picture
        if self._key_pts is not None and picture.pts is not None:
            is_early = is_early or (picture.is_corrupt and picture.pts < self._key_pts)
        if is_early or picture.is_corrupt:
            return LostPicture(picture.pts, picture.dts, picture.duration, is_early)
        return picture


def decode_all(
    decoding: Decoding, reopen: Callable[[], AbstractContextManager[Opened]]
) -> Iterator[av.VideoFrame | LostPicture]:
    """All pictures of a stream, those at the end as well. reopen: opens the same stream anew.

    From the first damage on one thread decodes: with several, good pictures behind it may be lost
    too, and what else is lost would depend on their number.
    """
    n_given = 0
    for picture in decoding:
        is_damaged = isinstance(picture, LostPicture) and not picture.is_before_key
        if is_damaged and not decoding.is_threadless:
            break
        n_given += 1
        yield picture
    else:
        if not decoding.is_owed:
            return
        if decoding.is_threadless:
            yield from decoding.lost_at_end()
            return
    with reopen() as opened:
        again = Decoding(opened)
        again.stream.codec_context.thread_count = 1
        yield from itertools.islice(again, n_given, None)
        yield from again.lost_at_end()
        decoding.failure, decoding.n_packets = again.failure, again.n_packets
