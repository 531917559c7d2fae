"""Times that a file states are believed, those that FFmpeg makes up are not."""

from pathlib import Path

import av
import numpy as np
import pytest
from clips import noisy_pictures, write_video
from test_media_images import write_images

from physkit.core.errors import InputError
from physkit.media.crops import read_crops
from physkit.media.frames import FrameSource
from physkit.media.open import open_frames

N = 12
TIMELESS = {
    "a.mjpeg": ("mjpeg", "mjpeg", "yuvj420p"),
    "a.mpjpeg": ("mpjpeg", "mjpeg", "yuvj420p"),
    "a.h264": ("h264", "libx264", "yuv420p"),
    "a.m4v": ("m4v", "mpeg4", "yuv420p"),
    "a.m2v": ("mpeg2video", "mpeg2video", "yuv420p"),
    "a.png": ("image2pipe", "png", "rgb24"),
    "a.obu": ("obu", "libsvtav1", "yuv420p"),
}
TIMED = {
    "a.y4m": ("yuv4mpegpipe", "wrapped_avframe", "yuv420p"),
    "a.gif": ("gif", "gif", "rgb8"),
    "a.avi": ("avi", "mjpeg", "yuvj420p"),
    "a.mkv": ("matroska", "mjpeg", "yuvj420p"),
    "a.ivf": ("ivf", "libvpx-vp9", "yuv420p"),
}


def write(path: Path, form: str, codec: str, pixels: str) -> Path:
    """Twelve pictures at 25 Hz. The format is named: not every one is told by its suffix."""
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        for index, picture in enumerate(noisy_pictures(N)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read(path: Path, fps: float | None = None) -> tuple[list[float], FrameSource]:
    with open_frames(path, fps=fps) as source:
        return [frame.timestamp_s for frame in source], source


def refusal(path: Path) -> str:
    with pytest.raises(InputError, match="--fps") as caught:
        open_frames(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", sorted(TIMELESS))
def test_a_stream_without_times_asks_for_its_rate_and_has_it(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, *TIMELESS[name])
    assert "holds no times" in refusal(path)
    times_s, source = read(path, fps=30.0)
    np.testing.assert_allclose(times_s, np.arange(N) / 30, atol=1e-9)
    assert source.fps == 30.0
    assert source.warnings == ()


@pytest.mark.parametrize("name", sorted(TIMED))
def test_where_a_file_has_times_a_given_rate_is_told_to_be_unused(
    tmp_path: Path, name: str
) -> None:
    path = write(tmp_path / name, *TIMED[name])
    times_s, source = read(path)
    np.testing.assert_allclose(times_s, np.arange(N) / 25, atol=2e-3)
    assert source.warnings == ()
    times_s, source = read(path, fps=50.0)
    np.testing.assert_allclose(times_s, np.arange(N) / 25, atol=2e-3)
    (warning,) = source.warnings
    assert "50 Hz was given and is not used" in warning


def test_a_multipart_stream_needs_no_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mpjpeg", *TIMELESS["a.mpjpeg"])
    data = path.read_bytes()
    last = data.rindex(b"--ffmpeg")
    for end in (b"", b"--ffmpeg--\r\n", b"--ffmpeg\r\n", b"--ffmpeg\r\nContent-type: image/jp"):
        path.write_bytes(data[:last] + end)
        times_s, source = read(path, fps=25.0)
        assert (len(times_s), source.warnings) == (N, ())
    path.write_bytes(data[: last - 300])
    times_s, source = read(path, fps=25.0)
    assert (len(times_s), source.damage.n_damaged) == (N, 1)


def test_headers_without_a_rate_are_no_clock(tmp_path: Path) -> None:
    y4m = write(tmp_path / "a.y4m", *TIMED["a.y4m"])
    y4m.write_bytes(y4m.read_bytes().replace(b" F25:1", b" F0:0", 1))
    avi = write_video(tmp_path / "a.avi", noisy_pictures(N), codec="mjpeg", pixels="yuvj420p")
    data = bytearray(avi.read_bytes())
    for mark, offset, n in ((b"avih", 8, 4), (b"vids", 20, 8)):
        start = data.index(mark) + offset
        data[start : start + n] = bytes(n)
    avi.write_bytes(data)
    gif = write(tmp_path / "a.gif", *TIMED["a.gif"])
    pictures = bytearray(gif.read_bytes())
    start = pictures.find(b"\x21\xf9\x04")
    while start >= 0:
        pictures[start + 4 : start + 6] = bytes(2)
        start = pictures.find(b"\x21\xf9\x04", start + 1)
    gif.write_bytes(pictures)
    for path in (y4m, avi, gif):
        refusal(path)
        times_s, _ = read(path, fps=50.0)
        np.testing.assert_allclose(times_s, np.arange(N) / 50, atol=1e-9)


def test_a_rate_beside_times_in_names_or_crops_is_told_to_be_unused(tmp_path: Path) -> None:
    start_ns = 1392643993642815000
    folder = write_images(tmp_path / "images", [f"{start_ns + i * 40_000_000}.png" for i in (0, 1)])
    times_s, source = read(folder, fps=30.0)
    assert times_s == pytest.approx([0, 0.04])
    assert "30 Hz was given and is not used" in source.warnings[0]
    assert read(folder)[1].warnings == ()
    path = tmp_path / "crops.npz"
    np.savez(path, frames=np.zeros((2, 4, 4, 3), np.uint8), timestamps_s=np.array([0.0, 0.1]))
    crops = read_crops(path, fps=30.0)
    assert crops.timestamps_s[1] == 0.1
    assert "30 Hz was given and is not used" in crops.notes[0]
    assert read_crops(path).notes == ()
