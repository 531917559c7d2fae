"""Video files by PyAV: true times, upright pictures, and no file read silently short."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import av
from av.stream import Disposition

from physkit.core.errors import InputError
from physkit.media.decoded import REPAIR, PictureMaker
from physkit.media.frames import Frame, FrameSource, check_exists

MISSING_TAIL_S = 0.5
"""How much earlier than declared a video may end: containers round and trim their lengths."""

STALLED_CLOCK_S = 1.0
"""How long, at the nominal rate, times may fail to increase before the file is refused."""

TEXT_ART = frozenset({"adf", "bin", "idf", "tty", "xbin"})
"""FFmpeg's demuxers that take any text for a picture drawn in characters."""

MATROSKA_END = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")
"""Hours, minutes, seconds."""


class VideoFile(FrameSource):
    """Frames of one video file, decoded in background threads.

    Times are presentation timestamps, the first frame's being 0; gaps and variable frame rates
    are kept. A frame whose time is not later than the one before it is dropped (the viewer would
    never have seen the other); times that stand still for a second are an error. Colours are
    converted when a picture is looked at, and of no more than is looked at, by the stream's own
    matrix and range; where it names no matrix, BT.601 is used, as swscale and OpenCV do. High
    dynamic range is not tone-mapped. The display matrix is applied, rounded to quarter turns and
    mirrorings.

    path: the file.
    fps: frame rate in Hz of a stream that holds no timestamps at all; unused otherwise.
    decode_threads: decoder threads; 0 lets FFmpeg choose.
    Raises InputError when the file cannot be opened; and while iterating, when decoding fails, a
    picture is damaged, or the video ends earlier than its container declares. Packets that the
    container lost altogether are a gap in the times, like any dropped frame.
    """

    def __init__(self, path: Path, *, fps: float | None = None, decode_threads: int = 0) -> None:
        check_exists(path)
        if path.is_dir():
            raise InputError(f"{path}: is a folder, not a video; give a video file")
        self._path = path
        self._container = _open_container(path)
        try:
            self._stream = _video_stream(self._container, path)
            _check_index(self._stream, path)
        except InputError:
            self._container.close()
            raise
        self._stream.thread_type = "AUTO"
        self._fallback_fps = fps
        rate = self._stream.average_rate or self._stream.guessed_rate
        nominal_fps = float(rate) if rate else math.nan
        super().__init__(name=str(path), fps=nominal_fps, n_frames=self._estimate_length())
        self.decode_threads = decode_threads

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def _estimate_length(self) -> int | None:
        if self._stream.frames:
            return int(self._stream.frames)
        declared_s = _declared_length_s(self._container, self._stream)
        rate = self._stream.average_rate
        return round(declared_s * float(rate)) if declared_s and rate else None

    def _read(self) -> Iterator[Frame]:
        self._stream.codec_context.thread_count = self.decode_threads
        pictures = PictureMaker(self._path)
        clock = _Clock(self._path, self._stream, self._fallback_fps)
        first: Frame | None = None
        n_read = 0
        for picture in self._decode(clock):
            timestamp_s = clock.tick(picture)
            if timestamp_s is None:
                continue
            frame = Frame(pictures.make(picture), timestamp_s)
            n_read += 1
            # The first frame waits for the second: a still picture is refused before it is used.
            if first is None:
                first = frame
                continue
            if n_read == 2:
                yield first
            yield frame
        if n_read < 2:
            what = "only one frame" if n_read else "no frame that can be decoded"
            raise InputError(f"{self._path}: {what}; give a video of at least a few seconds")

    def _decode(self, clock: "_Clock") -> Iterator[av.VideoFrame]:
        n_packets = 0
        try:
            for packet in self._container.demux(self._stream):
                n_packets += packet.size > 0
                for picture in packet.decode():
                    if picture.is_corrupt:
                        raise InputError(
                            f"{self._path}: damaged picture after {clock.last_s:.2f} s; {REPAIR}"
                        )
                    yield picture
        except av.FFmpegError as error:
            raise InputError(
                f"{self._path}: decoding fails after {clock.last_s:.2f} s ({error.strerror}); "
                f"{REPAIR}"
            ) from error
        self._check_complete(clock, n_packets)

    def _check_complete(self, clock: "_Clock", n_packets: int) -> None:
        """Raises InputError when frames or seconds are missing that the container declares."""
        missing_s = 0.0
        if self._stream.frames and self._stream.average_rate:
            # Both must lack: edit lists hide frames that are there, AVI counts empty ones.
            frame_s = 1 / float(self._stream.average_rate)
            missing_s = min(
                (self._stream.frames - n_packets) * frame_s,
                self._stream.frames * frame_s - clock.end_s,
            )
        declared_s = _declared_length_s(self._container, self._stream)
        if declared_s is not None:
            missing_s = max(missing_s, declared_s - clock.end_s)
        if missing_s > MISSING_TAIL_S:
            raise InputError(
                f"{self._path}: truncated: it ends after {clock.end_s:.2f} s, {missing_s:.2f} s "
                "earlier than its container declares; copy or download it again"
            )


