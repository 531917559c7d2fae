"""Small videos made on the spot."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

TICKS_PER_S = 12800


def write_video(
    path: Path,
    pictures: Sequence[np.ndarray],
    *,
    times_s: Sequence[float] | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rotation_degrees: float | None = None,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> Path:
    """Encodes RGB pictures at 25 Hz, or at the given times."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=codec_options or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        if rotation_degrees is not None:
            stream.set_display_rotation(rotation_degrees)
        if times_s is not None:
            stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame = frame.reformat(format=pixels, dst_colorspace="itu601")
            frame.time_base = Fraction(1, 25) if times_s is None else Fraction(1, TICKS_PER_S)
            frame.pts = index if times_s is None else round(times_s[index] * TICKS_PER_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def make_video() -> Callable[..., Path]:
    return write_video


@pytest.fixture(scope="session")
def pictures() -> list[np.ndarray]:
    """Thirty 96x64 pictures: a red left upper corner, a blue right half, slowly brightening."""
    made = []
    for index in range(30):
        picture = np.full((64, 96, 3), 60 + index, np.uint8)
        picture[:32, :48] = (200, 30, 30)
        picture[:, 64:, 2] = 180
        made.append(picture)
    return made
