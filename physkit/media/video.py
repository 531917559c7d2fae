"""Video files by PyAV: true times, upright pictures, and no file read silently short."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import av
from av.stream import Disposition

from physkit.core.errors import InputError
from physkit.media.clock import Clock, declared_end_s, has_times, no_times
from physkit.media.decoded import PictureMaker
from physkit.media.decoding import Decoding, LostPicture, Opened, decode_all
from physkit.media.frames import REPAIR, Frame, FrameSource, check_exists, unused_fps

MISSING_TAIL_S = 0.5
"""How much earlier than declared a video may end: containers round and trim their lengths."""

TEXT_ART = frozenset({"adf", "bin", "idf", "tty", "xbin"})
"""FFmpeg's demuxers that take any text for a picture drawn in characters."""


class VideoFile(FrameSource):
    """Frames of one video file, decoded in background threads.

    Times are presentation timestamps, the first frame's being 0; gaps and variable frame rates
    are kept. A frame whose time is not later than the one before it is dropped (the viewer would
    never have seen the other); times that stand still for a second are an error. Colours are
    converted when a picture is looked at, and of no more than is looked at, by the stream's own
    matrix and range; where it names no matrix, BT.601 is used, as swscale and OpenCV do. High
    dynamic range is not tone-mapped. The display matrix is applied, rounded to quarter turns and
    mirrorings.

    A picture that cannot be decoded, or only in part, is a frame without one. So are the pictures
    before the first key picture, where the video begins between two. Packets that the container
    lost altogether are a gap in the times, like any dropped frame.

    path: the file.
    fps: frame rate in Hz of a stream without times of its own; others keep theirs, with a note.
    decode_threads: decoder threads; 0 lets FFmpeg choose.
    Raises InputError when the file cannot be opened, or has neither times nor `fps`; and while
    iterating, when too many pictures are damaged, or the video ends earlier than its container
    declares.
    """

    def __init__(self, path: Path, *, fps: float | None = None, decode_threads: int = 0) -> None:
        check_exists(path)
        if path.is_dir():
            raise InputError(f"{path}: is a folder, not a video; give a video file")
        self._path = path
        self._container, self._stream = _open(path)
        try:
            _check_index(self._stream, path)
            self._has_times = has_times(self._container, path)
            if not self._has_times and fps is None:
                raise no_times(self._container, path)
        except InputError:
            self._container.close()
            raise
        rate = self._stream.average_rate or self._stream.guessed_rate
        stated_fps = float(rate) if rate else math.nan
        self._counted_fps = None if self._has_times else fps
        super().__init__(
            name=str(path),
            fps=self._counted_fps or stated_fps,
            n_frames=self._estimate_length() if self._has_times else None,
        )
        if self._has_times:
            self.notes = unused_fps(path, fps, f"the file has times, about {stated_fps:.4g} Hz")
        self.decode_threads = decode_threads

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def _estimate_length(self) -> int | None:
        if self._stream.frames:
            return int(self._stream.frames)
        end_s = declared_end_s(self._container, self._stream)
        rate = self._stream.average_rate
        if not (end_s and rate):
            return None
        start_s = float((self._stream.start_time or 0) * self._stream.time_base)
        return round((end_s - start_s) * float(rate))

    def _read(self) -> Iterator[Frame]:
        self._stream.codec_context.thread_count = self.decode_threads
        pictures = PictureMaker(self._path)
        clock = Clock(self._path, self._stream, self._counted_fps)
        decoding = Decoding((self._container, self._stream))
        waiting: list[Frame] = []
        n_read = n_whole = 0
        for picture in self._decoded(decoding, clock):
            timestamp_s = clock.tick(picture)
            if timestamp_s is None:
                continue
            frame = (
                self._lost(picture, clock)
                if isinstance(picture, LostPicture)
                else Frame(pictures.make(picture), timestamp_s)
            )
            n_read += 1
            n_whole += frame.picture is not None
            waiting.append(frame)
            # The first whole frame waits for the second: a still picture is refused before it is
            # used.
            if n_whole > 1:
                yield from waiting
                waiting.clear()
        if n_whole < 2:
            self._refuse(n_whole, decoding)
        self._check_damage(n_read - self.damage.n_missing_start)
        self._check_complete(clock, decoding.n_packets)

    def _lost(self, picture: LostPicture, clock: Clock) -> Frame:
        """A frame without a picture, counted."""
        if not picture.is_before_key:
            return self._damaged(clock.last_s)
        self.damage.n_missing_start += 1
        self.damage.missing_start_s = clock.end_s
        return Frame(None, clock.last_s)

    def _decoded(self, decoding: Decoding, clock: Clock) -> Iterator[av.VideoFrame | LostPicture]:
        try:
            yield from decode_all(decoding, self._reopened)
        except av.FFmpegError as error:
            raise InputError(
                f"{self._path}: decoding fails after {clock.last_s:.2f} s ({error.strerror}); "
                f"{REPAIR}"
            ) from error

    @contextmanager
    def _reopened(self) -> Iterator[Opened]:
        container, stream = _open(self._path)
        try:
            yield container, stream
        finally:
            container.close()

    def _refuse(self, n_whole: int, decoding: Decoding) -> NoReturn:
        """Raises InputError for a video of less than two pictures."""
        what = "only one frame" if n_whole else "no frame"
        reason = f" that can be decoded ({decoding.failure})" if decoding.failure else ""
        raise InputError(f"{self._path}: {what}{reason}; give a video of at least a few seconds")

    def _check_complete(self, clock: Clock, n_packets: int) -> None:
        """Raises InputError when frames or seconds are missing that the container declares."""
        missing_s = 0.0
        if self._stream.frames and self._stream.average_rate:
            # Both must lack: edit lists hide frames that are there, AVI counts empty ones.
            frame_s = 1 / float(self._stream.average_rate)
            missing_s = min(
                (self._stream.frames - n_packets) * frame_s,
                self._stream.frames * frame_s - clock.end_s,
            )
        declared_s = declared_end_s(self._container, self._stream)
        if declared_s is not None:
            missing_s = max(missing_s, declared_s - clock.stream_end_s)
        if self._has_times and missing_s > MISSING_TAIL_S:
            raise InputError(
                f"{self._path}: truncated: it ends after {clock.end_s:.2f} s, {missing_s:.2f} s "
                "earlier than its container declares; copy or download it again"
            )


def _open(path: Path) -> Opened:
    container = _open_container(path)
    try:
        stream = _video_stream(container, path)
    except InputError:
        container.close()
        raise
    stream.thread_type = "AUTO"
    return container, stream


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
    """Raises InputError when the container's index points beyond the end of the file.

    Pictures of the last `MISSING_TAIL_S` may lie there: they are damaged.
    """
    index, size = stream.index_entries, path.stat().st_size
    n_whole = len(index)
    while n_whole > 0 and index[n_whole - 1].pos + index[n_whole - 1].size > size:
        n_whole -= 1
    rate = stream.average_rate or stream.guessed_rate
    if n_whole < len(index) and (len(index) - n_whole) / float(rate or 1) > MISSING_TAIL_S:
        needed = index[-1].pos + index[-1].size
        raise InputError(
            f"{path}: truncated: its index needs {needed} bytes and the file has {size}; "
            "copy or download it again"
        )
