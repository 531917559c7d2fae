"""Writes frames to a video file; an interrupted write leaves no file."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from jaxtyping import UInt8

from physkit.core.errors import InputError

Codec = Literal["auto", "libx264", "mjpeg"]
"""A video encoder; "auto" is H.264 where this PyAV can write it, and Motion JPEG elsewhere."""
SUFFIXES = (".mp4", ".mov", ".mkv", ".avi")
# With x264's macroblock tree the same frames give another file every time.
H264_REPEATABLE = {"preset": "veryfast", "x264-params": "mbtree=0"}
MJPEG_FINEST = {"qmin": "1", "qmax": "2"}
MAX_RATE_DENOMINATOR = 1001
"""Frame rates such as 30000/1001 are kept exactly."""


def chosen_codec(codec: Codec) -> Literal["libx264", "mjpeg"]:
    """The encoder that "auto" chooses; any other is returned. Raises InputError if it is absent."""
    if codec != "auto":
        if codec not in av.codecs_available:
            raise InputError(f"video encoder {codec}: not in this build of PyAV; choose another")
        return codec
    return "libx264" if "libx264" in av.codecs_available else "mjpeg"


def write_video(
    path: Path,
    frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    *,
    size_px: tuple[int, int],
    fps: float,
    quality: int,
    codec: Codec = "auto",
) -> None:
    """Encode RGB frames at a constant rate.

    size_px: width and height, both even.
    quality: H.264 constant rate factor; Motion JPEG is written at its finest.
    Raises InputError where `path` cannot be written; no incomplete file is left.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: not a video file name; end it in {', '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise InputError(f"{path}: its folder does not exist; create {path.parent} first")
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        _encode(
            partial,
            frames,
            size_px=size_px,
            fps=fps,
            quality=quality,
            codec=chosen_codec(codec),
        )
        partial.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error}); choose another place") from error
    finally:
        partial.unlink(missing_ok=True)


def _encode(
    path: Path,
    frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    *,
    size_px: tuple[int, int],
    fps: float,
    quality: int,
    codec: Literal["libx264", "mjpeg"],
) -> None:
    rate = Fraction(fps).limit_denominator(MAX_RATE_DENOMINATOR)
    options = H264_REPEATABLE | {"crf": str(quality)} if codec == "libx264" else MJPEG_FINEST
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = size_px
        stream.pix_fmt = "yuv420p" if codec == "libx264" else "yuvj420p"
        stream.codec_context.time_base = 1 / rate
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
