"""Parts of pictures are those of the whole, bit for bit, whatever they are stored as."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from physkit.media.frames import Frame
from physkit.media.open import open_frames
from physkit.media.orientation import Orientation, orient
from physkit.media.picture import Picture, PixelPicture, TurnedPicture, resized

MakeVideo = Callable[..., Path]
BT601, BT709, UNTAGGED = 6, 1, 2
LIMITED, FULL, UNKNOWN = 1, 2, 0


def noise(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(height * width)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def regions(height: int, width: int, n: int = 40) -> Iterator[tuple[int, int, int, int]]:
    """Top, bottom, left and right of parts of any size, at odd and even places."""
    yield 0, height, 0, width
    yield height - 1, height, width - 1, width
    rng = np.random.default_rng(7)
    for _ in range(n):
        top, bottom = sorted(int(y) for y in rng.choice(height + 1, 2, replace=False))
        left, right = sorted(int(x) for x in rng.choice(width + 1, 2, replace=False))
        yield top, bottom, left, right


def assert_parts_equal(picture: Picture, whole: np.ndarray) -> None:
    assert (picture.height, picture.width) == whole.shape[:2]
    for top, bottom, left, right in regions(picture.height, picture.width):
        expected = whole[top:bottom, left:right]
        np.testing.assert_array_equal(picture.part(top, bottom, left, right), expected)
        small = picture.shrunk(top, bottom, left, right, height=9, width=7)
        np.testing.assert_array_equal(small, resized(expected, height=9, width=7))


def write_noise(path: Path, *, pixels: str, height: int, width: int, tags: tuple[int, int]) -> Path:
    """Three pictures of noise in every plane, without loss where the format is not JPEG's."""
    rng = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        # One slice: odd ones share a row of chroma, which then depends on the decoder's threads.
        codec, options = ("mjpeg", {}) if "j" in pixels else ("ffv1", {"level": "1"})
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.color_range, stream.codec_context.colorspace = tags
        for index in range(3):
            frame = av.VideoFrame(width, height, pixels)
            frame.color_range, frame.colorspace = tags
            for plane in frame.planes:
                plane.update(rng.integers(0, 256, plane.buffer_size, dtype=np.uint8).tobytes())
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def first_frame(path: Path) -> Frame:
    with open_frames(path) as source:
        return next(iter(source))


