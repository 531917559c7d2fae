"""What lossy video leaves of frames: encoded and decoded in memory."""

from collections.abc import Iterator
from fractions import Fraction

import av
import cv2
import numpy as np
from jaxtyping import UInt8

from physkit.core.errors import InputError
from physkit.synth.camera import CameraConfig

H264_WORST = 51
"""Highest constant rate factor of H.264."""
# One thread and no macroblock tree: the same frames must give the same file every time.
H264_OPTIONS = {
    "preset": "veryfast",
    "tune": "zerolatency",
    "x264-params": "mbtree=0:keyint=60:threads=1",
}


def compressed(
    frames: Iterator[UInt8[np.ndarray, "h w 3"]], config: CameraConfig
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames as they are after the camera's compression, one for one.

    Raises InputError where the encoder is not in this build of PyAV.
    """
    if config.compression == "mjpeg":
        return _through_jpeg(frames, config.quality)
    if config.compression == "h264":
        return _through_h264(frames, config)
    return frames


def _through_jpeg(
    frames: Iterator[UInt8[np.ndarray, "h w 3"]], quality: int
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    for rgb in frames:
        _, packet = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = np.asarray(cv2.imdecode(packet, cv2.IMREAD_COLOR))
        yield np.ascontiguousarray(decoded[..., ::-1])


def _through_h264(
    frames: Iterator[UInt8[np.ndarray, "h w 3"]], config: CameraConfig
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    if "libx264" not in av.codecs_available:
        raise InputError("video encoder libx264: not in this build of PyAV; choose mjpeg")
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = config.width, config.height, "yuv420p"
    encoder.time_base = Fraction(1, 1000)
    encoder.options = H264_OPTIONS | {"crf": str(H264_WORST - config.quality)}
    decoder = av.CodecContext.create("h264", "r")
    for index, rgb in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        frame.pts = round(1000 * index / config.fps)
        for packet in encoder.encode(frame):
            for decoded in decoder.decode(packet):
                yield decoded.to_ndarray(format="rgb24")
    for packet in [*encoder.encode(None), None]:
        for decoded in decoder.decode(packet):
            yield decoded.to_ndarray(format="rgb24")
