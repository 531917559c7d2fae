"""Videos made on the spot, from pictures and from real clips."""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TICKS_PER_S = 12800


def write_video(
    path: Path,
    pictures: Iterable[np.ndarray],
    *,
    times_s: Sequence[float] | None = None,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rotation_degrees: float | None = None,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> Path:
    """Encodes RGB pictures as they come, at 25 Hz or at the given times."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=codec_options or {})
        stream.pix_fmt = pixels
        if rotation_degrees is not None:
            stream.set_display_rotation(rotation_degrees)
        if times_s is not None:
            stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
        for index, picture in enumerate(pictures):
            if index == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame = frame.reformat(format=pixels, dst_colorspace="itu601")
            frame.time_base = Fraction(1, 25) if times_s is None else Fraction(1, TICKS_PER_S)
            frame.pts = index if times_s is None else round(times_s[index] * TICKS_PER_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def stored_pictures(path: Path) -> Iterator[np.ndarray]:
    """The RGB pictures of a video as they are stored, not turned upright."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def damage_packets(path: Path, packets: slice, *, kept: float = 0.5) -> None:
    """Zeroes the ends of some packets of a video, in the order in which they are stored."""
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size][packets]
    data = bytearray(path.read_bytes())
    for start, size in places:
        first = start + int(kept * size)
        data[first : start + size] = bytes(start + size - first)
    path.write_bytes(data)


def noisy_pictures(n: int, *, height: int = 64, width: int = 96) -> list[np.ndarray]:
    """Pictures of soft blobs that move and some noise, so that every packet holds something."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    made = []
    for index in range(n):
        waves = np.sin(x / 9 + index / 5)[..., None] + np.cos(y / 7 - index / 8)[..., None]
        noise = rng.normal(0, 6, (height, width, 3))
        made.append((128 + 40 * waves + noise).clip(0, 255).astype(np.uint8))
    return made