def whole_rgb(path: Path) -> np.ndarray:
    """What swscale makes of the whole first picture, in one go: its threads cut odd slices."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24", threads=1)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "bgr0", "yuv420p10le"])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (66, 98), (62, 97), (65, 96), (33, 35)])
@pytest.mark.parametrize("tags", [(LIMITED, BT709), (FULL, BT601), (UNKNOWN, UNTAGGED)])
def test_a_part_of_a_decoded_picture_is_that_of_the_whole(
    tmp_path: Path, pixels: str, height: int, width: int, tags: tuple[int, int]
) -> None:
    path = tmp_path / "noise.mkv"
    if pixels == "bgr0":
        tags = (UNKNOWN, UNTAGGED)
    write_noise(path, pixels=pixels, height=height, width=width, tags=tags)
    frame = first_frame(path)
    whole = whole_rgb(path)
    assert_parts_equal(frame.picture, whole)
    np.testing.assert_array_equal(frame.rgb, whole)


@pytest.mark.parametrize("pixels", ["yuvj420p", "yuvj422p", "yuvj444p"])
def test_a_part_of_a_jpeg_picture_is_that_of_the_whole(tmp_path: Path, pixels: str) -> None:
    path = write_noise(
        tmp_path / "noise.avi", pixels=pixels, height=50, width=70, tags=(FULL, BT601)
    )
    assert_parts_equal(first_frame(path).picture, whole_rgb(path))


def test_a_part_of_a_real_video_is_that_of_the_whole(assets: Path) -> None:
    path = assets / "videos" / "face.mp4"
    assert_parts_equal(first_frame(path).picture, whole_rgb(path))


@pytest.mark.parametrize("is_upside_down", [False, True])
@pytest.mark.parametrize("width", [40, 37])
def test_raw_bgr_is_read_whichever_row_comes_first(
    tmp_path: Path, is_upside_down: bool, width: int
) -> None:
    path = tmp_path / "raw.avi"
    picture = noise(30, width)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, 30, "bgr24"
        stored = np.ascontiguousarray(picture[::-1] if is_upside_down else picture)
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(stored, format="rgb24").reformat(format="bgr24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if is_upside_down:
        # In a bitmap header a negative height says that the upper row comes first.
        content = path.read_bytes()
        upper_first = (40).to_bytes(4, "little") + width.to_bytes(4, "little")
        at = content.index(upper_first + (-30).to_bytes(4, "little", signed=True)) + 8
        height = (30).to_bytes(4, "little")
        path.write_bytes(content[:at] + height + content[at + 4 :])
    frame = first_frame(path)
    assert_parts_equal(frame.picture, picture)


def test_a_part_of_an_image_file_is_that_of_the_whole(tmp_path: Path) -> None:
    picture = noise(31, 45)
    for name in ("a.png", "b.png"):
        assert cv2.imwrite(str(tmp_path / name), picture[..., ::-1])
    with open_frames(tmp_path, fps=30.0) as source:
        for frame in source:
            assert_parts_equal(frame.picture, picture)
            np.testing.assert_array_equal(frame.rgb, picture)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_part_of_a_turned_video_is_that_of_the_whole(
    make_video: MakeVideo, tmp_path: Path, degrees: int
) -> None:
    path = make_video(tmp_path / "a.mp4", [noise(48, 64)] * 3, rotation_degrees=degrees)
    whole = np.rot90(whole_rgb(path), degrees // 90)
    assert_parts_equal(first_frame(path).picture, whole)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("mirrored_x", [False, True])
@pytest.mark.parametrize("mirrored_y", [False, True])
def test_parts_of_all_eight_orientations(
    transposed: bool, mirrored_x: bool, mirrored_y: bool
) -> None:
    orientation = Orientation(transposed, mirrored_x, mirrored_y)
    turned = TurnedPicture(PixelPicture(noise(31, 44)), orientation)
    assert_parts_equal(turned, orient(noise(31, 44), orientation))


def test_parts_converted_by_several_threads_do_not_mix(assets: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with open_frames(assets / "videos" / "face.mp4") as source:
        frames = [frame for frame, _ in zip(source, range(24), strict=False)]
    wholes = [frame.rgb for frame in frames]
    with ThreadPoolExecutor(4) as executor:
        parts = list(executor.map(lambda f: f.picture.part(101, 402, 51, 352), frames * 4))
    for part, whole in zip(parts, wholes * 4, strict=True):
        np.testing.assert_array_equal(part, whole[101:402, 51:352])


def test_an_array_is_an_rgb_frame() -> None:
    pixels = noise(12, 20)
    frame = Frame(pixels, 0.5)
    assert frame.rgb is frame.rgb
    np.testing.assert_array_equal(frame.rgb, pixels)
    assert_parts_equal(frame.picture, pixels)


@pytest.mark.parametrize(("pixels", "level"), [("yuv420p", 235), ("yuvj420p", 255)])
def test_white_is_equally_bright_in_either_range(tmp_path: Path, pixels: str, level: int) -> None:
    path = tmp_path / "white.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg" if pixels == "yuvj420p" else "ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, pixels
        for index in range(2):
            frame = av.VideoFrame(64, 64, pixels)
            for plane, value in zip(frame.planes, (level, 128, 128), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    grid = first_frame(path).picture.brightness_grid(32)
    black = 16 * 255 / 219 if pixels == "yuv420p" else 0
    assert grid.shape == (32, 32)
    np.testing.assert_allclose(grid - black, 255, atol=1)
