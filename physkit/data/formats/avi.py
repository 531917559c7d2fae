"""AVI files as data sets hold them: written frame by frame, whole or not at all."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from jaxtyping import Float, UInt8

from physkit.core.files import whole_file
from physkit.media.frames import Frame

AviCodec = Literal["rawvideo", "mjpeg", "ffv1", "mpeg4"]
"""Uncompressed BGR, Motion JPEG, lossless, or the MPEG-4 of DivX's time."""

PIXELS = {"rawvideo": "bgr24", "mjpeg": "yuvj420p", "ffv1": "bgr0", "mpeg4": "yuv420p"}
FINEST = {"mpeg4": {"qmin": "1", "qmax": "1"}}
"""Encoder options: anything coarser rounds a faint pulse away."""

JPEG_QUALITY = 98
MAX_RATE_DENOMINATOR = 1001
"""Frame rates such as 30000/1001 are kept exactly."""


def write_avi(
    path: Path, frames: Iterable[Frame], *, size_px: tuple[int, int], fps: float, codec: AviCodec
) -> Float[np.ndarray, "t"]:
    """Writes frames as they come; gives the times in seconds that the file states for them.

    An AVI counts frames of 1/fps each, and can leave some of them out: every frame gets the
    nearest place that is still free, so that a gap in time stays one and jitter is lost.

    size_px: width and height of every frame.
    Raises InputError where `path` cannot be written; nothing is left under its name then.
    """
    rate = Fraction(fps).limit_denominator(MAX_RATE_DENOMINATOR)
    places: list[int] = []
    with whole_file(path) as unfinished, av.open(str(unfinished), "w", format="avi") as container:
        stream = container.add_stream(codec, rate=rate, options=FINEST.get(codec, {}))
        stream.width, stream.height = size_px
        stream.pix_fmt = PIXELS[codec]
        stream.codec_context.time_base = 1 / rate
        # One thread: the slices of several would make the file depend on the machine.
        stream.codec_context.thread_count = 1
        for frame in frames:
            nearest = round(frame.timestamp_s * rate)
            places.append(max(nearest, places[-1] + 1) if places else nearest)
            rgb = _of_size(frame.rgb, size_px)
            container.mux(_packets(stream, rgb, places[-1], rate))
        if codec != "mjpeg":
            container.mux(stream.encode())
    return np.array([float(place / rate) for place in places])


def _packets(
    stream: av.VideoStream, rgb: UInt8[np.ndarray, "h w 3"], place: int, rate: Fraction
) -> Iterator[av.Packet]:
    """A frame, encoded."""
    if stream.codec_context.name == "mjpeg":
        # FFmpeg's own encoder rounds the mean of a block to whole levels, as coarse as a pulse.
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        packet = av.Packet(jpeg.tobytes())
        packet.stream, packet.is_keyframe = stream, True
        packet.pts = packet.dts = place
        packet.time_base = 1 / rate
        yield packet
        return
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    picture.pts, picture.time_base = place, 1 / rate
    yield from stream.encode(picture)


def _of_size(
    rgb: UInt8[np.ndarray, "h w 3"], size_px: tuple[int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture itself; ValueError where it has another size, which FFmpeg would rescale."""
    if rgb.shape[1::-1] != size_px:
        raise ValueError(f"a frame of {rgb.shape[1::-1]} pixels in a video of {size_px}")
    return rgb


def n_pictures(path: Path) -> int | None:
    """How many pictures an AVI holds by its index, frames that were left out not counted.

    None where it cannot be opened, or its index does not reach as far as its header says: such a
    file is truncated. Decodes nothing.
    """
    try:
        with av.open(f"file:{path}") as container:
            stream = container.streams.video[0]
            index = stream.index_entries
            reaches = len(index) > 0 and index[-1].timestamp + 1 >= stream.frames
            return len(index) if reaches else None
    except (av.FFmpegError, OSError, IndexError):
        return None
