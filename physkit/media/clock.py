"""When a video's pictures are shown: whether its container says so, and by which of its stamps."""

import math
import re
from pathlib import Path

import av
from av.format import Flags

from physkit.core.errors import InputError
from physkit.media.decoding import LostPicture
from physkit.media.frames import REPAIR

STALLED_CLOCK_S = 1.0
"""How long, at the nominal rate, times may fail to increase before the file is refused."""

COUNTED_FORMATS = frozenset({"image2", "image2pipe", "rawvideo", "bitpacked", "v210", "v210x"})
"""FFmpeg's demuxers that count 25 pictures a second where they are told no rate, besides those
that say that they have no timestamps and those of images in a row (`..._pipe`)."""
HEADER_BYTES = 1 << 14
"""Enough for the headers of an AVI; of a GIF all is looked at."""
Y4M_RATE = re.compile(rb"[^\n]* F0*[1-9]\d*:0*[1-9]")
AVI_PERIOD = re.compile(rb"avih.{4}(.{4})", re.DOTALL)
AVI_RATE = re.compile(rb"strh.{4}vids.{16}(.{4})(.{4})", re.DOTALL)
GIF_DELAY = re.compile(rb"\x21\xf9\x04.(..).\x00", re.DOTALL)
GIF_SHORTEST = 2
"""Hundredths of a second; FFmpeg, as browsers do, takes a shorter delay for a tenth of a second."""

MATROSKA_END = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")
"""Hours, minutes, seconds."""


class Clock:
    """Turns a decoder's timestamps into increasing seconds since the first frame.

    Some containers (AVI) stamp packets in decoding order only. As FFmpeg's own tools do, the
    presentation stamps are trusted until they have run backwards more often than the decoding
    stamps.

    fps: rate in Hz by which pictures are counted, for a stream without times; None reads its times.
    """

    def __init__(self, path: Path, stream: av.VideoStream, fps: float | None) -> None:
        self._path = path
        self._time_base_s = float(stream.time_base)
        rate = fps or stream.average_rate or stream.guessed_rate
        self._frame_s = 1 / float(rate) if rate else 0.0
        self._is_counted = fps is not None
        self._last_pts = self._last_dts = -math.inf
        self._n_bad_pts = self._n_bad_dts = 0
        self._start_s: float | None = None
        self._n_seen = 0
        self._stalled_s = 0.0
        self.last_s = 0.0
        """Time of the latest frame in seconds."""
        self.end_s = 0.0
        """When the latest frame leaves the screen, in seconds."""

    @property
    def stream_end_s(self) -> float:
        """The same in the stream's own time, which need not begin with 0."""
        return self.end_s + (self._start_s or 0.0)

    def tick(self, picture: av.VideoFrame | LostPicture) -> float | None:
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
        is_timed = picture.duration and not self._is_counted
        shown_s = picture.duration * self._time_base_s if is_timed else self._frame_s
        self.end_s = self.last_s + shown_s
        return self.last_s

    def _stamp_s(self, picture: av.VideoFrame | LostPicture) -> float:
        if self._is_counted:
            self._n_seen += 1
            return (self._n_seen - 1) * self._frame_s
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
        raise InputError(f"{self._path}: a picture without a time; {REPAIR}")


def has_times(container: av.container.InputContainer, path: Path) -> bool:
    """Whether a container says when its pictures are shown, or at what rate.

    Where it does not, FFmpeg's demuxers and decoders make times up, mostly 25 pictures a second.
    """
    name = container.format.name
    if container.format.flags & Flags.no_timestamps.value:
        return False
    if name.endswith("_pipe") or name in COUNTED_FORMATS:
        return False
    states_rate = {"yuv4mpegpipe": _y4m_has_rate, "avi": _avi_has_rate, "gif": _gif_has_delays}
    return name not in states_rate or states_rate[name](path)


def no_times(container: av.container.InputContainer, path: Path) -> InputError:
    """The error for a stream without times and without a rate."""
    return InputError(
        f"{path}: holds no times ({container.format.long_name}); give its frame rate by --fps, or "
        f"write it into a file with times: ffmpeg -framerate RATE -i {path.name} -c copy new.mkv"
    )


def declared_end_s(container: av.container.InputContainer, stream: av.VideoStream) -> float | None:
    """When the last frame ends as declared, in the stream's own time; None where it is not."""
    if stream.duration is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    end = MATROSKA_END.fullmatch(stream.metadata.get("DURATION", ""))
    if end:
        hours, minutes, seconds = (float(part) for part in end.groups())
        return hours * 3600 + minutes * 60 + seconds
    if container.duration is not None and len(container.streams) == 1:
        return float(container.duration / av.time_base)
    return None


def _header(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEADER_BYTES)


def _y4m_has_rate(path: Path) -> bool:
    return Y4M_RATE.match(_header(path)) is not None


def _avi_has_rate(path: Path) -> bool:
    header = _header(path)
    period, rate = AVI_PERIOD.search(header), AVI_RATE.search(header)
    if period is None or rate is None:
        return True  # an OpenDML file of many streams; FFmpeg found its rate
    return any(period[1]) or (any(rate[1]) and any(rate[2]))


def _gif_has_delays(path: Path) -> bool:
    delays = GIF_DELAY.findall(path.read_bytes())
    return any(int.from_bytes(delay, "little") >= GIF_SHORTEST for delay in delays)