class _Clock:
    """Turns a decoder's timestamps into increasing seconds since the first frame.

    Some containers (AVI) stamp packets in decoding order only. As FFmpeg's own tools do, the
    presentation stamps are trusted until they have run backwards more often than the decoding
    stamps.
    """

    def __init__(self, path: Path, stream: av.VideoStream, fallback_fps: float | None) -> None:
        self._path = path
        self._time_base_s = float(stream.time_base)
        rate = stream.average_rate or stream.guessed_rate
        self._frame_s = 1 / float(rate) if rate else 0.0
        self._fallback_fps = fallback_fps
        self._last_pts = self._last_dts = -math.inf
        self._n_bad_pts = self._n_bad_dts = 0
        self._start_s: float | None = None
        self._n_seen = 0
        self._stalled_s = 0.0
        self.last_s = 0.0
        """Time of the latest frame in seconds."""
        self.end_s = 0.0
        """When the latest frame leaves the screen, in seconds."""

    def tick(self, picture: av.VideoFrame) -> float | None:
        """Time of this picture in seconds, or None when it must be dropped."""
        time_s = self._stamp_s(picture)
        if self._start_s is None:
            self._start_s = time_s
        elif time_s - self._start_s <= self.last_s:
            self._stalled_s += self._frame_s
            if self._stalled_s > STALLED_CLOCK_S:
                raise InputError(
                    f"{self._path}: its times stop increasing after {self.last_s:.2f} s; {REPAIR}"
                )
            return None
        self._stalled_s = 0.0
        self.last_s = time_s - self._start_s
        shown_s = picture.duration * self._time_base_s if picture.duration else self._frame_s
        self.end_s = self.last_s + shown_s
        return self.last_s

    def _stamp_s(self, picture: av.VideoFrame) -> float:
        pts, dts = picture.pts, picture.dts
        if dts is not None:
            self._n_bad_dts += dts <= self._last_dts
            self._last_dts = dts
        if pts is not None:
            self._n_bad_pts += pts <= self._last_pts
            self._last_pts = pts
        if pts is not None and (dts is None or self._n_bad_pts <= self._n_bad_dts):
            return float(pts * self._time_base_s)
        if dts is not None:
            return float(dts * self._time_base_s)
        if self._fallback_fps is None:
            raise InputError(f"{self._path}: a stream without timestamps; give its rate by --fps")
        self._n_seen += 1
        return (self._n_seen - 1) / self._fallback_fps


def _open_container(path: Path) -> av.container.InputContainer:
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path}: empty file (0 bytes); copy or record it again")
        # A "file:" address keeps a colon in the name from being taken for a network protocol.
        container = av.open(f"file:{path}", mode="r")
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{path}: not a readable video ({reason}): truncated, or another kind of file; "
            "give a complete video file"
        ) from error
    if container.format.name in TEXT_ART:
        container.close()
        raise InputError(f"{path}: not a readable video but text; give a video file")
    return container


def _video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The main moving picture of a container; cover art of a song is none."""
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        kind = "audio but no video" if container.streams.audio else "no video"
        raise InputError(f"{path}: holds {kind}; give a file with a video stream")
    best = container.streams.best("video")
    return best if best in moving else moving[0]


def _check_index(stream: av.VideoStream, path: Path) -> None:
    """Raises InputError when the container's index points beyond the end of the file."""
    index = stream.index_entries
    if len(index) == 0:
        return
    needed, size = index[-1].pos + index[-1].size, path.stat().st_size
    if needed > size:
        raise InputError(
            f"{path}: truncated: its index needs {needed} bytes and the file has {size}; "
            "copy or download it again"
        )


def _declared_length_s(
    container: av.container.InputContainer, stream: av.VideoStream
) -> float | None:
    """Seconds from the first to the end of the last frame as declared; None where they are not."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    # Matroska declares when the video ends, and it may begin late.
    start_s = float((stream.start_time or 0) * stream.time_base)
    end = MATROSKA_END.fullmatch(stream.metadata.get("DURATION", ""))
    if end:
        hours, minutes, seconds = (float(part) for part in end.groups())
        return hours * 3600 + minutes * 60 + seconds - start_s
    if container.duration is not None and len(container.streams) == 1:
        return float(container.duration / av.time_base) - start_s
    return None
